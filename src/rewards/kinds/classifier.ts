/**
 * Rewards that a model of their own computes: a decoder with a score head, with its own tokenizer and chat template. A
 * `classifier` reads a finished chat, its turn closed as in training; its prefix member, and a `value`, read an answer
 * at the last token it has. What an answer has more than before is all that is read.
 */
import { Type, type Static, type TObject } from 'typebox'
import { RequestError } from '../../errors.js'
import type { ScoreKind } from '../../models/decoder-config.js'
import { ChatReader, loadRewardModel, modelFields, withAnswer } from '../chat-reader.js'
import { fitSchema, membersSchema, metricsSchema } from '../descriptor-parts.js'
import type { OpenContext, RewardSource } from '../reward-kind.js'
import type { ModelRuntime } from '../../engine/model-runtime.js'
import type { AnswerMember } from '../scorer.js'
import { textSource, type TextScorer } from '../text-source.js'

/** Fields of the descriptors whose model gives several numbers. */
export const labelFields = {
  /** Which of the model's numbers counts, where it gives several. */
  label: Type.Optional(Type.Integer({ minimum: 0 })),
  /**
   * Whether the labels exclude each other, so that the log-odds of one count, or each number counts by itself: labels
   * that hold independently, and what was regressed on. Default what `problem_type` of the model's config.json says,
   * and exclusive where it says nothing.
   */
  classes: Type.Optional(Type.Enum(['exclusive', 'independent']))
}

const scoreFields = {
  ...modelFields,
  /** SHA-256 that the model must have: it is then part of what the reward is before it is loaded, too. */
  sha256: Type.Optional(Type.String({ pattern: '^[0-9a-f]{64}$' })),
  ...labelFields,
  members: membersSchema,
  fit: Type.Optional(fitSchema),
  metrics: Type.Optional(metricsSchema)
}

/** Fields of a classifier's descriptor beside the family's. */
export const classifierFields = { kind: Type.Literal('classifier'), ...scoreFields }
/**
 * Those of a model that was trained on prefixes: RAD (Deng and Raffel 2023), value models of controlled decoding and
 * VAS.
 */
export const valueFields = { kind: Type.Literal('value'), ...scoreFields }

export type ClassifierDescriptor = Static<TObject<typeof classifierFields>> | Static<TObject<typeof valueFields>>

/** ln p / (1 − p) of one of several classes, from their logits. */
export function logOdds (logits: Float32Array, label: number): number {
  const others = [...logits].filter((_, index) => index !== label)
  const largest = Math.max(...others)
  return logits[label]! - largest - Math.log(others.reduce((sum, logit) => sum + Math.exp(logit - largest), 0))
}

/**
 * The score that a descriptor's label has among a model's numbers: its log-odds where classes exclude each other, else
 * the number itself.
 */
export function labelScore (
  numbers: Float32Array, { label = 0, classes }: Readonly<Partial<Pick<ClassifierDescriptor, 'label' | 'classes'>>>,
  kind: ScoreKind
): number {
  const exclusive = (classes ?? kind) === 'exclusive' && numbers.length > 1
  return exclusive ? logOdds(numbers, label) : numbers[label]!
}

function openClassifier (
  descriptor: ClassifierDescriptor, model: ModelRuntime, member: AnswerMember, context: OpenContext
): TextScorer {
  const reader = new ChatReader(model, context)
  const { kind } = descriptor
  const { scores } = model.model.config.scoreHead!
  return {
    demands: [reader.demand],
    async score ({ messages }, answers) {
      const sequences = answers.map(({ text, final }) => reader.tokens(withAnswer(messages, text),
        kind === 'classifier' && (final || member === 'outcome') ? 'closed' : 'open'))
      return reader.read(sequences,
        ({ distribution: { logits } }) => ({ raw: labelScore(logits, descriptor, scores) }))
    }
  }
}

/** @throws RequestError for a model without scores, and for a label that it does not have */
function checkModel (
  { label, sha256: pinned }: ClassifierDescriptor,
  { model: { id, sha256, config: { scoreHead, outputSize } } }: ModelRuntime
): void {
  if (pinned !== undefined &&
      pinned !== sha256) {
    throw new RequestError('invalid_request',
      `checksum mismatch for model ${id}: expected sha256 ${pinned}, got ${sha256}`)
  }
  if (!scoreHead) {
    throw new RequestError('invalid_request', `model ${id} is a language model without a score head`)
  }
  if (outputSize > 1 && label === undefined) {
    throw new RequestError('invalid_request', `label is required to select one of the ${outputSize} scores of ${id}`)
  }
  if (label !== undefined && label >= outputSize) {
    throw new RequestError('invalid_request',
      `label must be below ${outputSize}, the number of scores of ${id}; got ${label}`)
  }
}

/** A classifier as a source of scores. @param folder of the descriptor */
export function classifierSource (descriptor: ClassifierDescriptor, folder: string): RewardSource {
  return textSource(descriptor.members, async models => {
    const model = await loadRewardModel(models, descriptor, folder)
    checkModel(descriptor, model)
    return {
      hashes: descriptor.sha256 === undefined ? [model.model.sha256] : [],
      open: (member, context) => openClassifier(descriptor, model, member, context)
    }
  })
}
