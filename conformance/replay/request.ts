/** What a request of the replay is, and the calls that most are made of. */
import type { Call, FromEarlier, HttpCall, Json } from './calls.js'

/** One entry of the list: a call, or several that belong together, one after the other. */
export interface Request {
  readonly name: string
  readonly calls: readonly Call[]
}

export const model = 'smollm2-135m'
export const lighthouse = [{ role: 'user', content: 'Write a short review of a film about a lighthouse keeper.' }]

export const post = (path: FromEarlier<string>, body: FromEarlier<Json | string>): HttpCall => (
  { method: 'POST', path, body }
)
export const get = (path: FromEarlier<string>): HttpCall => ({ method: 'GET', path })
export const remove = (path: FromEarlier<string>): HttpCall => ({ method: 'DELETE', path })

/** A chat that is short and has a seed. */
export const chat = (more: object): HttpCall => (
  post('/v1/chat/completions', { model, messages: lighthouse, max_tokens: 16, seed: 7, ...more })
)

/** The id in an earlier answer of the same request. */
export const id = (earlier: readonly Json[], index = 0): string => earlier[index]!['id'] as string
