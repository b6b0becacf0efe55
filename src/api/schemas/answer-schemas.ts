/** What endpoints answer, for the API's description. The objects themselves are made by the formatters. */
import { Type, type TSchema } from 'typebox'
import { warningList } from '../alignment/alignment-types.js'
import { completionHead, usageObject } from '../chat/chat-types.js'
import { scoreUsageObject } from '../rewards/reward-types.js'

const listOf = (data: TSchema): TSchema => Type.Object({ object: Type.Literal('list'), data: Type.Array(data) })

export const errorObject = Type.Object({
  error: Type.Object({
    message: Type.String(),
    type: Type.String(),
    param: Type.Union([Type.String(), Type.Null()]),
    code: Type.Union([Type.String(), Type.Null()])
  })
})

export const completionObject = Type.Object({
  ...completionHead,
  object: Type.Literal('text_completion'),
  choices: Type.Array(Type.Object({
    index: Type.Integer(),
    text: Type.String(),
    logprobs: Type.Union([Type.Object({
      tokens: Type.Array(Type.String()),
      token_logprobs: Type.Array(Type.Union([Type.Number(), Type.Null()])),
      top_logprobs: Type.Array(Type.Union([Type.Record(Type.String(), Type.Number()), Type.Null()])),
      text_offset: Type.Array(Type.Integer())
    }), Type.Null()]),
    finish_reason: Type.Enum(['stop', 'length'])
  })),
  usage: usageObject
})

export const modelObject = Type.Object({
  id: Type.String(),
  object: Type.Literal('model'),
  created: Type.Integer(),
  owned_by: Type.String(),
  max_model_len: Type.Integer()
})
export const modelList = listOf(modelObject)

const rewardFields = {
  id: Type.String(),
  object: Type.Literal('reward'),
  kind: Type.String(),
  members: Type.Array(Type.String()),
  description: Type.String(),
  version: Type.String(),
  models: Type.Array(Type.String()),
  deletable: Type.Boolean()
}
const known = (): TSchema => Type.Union([Type.Object({}), Type.Null()])
export const rewardList = listOf(Type.Object(rewardFields))
export const rewardObject = Type.Object({
  ...rewardFields, statistics: known(), fit: known(), metrics: known(), next_token: known(), adaptation: known()
})

export const scoredList = Type.Object({
  id: Type.String(),
  object: Type.Literal('list'),
  created: Type.Integer(),
  model: Type.String(),
  data: Type.Array(Type.Object({ index: Type.Integer(), object: Type.Literal('score'), score: Type.Number() })),
  warnings: warningList,
  usage: scoreUsageObject
})
export const rerankedList = Type.Object({
  id: Type.String(),
  model: Type.String(),
  results: Type.Array(Type.Object({
    index: Type.Integer(), document: Type.Optional(Type.Object({ text: Type.String() })), relevance_score: Type.Number()
  })),
  warnings: warningList,
  usage: scoreUsageObject
})

export const feedbackObject = Type.Object({
  id: Type.String(),
  object: Type.Literal('feedback'),
  created: Type.Integer(),
  completion_id: Type.String(),
  dataset: Type.String(),
  kind: Type.Enum(['pairs', 'labels', 'scores']),
  messages: Type.Array(Type.Object({ role: Type.String(), content: Type.String() })),
  chosen: Type.Optional(Type.String()),
  rejected: Type.Optional(Type.String()),
  answer: Type.Optional(Type.String()),
  label: Type.Optional(Type.Enum([0, 1])),
  score: Type.Optional(Type.Number())
})
export const feedbackList =
  Type.Object({ object: Type.Literal('list'), data: Type.Array(feedbackObject), has_more: Type.Boolean() })

export const suggestionList = Type.Object({
  object: Type.Literal('list'), data: Type.Array(Type.Object({ index: Type.Integer(), gain: Type.Number() }))
})

export const deletedObject = Type.Object({ id: Type.String(), object: Type.String(), deleted: Type.Literal(true) })

export const tokenizeObject = Type.Object({
  count: Type.Integer(),
  max_model_len: Type.Integer(),
  tokens: Type.Array(Type.Integer()),
  token_strs: Type.Optional(Type.Array(Type.String()))
})
const textOrNull = Type.Union([Type.String(), Type.Null()])
export const tokenizerInfoObject = Type.Object({
  bos_token: textOrNull,
  eos_token: textOrNull,
  pad_token: Type.Null(),
  model_max_length: Type.Integer(),
  chat_template: Type.String()
})
export const detokenizeObject = Type.Object({ prompt: Type.String() })

export const embeddingList = Type.Object({
  object: Type.Literal('list'),
  data: Type.Array(Type.Object({
    object: Type.Literal('embedding'),
    index: Type.Integer(),
    embedding: Type.Union([Type.Array(Type.Number()), Type.String()])
  })),
  model: Type.String(),
  usage: Type.Object({ prompt_tokens: Type.Integer(), total_tokens: Type.Integer() })
})

const runningModelObject = Type.Object({
  id: Type.String(),
  system_fingerprint: Type.String(),
  format: Type.String({ description: 'weight format in use' }),
  threads: Type.Integer(),
  operators: Type.Array(Type.String(), {
    description: 'what its matrices are multiplied with, as the self-test chose it'
  }),
  shared_prompts: Type.Boolean({ description: 'whether candidates share the KV of their prompt where that pays' }),
  onnxruntime: Type.String({ description: 'version of ONNX Runtime' }),
  instruction_set: Type.String({ description: 'what the processor says it has, of what kernels are chosen by' }),
  kernels: Type.String({ description: 'tells kernels apart that round differently' }),
  self_test: Type.Array(Type.String(), {
    description: 'what the self-test found wrong on this processor, and what is done in its place'
  })
})
export const versionObject = Type.Object({
  version: Type.String(),
  models: Type.Array(runningModelObject, { description: 'none while they are loading' })
})
export const statusObject = Type.Object({ status: Type.String() })
