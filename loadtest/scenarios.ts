/** What is measured: each scenario is a kind of request, a way to send it, and how many at a time. */
import { promptOf } from './prompts.js'

export interface Scenario {
  readonly name: string
  readonly transport: 'http' | 'websocket'
  /** Requests in flight. */
  readonly concurrency: number
  readonly stream: boolean
  /** The body of the i-th request. */
  readonly body: (index: number) => Record<string, unknown>
}

export interface LoadOptions {
  readonly model: string
  readonly maxTokens: number
  readonly concurrencies: readonly number[]
}

/** Chat, streamed chat and best-of-8 over HTTP at each concurrency, then chat over WebSockets. */
export function scenarios ({ model, maxTokens, concurrencies }: LoadOptions): Scenario[] {
  const chat = (index: number, more: object = {}): Record<string, unknown> =>
    ({ model, messages: [{ role: 'user', content: promptOf(index) }], max_tokens: maxTokens, ignore_eos: true, seed: index, ...more })
  const kinds: ReadonlyArray<readonly [string, boolean, (index: number) => Record<string, unknown>]> = [
    ['chat', false, index => chat(index)],
    ['streaming', true, index => chat(index, { stream: true, stream_options: { include_usage: true } })],
    ['best_of_8', false, index => chat(index, { alignment: { strategy: 'best_of_n', num_candidates: 8, reward: 'positive' } })]
  ]
  const http = kinds.flatMap(([name, stream, body]) => concurrencies.map(concurrency => ({ name, transport: 'http' as const, concurrency, stream, body })))
  return [...http, { name: 'websocket', transport: 'websocket', concurrency: Math.max(...concurrencies), stream: true, body: index => chat(index) }]
}
