/** What endpoints answer, for the API's description. The objects themselves are made by the formatters. */
import { Type, type TSchema } from 'typebox'

const usage = Type.Object({
  prompt_tokens: Type.Integer(),
  completion_tokens: Type.Integer(),
  total_tokens: Type.Integer(),
  prompt_tokens_details: Type.Object({ cached_tokens: Type.Integer() }),
  completion_tokens_details: Type.Optional(Type.Object({
    accepted_prediction_tokens: Type.Integer(), rejected_prediction_tokens: Type.Integer()
  })),
  alignment_details: Type.Record(Type.String(), Type.Integer())
})

const head = { id: Type.String(), created: Type.Integer(), model: Type.String(), system_fingerprint: Type.String() }
const finishReason = Type.Enum(['stop', 'length'])
const listOf = (data: TSchema): TSchema => Type.Object({ object: Type.Literal('list'), data: Type.Array(data) })

export const errorObject = Type.Object({
  error: Type.Object({
    message: Type.String(),
    type: Type.String(),
    param: Type.Union([Type.String(), Type.Null()]),
    code: Type.Union([Type.String(), Type.Null()])
  })
})

export const chatCompletionObject = Type.Object({
  ...head,
  object: Type.Literal('chat.completion'),
  choices: Type.Array(Type.Object({
    index: Type.Integer(),
    message: Type.Object({
      role: Type.Literal('assistant'),
      content: Type.Union([Type.String(), Type.Null()]),
      refusal: Type.Null(),
      tool_calls: Type.Optional(Type.Array(Type.Object({
        id: Type.String(),
        type: Type.Literal('function'),
        function: Type.Object({ name: Type.String(), arguments: Type.String() })
      })))
    }),
    logprobs: Type.Union([Type.Object({
      content: Type.Array(Type.Object({
        token: Type.String(), logprob: Type.Number(), bytes: Type.Array(Type.Integer())
      }))
    }), Type.Null()]),
    finish_reason: Type.Enum(['stop', 'length', 'tool_calls'])
  })),
  usage
})

export const completionObject = Type.Object({
  ...head,
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
    finish_reason: finishReason
  })),
  usage
})

const textPart = Type.Object({ type: Type.Enum(['input_text', 'output_text']), text: Type.String() })
const itemStatus = Type.Enum(['in_progress', 'completed', 'incomplete'])
const messageItem = Type.Object({
  id: Type.String(),
  type: Type.Literal('message'),
  role: Type.String(),
  status: itemStatus,
  content: Type.Array(textPart)
})
const callItem = Type.Object({
  id: Type.String(),
  type: Type.Literal('function_call'),
  status: itemStatus,
  call_id: Type.String(),
  name: Type.String(),
  arguments: Type.String()
})
const callResultItem = Type.Object({
  id: Type.String(),
  type: Type.Literal('function_call_output'),
  status: itemStatus,
  call_id: Type.String(),
  output: Type.String()
})
const orNull = (schema: TSchema): TSchema => Type.Union([schema, Type.Null()])

export const responseObject = Type.Object({
  id: Type.String(),
  object: Type.Literal('response'),
  created_at: Type.Integer(),
  completed_at: orNull(Type.Integer()),
  status: Type.Enum(['queued', 'in_progress', 'completed', 'incomplete', 'failed', 'cancelled']),
  background: Type.Boolean(),
  error: orNull(Type.Object({ code: Type.String(), message: Type.String() })),
  incomplete_details: orNull(Type.Object({ reason: Type.String() })),
  instructions: orNull(Type.String()),
  max_output_tokens: orNull(Type.Integer()),
  metadata: orNull(Type.Record(Type.String(), Type.String())),
  model: Type.String(),
  output: Type.Array(Type.Union([messageItem, callItem])),
  parallel_tool_calls: Type.Boolean(),
  previous_response_id: orNull(Type.String()),
  store: Type.Boolean(),
  temperature: Type.Number(),
  top_p: Type.Number(),
  top_logprobs: Type.Integer(),
  truncation: Type.Enum(['auto', 'disabled']),
  usage: orNull(Type.Object({
    input_tokens: Type.Integer(),
    input_tokens_details: Type.Object({ cached_tokens: Type.Integer() }),
    output_tokens: Type.Integer(),
    output_tokens_details: Type.Object({ reasoning_tokens: Type.Integer() }),
    total_tokens: Type.Integer(),
    alignment_details: Type.Record(Type.String(), Type.Integer())
  }))
})
export const itemList = Type.Object({
  object: Type.Literal('list'),
  data: Type.Array(Type.Union([messageItem, callItem, callResultItem])),
  first_id: orNull(Type.String()),
  last_id: orNull(Type.String()),
  has_more: Type.Boolean()
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

const warnings = Type.Array(Type.Object({ code: Type.String(), message: Type.String() }))
const scoreUsage = Type.Object({
  prompt_tokens: Type.Integer(),
  total_tokens: Type.Integer(),
  prompt_tokens_details: Type.Object({ cached_tokens: Type.Integer() }),
  computed_tokens: Type.Integer()
})
const scoreFields = {
  reward: Type.Number(),
  rewards: Type.Record(Type.String(), Type.Object({
    raw: Type.Number(),
    standardized: Type.Number(),
    std: Type.Optional(Type.Number()),
    steps: Type.Optional(Type.Array(Type.Number()))
  }))
}
export const rewardScoreList = Type.Object({
  object: Type.Literal('list'),
  model: Type.String(),
  rewards_used: Type.Array(Type.Object({
    name: Type.String(), member: Type.String(), version: Type.String(), weight: Type.Number()
  })),
  data: Type.Array(Type.Object({
    index: Type.Integer(),
    object: Type.Literal('reward_score'),
    ...scoreFields,
    tokens: Type.Integer(),
    prefixes: Type.Optional(Type.Array(Type.Object({ tokens: Type.Integer(), text: Type.String(), ...scoreFields })))
  })),
  warnings,
  usage: scoreUsage
})
export const scoredList = Type.Object({
  id: Type.String(),
  object: Type.Literal('list'),
  created: Type.Integer(),
  model: Type.String(),
  data: Type.Array(Type.Object({ index: Type.Integer(), object: Type.Literal('score'), score: Type.Number() })),
  warnings,
  usage: scoreUsage
})
export const rerankedList = Type.Object({
  id: Type.String(),
  model: Type.String(),
  results: Type.Array(Type.Object({
    index: Type.Integer(), document: Type.Optional(Type.Object({ text: Type.String() })), relevance_score: Type.Number()
  })),
  warnings,
  usage: scoreUsage
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
