/** Replayed requests to `/v1/chat/completions`: plain ones, then those with a schema or tools. */
import type { HttpCall } from './calls.js'
import { chat, lighthouse, type Request } from './request.js'

const one = (name: string, call: HttpCall): Request => ({ name, calls: [call] })

const calm = { role: 'assistant', content: 'A calm film.' }

export const plainChats: readonly Request[] = [
  one('a chat', chat({})),
  one('greedy, with logprobs and token ids', chat({
    temperature: 0, logprobs: true, top_logprobs: 3, return_token_ids: true
  })),
  one('three choices, stop texts', chat({ n: 3, top_p: 0.9, stop: [' the', '.'], include_stop_str_in_output: true })),
  one('logit_bias, penalties', chat({
    max_tokens: 24,
    temperature: 0.8,
    logit_bias: { 28: -100, 30: 4 },
    frequency_penalty: 0.8,
    presence_penalty: 0.4,
    logprobs: true
  })),
  one('top_k, min_p, repetition_penalty, end tokens', chat({
    top_k: 40,
    min_p: 0.05,
    repetition_penalty: 1.2,
    min_tokens: 4,
    stop_token_ids: [28, 30],
    skip_special_tokens: false,
    some_new_field: 1
  })),
  {
    name: 'the prefix cache: a second turn, another salt',
    calls: [
      chat({ messages: [...lighthouse, calm, { role: 'user', content: 'Say more.' }], max_tokens: 8 }),
      chat({ cache_salt: 'another', max_tokens: 8 })
    ]
  },
  one('drafts from the prompt and a prediction', chat({
    temperature: 0,
    max_tokens: 24,
    prompt_lookup: true,
    prediction: { type: 'content', content: 'The film is a review of a film' },
    messages: [{ role: 'user', content: 'Repeat: one two three, one two three, one two three.' }]
  })),
  one('an answer that is begun, echoed', chat({
    messages: [...lighthouse, { role: 'assistant', content: 'I must say that' }],
    continue_final_message: true,
    echo: true
  })),
  one('a stream of two choices with logprobs and usage', chat({
    stream: true,
    n: 2,
    max_tokens: 8,
    logprobs: true,
    top_logprobs: 1,
    stream_options: { include_usage: true },
    return_token_ids: true
  }))
]

export const reviewSchema = {
  type: 'object',
  properties: { stars: { type: 'integer', minimum: 1, maximum: 5 }, when: { type: 'string', format: 'date' } },
  required: ['stars', 'when'],
  additionalProperties: false
}

export const tool = {
  name: 'get_weather',
  description: 'The weather of a city',
  strict: true,
  parameters: {
    type: 'object',
    properties: { city: { type: 'string', maxLength: 12 } },
    required: ['city'],
    additionalProperties: false
  }
}
export const weather = [{ role: 'user', content: 'What is the weather in Oslo?' }]
const calledBefore = { name: tool.name, arguments: '{"city":"Oslo"}' }
export const chatTools = { messages: weather, tools: [{ type: 'function', function: tool }], max_tokens: 32 }

export const constrainedChats: readonly Request[] = [
  {
    name: 'JSON of a schema; any JSON object, streamed',
    calls: [
      chat({
        max_tokens: 32,
        response_format: { type: 'json_schema', json_schema: { name: 'review', strict: true, schema: reviewSchema } }
      }),
      chat({ max_tokens: 24, stream: true, response_format: { type: 'json_object' } })
    ]
  },
  one('a call that must be made, streamed', chat({
    ...chatTools, tool_choice: 'required', parallel_tool_calls: false, stream: true, logprobs: true
  })),
  {
    name: 'a function that must be called; the result of a call',
    calls: [
      chat({ ...chatTools, tool_choice: { type: 'function', function: { name: tool.name } } }),
      chat({
        ...chatTools,
        tool_choice: 'auto',
        max_tokens: 12,
        messages: [
          ...weather,
          {
            role: 'assistant',
            content: null,
            tool_calls: [{ id: 'call_1', type: 'function', function: calledBefore }]
          },
          { role: 'tool', tool_call_id: 'call_1', content: 'Rain.' }
        ]
      })
    ]
  }
]
