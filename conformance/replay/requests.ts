/**
 * The sixty requests of the replay, in the order they are sent: every endpoint, and every strategy (`guided-
 * requests.ts`). The order counts, since later prompts find earlier ones in the prefix cache; those whose end depends
 * on timing come last.
 */
import type { HttpCall, Json } from './calls.js'
import { guidedRequests } from './guided-requests.js'
import { apiDigest, figures } from './summaries.js'
import { chat, get, lighthouse, model, post, remove, type Request } from './request.js'

const one = (name: string, call: HttpCall): Request => ({ name, calls: [call] })

const calm = { role: 'assistant', content: 'A calm film.' }

const plain: readonly Request[] = [
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

const reviewSchema = {
  type: 'object',
  properties: { stars: { type: 'integer', minimum: 1, maximum: 5 }, when: { type: 'string', format: 'date' } },
  required: ['stars', 'when'],
  additionalProperties: false
}

const tool = {
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
const weather = [{ role: 'user', content: 'What is the weather in Oslo?' }]
const calledBefore = { name: tool.name, arguments: '{"city":"Oslo"}' }
const chatTools = { messages: weather, tools: [{ type: 'function', function: tool }], max_tokens: 32 }

const formed: readonly Request[] = [
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

const legacy: readonly Request[] = [
  {
    name: 'legacy: two prompts, echo, logprobs; token ids, best_of; a prompt that is only read',
    calls: [
      post('/v1/completions', {
        model, prompt: ['The keeper of the', 'Once upon a time'], max_tokens: 6, seed: 3, echo: true, logprobs: 2
      }),
      post('/v1/completions', { model, prompt: [504, 11702, 282], max_tokens: 8, seed: 3, best_of: 4, n: 2 }),
      post('/v1/completions', { model, prompt: 'The sea is blue.', max_tokens: 0, echo: true, logprobs: 1 })
    ]
  }
]

const id = (earlier: readonly Json[], index = 0): string => earlier[index]!['id'] as string
const city = { model, input: 'Name a city by the sea.', max_output_tokens: 12, seed: 1 }

/** Of a response in the background, as it begins. */
const begun = ({ id, object, background }: Json): Json => ({ id, object, background })
/** The id that a response's first event tells. */
const streamedId = (events: Json): string => events[0].response.id as string
/** The call that a response's last event tells. */
const calledId = (events: Json): string => events.at(-1).response.output.at(-1).call_id as string
const hasEnded = ({ status }: Json): boolean => status !== 'queued' && status !== 'in_progress'

const responses: readonly Request[] = [
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

const created = (request: object, name: string) => ({
  send: { type: 'create', id: name, request: { model, messages: lighthouse, max_tokens: 8, seed: 3, ...request } },
  until: ({ type, id }: Json) => id === name && (type === 'completed' || type === 'error')
})
const beams = { strategy: 'beam_search', num_beams: 2, num_children: 2, step: { tokens: 4 }, reward: 'positive' }
const ended = ({ type }: Json): boolean => /^response\.(completed|incomplete|failed)$|^error$/.test(type as string)
const lastId = (events: readonly Json[]): string => events.at(-1)!['response'].id as string
const turn = { type: 'response.create', model, input: 'Name a city.', max_output_tokens: 6, seed: 1 }

const sockets: readonly Request[] = [
  {
    name: 'WebSocket /v1/stream: plain, guided, refused',
    calls: [{
      socket: '/v1/stream',
      messages: [
        created({}, 'plain'),
        created({ alignment: beams }, 'beams'),
        created({ temperature: 9 }, 'bad'),
        { send: '{nonsense', until: ({ type }) => type === 'error' }
      ]
    }]
  },
  {
    name: 'WebSocket /v1/responses: read only, one, one that goes on, refused',
    calls: [{
      socket: '/v1/responses',
      messages: [
        { send: { ...turn, generate: false }, until: ended },
        { send: { ...turn, stream_id: 'a', store: false }, until: ended },
        {
          send: events => ({ ...turn, stream_id: 'a', input: 'And another.', previous_response_id: lastId(events) }),
          until: ended
        },
        { send: { ...turn, temperature: 9 }, until: ended }
      ]
    }]
  }
]

const pairs = Array.from({ length: 24 }, (_, day) => ({
  prompt: `Tell me of day ${day}.`,
  chosen: `Day ${day} was calm, and we read a book by the lamp.`,
  rejected: `day ${day} noise noise bad ${day * 7} ${day % 3 === 0 ? 'and a book' : 'storm'}`
}))
const fitted = { examples: pairs, layers: [10], data: 'made pairs', licence: 'none' }

const rewards: readonly Request[] = [
  {
    name: 'rewards/score: prefixes, a sum, models that read; score and rerank',
    calls: [
      post('/v1/rewards/score', {
        rewards: [{ name: 'positive' }, { name: 'helpful_ensemble', weight: 0.5 }],
        every: 8,
        input: [{ prompt: 'Write a review.', answer: 'A fine film, warm and well acted, though it drags on.' }]
      }),
      post('/v1/rewards/score', {
        reward: 'positive_reader',
        input: [
          { prompt: 'Write a review.', answer: 'A fine film.' }, { prompt: 'Write a review.', answer: 'A dull film.' }
        ]
      }),
      post('/v1/rewards/score', {
        reward: 'sailor',
        reward_scale: 'raw',
        input: [{
          messages: [
            { role: 'user', content: 'Who are you?' }, { role: 'assistant', content: 'Arr, I sail the seven seas!' }
          ]
        }]
      }),
      post('/v1/rewards/score', {
        rewards: [{ name: 'certain' }, { name: 'asks_back', weight: -1 }],
        member: 'prefix',
        input: [
          { prompt: 'Write.', answer: 'The sea is' }
        ]
      }),
      post('/v1/score', { model: 'positive', text_1: 'Write a review.', text_2: ['A moving film.', 'A dreary film.'] }),
      post('/v1/rerank', {
        model: 'helpful',
        query: 'What is a lighthouse?',
        top_n: 2,
        documents: [
          'I do not know.', 'A tower with a light that guides ships.', { text: 'film film film' }
        ]
      })
    ]
  },
  {
    name: 'fit with directions, use, adapt, suggest, delete',
    calls: [
      post('/v1/rewards/fit', { ...fitted, name: 'calm', directions: 3 }),
      get('/v1/rewards/calm'),
      chat({ alignment: { reward: 'calm', num_candidates: 3 }, max_tokens: 8 }),
      post('/v1/rewards/calm/adapt', { name: 'calm-for-ada', examples: pairs.slice(0, 4) }),
      post('/v1/rewards/calm/suggest', {
        labelled: pairs.slice(0, 3),
        count: 2,
        candidates: [
          { prompt: 'Tell me.', answers: ['The sea was calm.', 'Noise and storm.'] },
          { prompt: 'Tell me.', answers: ['A book by the lamp.', 'bad bad'] },
          { prompt: 'Tell me.', answers: ['Yes.', 'No.'] }
        ]
      }),
      post('/v1/rewards/score', { reward: 'calm-for-ada', input: [{ prompt: 'Tell me.', answer: 'A calm day.' }] }),
      remove('/v1/rewards/calm-for-ada'),
      remove('/v1/rewards/positive')
    ]
  },
  {
    name: 'fit an ensemble, streamed; labels; replace',
    calls: [
      post('/v1/rewards/fit', {
        ...fitted,
        name: 'panel',
        ensemble: { heads: 4, uncertainty: 'laplace', combine: 'uwo', penalty: 0.5 },
        stream: true
      }),
      post('/v1/rewards/fit', {
        ...fitted,
        name: 'panel',
        replace: true,
        prefixes: false,
        examples: pairs.flatMap(
          ({ prompt, chosen, rejected }) => [
            { prompt, answer: chosen, label: 1 },
            { prompt, answer: rejected, label: 0 }
          ]
        )
      }),
      post('/v1/rewards/fit', { ...fitted, name: 'panel' })
    ]
  },
  {
    name: 'a stored chat and feedback',
    calls: [
      chat({ store: true, n: 2, max_tokens: 8 }),
      get(earlier => `/v1/chat/completions/${id(earlier)}`),
      post('/v1/feedback', earlier => ({ completion_id: id(earlier), chosen: 1, rejected: 0 })),
      post('/v1/feedback', earlier => ({ completion_id: id(earlier), label: 1, dataset: 'thumbs' })),
      get('/v1/feedback?limit=1'),
      remove(earlier => `/v1/feedback/${id(earlier, 2)}`),
      post('/v1/rewards/fit', { name: 'too-few', feedback: { dataset: 'thumbs' } }),
      remove(earlier => `/v1/chat/completions/${id(earlier)}`),
      get(earlier => `/v1/chat/completions/${id(earlier)}`)
    ]
  }
]

const texts: readonly Request[] = [
  {
    name: 'embeddings; tokenize, detokenize, tokenizer_info',
    calls: [
      post('/v1/embeddings', { model, input: ['A lighthouse.', 'A keeper of a light by the sea.'] }),
      post('/v1/embeddings', { model, input: [504, 11702, 282], encoding_format: 'base64' }),
      post('/tokenize', { prompt: 'Día 3: <|im_end|> 👀', return_token_strs: true }),
      post('/tokenize', { messages: weather, tools: chatTools.tools }),
      post('/detokenize', { tokens: [504, 11702, 282] }),
      get('/tokenizer_info')
    ]
  }
]

const aligned = (alignment: object): HttpCall => chat({ alignment, max_tokens: 4 })

/** Of `/ready`: that nothing is left of what was asked, and what the prefix cache keeps. */
const idle = ({ status, model, engine }: Json): Json => {
  const { sequences, runningRequests, waitingRequests, kvTokens, prefixCacheBytes } = engine as Json
  return { status, model, sequences, runningRequests, waitingRequests, kvTokens, prefixCacheBytes }
}

const told: readonly Request[] = [
  {
    name: 'errors',
    calls: [
      chat({ model: 'gpt-5' }), chat({ messages: [] }), chat({ use_beam_search: true }), chat({ top_logprobs: 2 }),
      chat({ alignmnet: {} }),
      chat({ max_tokens: 8192 }),
      chat({ logit_bias: { 49152: 1 } }),
      chat({ tools: [{ type: 'function' }] }),
      post('/v1/chat/completions', '{"model": '), get('/v1/chat/completions'), get('/v1/nothing'), get('/v1/stream'),
      aligned({ reward: 'positive', num_candidate: 4 }),
      aligned({ reward: 'funny' }),
      aligned({ strategy: 'mcts', reward: 'positive' }),
      aligned({ strategy: 'best_of_n' }), aligned({ strategy: 'token_guidance', method: 'rad', reward: 'positive' }),
      aligned({ strategy: 'beam_search', reward: 'is_review' }),
      aligned({ reward: 'positive', num_candidates: 2, selection: 'threshold', min_reward: 99, fallback: 'error' }),
      chat({ model: `${model}:best-of-3`, alignment: { num_candidates: 9 } }),
      chat({ response_format: { type: 'json_schema', json_schema: { name: 'x', schema: { pattern: 'a' } } } }),
      post('/v1/responses', { ...city, previous_response_id: 'resp_none' }),
      post('/v1/completions', { model, prompt: 'x', best_of: 0 }),
      post('/v1/rewards/fit', { name: 'X', examples: pairs }), post('/v1/feedback', { completion_id: 'none', label: 1 })
    ]
  },
  {
    name: 'models, rewards, versions, the API’s description, readiness, figures',
    calls: [
      get('/v1/models'),
      get(`/v1/models/${model}`),
      get('/v1/models/none'),
      get('/v1/rewards'),
      get('/v1/rewards/helpful'),
      get('/version'), { ...get('/openapi.json'), keep: apiDigest }, get('/docs/'),
      get('/health'), get('/ping'), post('/ping', {}),
      // Its engines must be idle; how many steps they made is among the figures.
      {
        ...get('/ready'),
        keep: idle
      },
      { ...get('/metrics'), keep: figures }
    ]
  }
]

const endless = { max_tokens: 2000, ignore_eos: true }

/**
 * How much is written before it is cancelled is a matter of time: only what does not depend on it is kept, and nothing
 * comes after.
 */
const cancelled: readonly Request[] = [{
  name: 'cancelled over a WebSocket, and in the background',
  calls: [
    {
      socket: '/v1/stream',
      messages: [
        { ...created(endless, 'long'), until: ({ type }) => type === 'chunk' },
        { send: { type: 'cancel', id: 'long' }, until: ({ type }) => type === 'error' }
      ],
      keep: (events: Json[]) => events.filter(({ type }) => type !== 'chunk')
    },
    {
      ...post('/v1/responses', { ...city, max_output_tokens: 2000, ignore_eos: true, background: true }),
      keep: begun
    },
    {
      ...post(earlier => `/v1/responses/${id(earlier, 1)}/cancel`, {}),
      keep: ({ id, status, error, incomplete_details: details }) => ({ id, status, error, incomplete_details: details })
    }
  ]
}]

export const requests: readonly Request[] = [
  ...plain,
  ...formed,
  ...legacy,
  ...responses,
  ...guidedRequests,
  ...sockets,
  ...rewards,
  ...texts,
  ...told,
  ...cancelled
]
