/** What endpoints answer, for the API's description. The objects themselves are made by the formatters. */
import { Type, type TSchema } from 'typebox'

const usage = Type.Object({
  prompt_tokens: Type.Integer(),
  completion_tokens: Type.Integer(),
  total_tokens: Type.Integer(),
  prompt_tokens_details: Type.Object({ cached_tokens: Type.Integer() }),
  alignment_details: Type.Record(Type.String(), Type.Integer())
})

const head = { id: Type.String(), created: Type.Integer(), model: Type.String(), system_fingerprint: Type.String() }
const finishReason = Type.Enum(['stop', 'length'])
const listOf = (data: TSchema): TSchema => Type.Object({ object: Type.Literal('list'), data: Type.Array(data) })

export const errorObject = Type.Object({
  error: Type.Object({ message: Type.String(), type: Type.String(), param: Type.Union([Type.String(), Type.Null()]), code: Type.Union([Type.String(), Type.Null()]) })
})

export const chatCompletionObject = Type.Object({
  ...head,
  object: Type.Literal('chat.completion'),
  choices: Type.Array(Type.Object({
    index: Type.Integer(),
    message: Type.Object({ role: Type.Literal('assistant'), content: Type.String(), refusal: Type.Null() }),
    logprobs: Type.Union([Type.Object({ content: Type.Array(Type.Object({ token: Type.String(), logprob: Type.Number(), bytes: Type.Array(Type.Integer()) })) }), Type.Null()]),
    finish_reason: finishReason
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

export const modelObject = Type.Object({ id: Type.String(), object: Type.Literal('model'), created: Type.Integer(), owned_by: Type.String(), max_model_len: Type.Integer() })
export const modelList = listOf(modelObject)
export const rewardList = listOf(Type.Object({ id: Type.String(), object: Type.Literal('reward'), members: Type.Array(Type.String()), description: Type.String() }))

export const tokenizeObject = Type.Object({ count: Type.Integer(), max_model_len: Type.Integer(), tokens: Type.Array(Type.Integer()), token_strs: Type.Optional(Type.Array(Type.String())) })
export const detokenizeObject = Type.Object({ prompt: Type.String() })

export const embeddingList = Type.Object({
  object: Type.Literal('list'),
  data: Type.Array(Type.Object({ object: Type.Literal('embedding'), index: Type.Integer(), embedding: Type.Union([Type.Array(Type.Number()), Type.String()]) })),
  model: Type.String(),
  usage: Type.Object({ prompt_tokens: Type.Integer(), total_tokens: Type.Integer() })
})

export const versionObject = Type.Object({ version: Type.String() })
export const statusObject = Type.Object({ status: Type.String() })
