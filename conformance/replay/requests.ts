/**
 * The sixty requests of the replay, in the order they are sent: every endpoint, and every strategy. Those
 * of one endpoint have a file, `…-requests.ts`; the rest are here. The order counts, since later prompts find earlier
 * ones in the prefix cache; those whose end depends on timing come last.
 */
import type { HttpCall, Json } from './calls.js'
import { chatTools, constrainedChats, plainChats, weather } from './chat-requests.js'
import { guidedRequests } from './guided-requests.js'
import { chat, get, id, model, post, type Request } from './request.js'
import { begun, city, responses } from './response-requests.js'
import { pairs, rewards } from './reward-requests.js'
import { created, sockets } from './socket-requests.js'
import { apiDigest, figures } from './summaries.js'

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

const reported: readonly Request[] = [
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
  ...plainChats,
  ...constrainedChats,
  ...legacy,
  ...responses,
  ...guidedRequests,
  ...sockets,
  ...rewards,
  ...texts,
  ...reported,
  ...cancelled
]
