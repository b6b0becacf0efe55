/** Replayed requests to `/v1/responses` over HTTP. */
import type { Json } from './calls.js'
import { reviewSchema, tool, weather } from './chat-requests.js'
import { get, id, model, post, remove, type Request } from './request.js'

export const city = { model, input: 'Name a city by the sea.', max_output_tokens: 12, seed: 1 }

/** Of a response in the background, as it begins. */
export const begun = ({ id, object, background }: Json): Json => ({ id, object, background })
/** The id that a response's first event tells. */
const streamedId = (events: Json): string => events[0].response.id as string
/** The call that a response's last event tells. */
const calledId = (events: Json): string => events.at(-1).response.output.at(-1).call_id as string
const hasEnded = ({ status }: Json): boolean => status !== 'queued' && status !== 'in_progress'

export const responses: readonly Request[] = [
  {
    name: 'responses: one, what it read, one that goes on from it, deleted',
    calls: [
      post('/v1/responses', {
        ...city,
        instructions: 'Be brief.',
        metadata: { who: 'me' },
        include: ['message.output_text.logprobs'],
        top_logprobs: 1
      }),
      get(earlier => `/v1/responses/${id(earlier)}`),
      get(earlier => `/v1/responses/${id(earlier)}/input_items?order=asc`),
      post('/v1/responses', earlier => ({
        ...city,
        input: 'And one in the mountains.',
        previous_response_id: id(earlier),
        stream: true,
        max_output_tokens: 6
      })),
      remove(earlier => `/v1/responses/${id(earlier)}`),
      get(earlier => `/v1/responses/${id(earlier)}`)
    ]
  },
  {
    name: 'responses: in the background, and its events read again',
    calls: [
      // How far it is when this is answered is a matter of time.
      { ...post('/v1/responses', { ...city, background: true }), keep: begun },
      { ...get(earlier => `/v1/responses/${id(earlier)}`), until: hasEnded },
      post('/v1/responses', { ...city, background: true, stream: true, max_output_tokens: 4, truncation: 'auto' }),
      get(earlier => `/v1/responses/${streamedId(earlier[2]!)}?stream=true&starting_after=6`),
      post(earlier => `/v1/responses/${streamedId(earlier[2]!)}/cancel`, {})
    ]
  },
  {
    name: 'responses: a call of a function, streamed; its result; JSON of a schema',
    calls: [
      post('/v1/responses', {
        model,
        input: weather[0]!.content,
        tools: [{ type: 'function', ...tool }],
        tool_choice: 'required',
        parallel_tool_calls: false,
        max_output_tokens: 48,
        seed: 2,
        stream: true
      }),
      post('/v1/responses', ([events]) => ({
        model,
        previous_response_id: streamedId(events!),
        max_output_tokens: 8,
        seed: 2,
        tools: [{ type: 'function', ...tool }],
        input: [{ type: 'function_call_output', call_id: calledId(events!), output: 'Rain.' }]
      })),
      post('/v1/responses', {
        ...city, max_output_tokens: 32, text: { format: { type: 'json_schema', name: 'review', schema: reviewSchema } }
      })
    ]
  }
]
