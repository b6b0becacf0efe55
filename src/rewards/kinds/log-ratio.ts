/**
 * Rewards that are a ratio of probabilities: β · (ln P_toward(answer) − ln P_away(answer)), where a side is a language
 * model of its own or the policy, in the request's conversation or with another system message. A tuned model against
 * the one before is the reward that DPO trains (Rafailov et al. 2023, arXiv 2305.18290; weak-to-strong search, Zhou et
 * al. 2024, arXiv 2405.19262); the policy against itself needs no second model.
 */
import { Type, type Static, type TObject } from 'typebox'
import { RequestError } from '../../errors.js'
import { ChatReader, loadRewardModel, modelFields, policyReader, withSystem } from '../chat-reader.js'
import { closed, membersSchema } from '../descriptor-parts.js'
import type { OpenContext, RewardSource } from '../reward-kind.js'
import type { ModelRuntime } from '../../engine/model-runtime.js'
import type { RewardModels } from '../reward-models.js'
import { textSource, type TextScorer } from '../text-source.js'

const sideSchema = Type.Object({
  /** A language model; without it, the policy. */
  model: Type.Optional(modelFields.model),
  layers: modelFields.layers,
  adapter: modelFields.adapter,
  format: modelFields.format,
  template: modelFields.template,
  /** A system message in place of the conversation's own. */
  system: Type.Optional(Type.String({ minLength: 1, maxLength: 100_000 }))
}, closed)

type SideFields = Static<typeof sideSchema>

/** Fields of a ratio's descriptor beside the family's. */
export const logRatioFields = {
  kind: Type.Literal('log_ratio'),
  toward: sideSchema,
  away: sideSchema,
  /** Default 1. */
  beta: Type.Optional(Type.Number({ exclusiveMinimum: 0 })),
  /** Whether the ratio is the answer's (default) or the mean over its tokens, as `toward` counts them. */
  per: Type.Optional(Type.Enum(['answer', 'token'])),
  members: membersSchema
}

export type LogRatioDescriptor = Static<TObject<typeof logRatioFields>>

/** A side with its model; null is the policy. */
interface Side { readonly fields: SideFields, readonly model: ModelRuntime | null }

function openLogRatio (
  { beta = 1, per }: LogRatioDescriptor, sides: readonly [Side, Side], context: OpenContext
): TextScorer {
  const readers = sides.map(({ model }) => new ChatReader(model ?? policyReader(context), context))
  return {
    demands: readers.map(({ demand }) => demand),
    async score ({ messages }, answers) {
      const [toward, away] = await Promise.all(sides.map(({ fields: { system } }, index) =>
        readers[index]!.sums(withSystem(messages, system), answers)))
      return toward!.map(({ sum, tokens }, index) => ({
        raw: beta * (sum - away![index]!.sum) / (per === 'token' ? Math.max(1, tokens) : 1)
      }))
    }
  }
}

/** @throws RequestError for a model that scores in place of writing, and for fields that say nothing without a model */
async function loadSide (models: RewardModels, fields: SideFields, name: string, folder: string): Promise<Side> {
  const { model: path, system, ...own } = fields
  if (path === undefined && Object.keys(own).length > 0) {
    throw new RequestError('invalid_request', `${name}: ${Object.keys(own).join(' and ')} need a model ` +
      "of the side's own; without one the side is the policy")
  }
  if (path === undefined) return { fields, model: null }
  const model = await loadRewardModel(models, { ...fields, model: path }, folder)
  if (model.model.config.scoreHead) {
    throw new RequestError('invalid_request',
      `${name}: ${model.model.id} is a reward model with a score head, not a language model`)
  }
  return { fields, model }
}

/**
 * A ratio as a source of scores.
 * @param folder of the descriptor.
 * @throws RequestError for two sides that are the same
 */
export function logRatioSource (descriptor: LogRatioDescriptor, folder: string): RewardSource {
  const { toward, away } = descriptor
  if (toward.model === away.model && toward.system === away.system && toward.adapter === away.adapter &&
      toward.layers === away.layers) {
    throw new RequestError('invalid_request', 'toward and away must differ in their model, its adapter or layers, or ' +
      'their system message: the ratio of identical sides is always zero')
  }
  return textSource(descriptor.members, async models => {
    const sides =
      [await loadSide(models, toward, 'toward', folder), await loadSide(models, away, 'away', folder)] as const
    return {
      hashes: sides.flatMap(({ model }) => model ? [model.model.sha256] : []),
      open: (_member, context) => openLogRatio(descriptor, sides, context)
    }
  }, { readsPolicy: toward.model === undefined || away.model === undefined })
}
