/**
 * Rewards that an ONNX text classifier or cross-encoder computes: toxicity, sentiment, relevance. It reads the whole
 * text at every score; nothing is kept. Knows descriptors and scores; graph and tokenizer are
 * models/onnx-classifier.ts.
 */
import { isAbsolute, resolve } from 'node:path'
import { Type, type Static, type TObject } from 'typebox'
import { RequestError } from '../../errors.js'
import type { EncodedText } from '../../models/tokenizer/text-encoder.js'
import type { OnnxClassifier, TextItem } from '../../models/onnx-classifier.js'
import { labelFields, labelScore } from './classifier.js'
import { membersSchema } from '../descriptor-parts.js'
import type { OpenContext, RewardSource } from '../reward-kind.js'
import type { Prompt } from '../scorer.js'
import { textSource, type TextScorer } from '../text-source.js'

/** Fields of an ONNX reward's descriptor beside the family's. */
export const onnxFields = {
  kind: Type.Literal('onnx'),
  /**
   * A folder with model.onnx (or onnx/model.onnx) and tokenizer.json, or the graph; absolute or relative to the
   * descriptor's folder.
   */
  model: Type.String({ minLength: 1, maxLength: 4096 }),
  /** What it reads: the answer (default), or as a pair the last user message and the answer. */
  reads: Type.Optional(Type.Enum(['answer', 'pair'])),
  ...labelFields,
  /** How many numbers it gives, and the longest text in tokens, where its config.json does not say or is wrong. */
  labels: Type.Optional(Type.Integer({ minimum: 1, maximum: 1 << 16 })),
  maxTokens: Type.Optional(Type.Integer({ minimum: 1 })),
  members: membersSchema
}

/** Such a descriptor, read and checked. */
export type OnnxDescriptor = Static<TObject<typeof onnxFields>>

function itemOf ({ reads }: OnnxDescriptor, { messages }: Prompt, answer: string): TextItem {
  return reads === 'pair'
    ? { text: messages.findLast(({ role }) => role === 'user')?.content ?? '', pair: answer }
    : { text: answer }
}

function checkLength ({ ids }: EncodedText, { maxTokens }: OnnxClassifier, name: string): void {
  if (ids.length > maxTokens) {
    throw new RequestError('context_length_exceeded',
      `reward "${name}": its model has a maximum of ${maxTokens} tokens; this text has ${ids.length}`)
  }
}

function openOnnx (descriptor: OnnxDescriptor, classifier: OnnxClassifier, { name, ledger }: OpenContext): TextScorer {
  return {
    async score (prompt, answers) {
      const items = answers.map(({ text }) => classifier.encode(itemOf(descriptor, prompt, text)))
      for (const item of items) checkLength(item, classifier, name)
      const numbers = await classifier.classify(items)
      for (const { ids } of items) ledger.rewardTokens += ids.length
      return numbers.map(one => ({ raw: labelScore(one, descriptor, classifier.scores) }))
    }
  }
}

/** @throws RequestError for a label that the model does not have, or none where it has several */
function checkLabel ({ label, model }: OnnxDescriptor, { labels }: OnnxClassifier): void {
  if (labels > 1 && label === undefined) {
    throw new RequestError('invalid_request', `label is required to select one of the ${labels} outputs of ${model}`)
  }
  if (label !== undefined && label >= labels) {
    throw new RequestError('invalid_request',
      `label must be below ${labels}, the number of outputs of ${model}; got ${label}`)
  }
}

/** An ONNX model as a source of scores. @param folder of the descriptor */
export function onnxSource (descriptor: OnnxDescriptor, folder: string): RewardSource {
  return textSource(descriptor.members, async models => {
    const { model, labels, maxTokens } = descriptor
    const classifier = await models.loadOnnx(isAbsolute(model) ? model : resolve(folder, model),
      { ...(labels === undefined ? {} : { labels }), ...(maxTokens === undefined ? {} : { maxTokens }) })
    checkLabel(descriptor, classifier)
    return { hashes: [classifier.sha256], open: (_member, context) => openOnnx(descriptor, classifier, context) }
  })
}
