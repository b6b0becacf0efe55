/** Replayed sessions over WebSockets. */
import type { Json } from './calls.js'
import { lighthouse, model, type Request } from './request.js'

export const created = (request: object, name: string) => ({
  send: { type: 'create', id: name, request: { model, messages: lighthouse, max_tokens: 8, seed: 3, ...request } },
  until: ({ type, id }: Json) => id === name && (type === 'completed' || type === 'error')
})
const beams = { strategy: 'beam_search', num_beams: 2, num_children: 2, step: { tokens: 4 }, reward: 'positive' }
const ended = ({ type }: Json): boolean => /^response\.(completed|incomplete|failed)$|^error$/.test(type as string)
const lastId = (events: readonly Json[]): string => events.at(-1)!['response'].id as string
const turn = { type: 'response.create', model, input: 'Name a city.', max_output_tokens: 6, seed: 1 }

export const sockets: readonly Request[] = [
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
