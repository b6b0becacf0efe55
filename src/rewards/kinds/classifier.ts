/**
 * Rewards that a model of their own computes: a decoder with a score head, with its own tokenizer and chat template. A
 * `classifier` reads a finished chat, its turn closed as in training; its prefix member, and a `value`, read an answer
 * at the last token it has. What an answer has more than before is all that is read.
 */
import { Type, type Static, type TObject } from 'typebox'
import { RequestError } from '../../errors.js'
import { ChatReader, loadRewardModel, modelFields, withAnswer } from '../chat-reader.js'
import { fitSchema, membersSchema, metricsSchema } from '../descriptor-parts.js'
import type { OpenContext, RewardSource } from '../reward-kind.js'
import type { ModelRuntime } from '../../engine/model-runtime.js'
import type { AnswerMember } from '../scorer.js'
import { textSource, type TextScorer } from '../text-source.js'

const scoreFields = {
  ...modelFields,
  /** SHA-256 that the model must have: it is then part of what the reward is before it is loaded, too. */
  sha256: Type.Optional(Type.String({ pattern: '^[0-9a-f]{64}$' })),
  /** Which of the model's scores counts, where it has several: the log-odds of that one. */
  label: Type.Optional(Type.Integer({ minimum: 0 })),
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

function openClassifier (
  { kind, label }: ClassifierDescriptor, model: ModelRuntime, member: AnswerMember, context: OpenContext
): TextScorer {
  const reader = new ChatReader(model, context)
  const score = (logits: Float32Array): number => logits.length === 1 ? logits[0]! : logOdds(logits, label!)
  return {
    demands: [reader.demand],
    async score ({ messages }, answers) {
      const sequences = answers.map(({ text, final }) => reader.tokens(withAnswer(messages, text),
        kind === 'classifier' && (final || member === 'outcome') ? 'closed' : 'open'))
      return reader.read(sequences, ({ distribution }) => ({ raw: score(distribution.logits) }))
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
