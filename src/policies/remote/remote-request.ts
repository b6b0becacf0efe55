/** What a request brings to an engine elsewhere, and what it uses there. */
import type { AnswerRules } from '../transcript.js'
import type { Guides, Structure } from './engine-call.js'
import type { EngineHeads } from './engine-heads.js'
import type { RemoteEngine } from './remote-engine.js'

/** What a request used of an engine. */
export interface EngineLedger {
  calls: number
  /** Calls that failed and were made again. */
  failedCalls: number
  /** Tokens of what the calls had the engine read, as far as it said. */
  promptTokens: number
  /** Of those, read from its cache. */
  cachedTokens: number
  /** Of the request's own prompt, from the cache when it was first read; null where that is not known. */
  cachedPromptTokens: number | null
}

export const emptyEngineLedger = (): EngineLedger =>
  ({ calls: 0, failedCalls: 0, promptTokens: 0, cachedTokens: 0, cachedPromptTokens: null })

/** What a request brings to an engine elsewhere. */
export interface RemoteRequest extends AnswerRules {
  readonly engine: RemoteEngine
  /** The same for all calls of the request: routers and replicas keep them together by it. */
  readonly session: string
  readonly salt: string
  /** What answers are held to, each in one call; null where anything may be written. */
  readonly structure: Structure | null
  /** Heads that the request's rewards are; null where none is. */
  readonly heads: EngineHeads | null
  /** What tokens are guided by as they are drawn, for which there are heads; null for nothing. */
  readonly guides: Guides | null
  /** Tokens that may come together: 1 where text is shown as it comes. */
  readonly interval: number
  readonly ledger: EngineLedger
  /** Aborted when the request ends. */
  readonly signal: AbortSignal
  /** The UTF-8 bytes a token stands for, for logprobs. */
  tokenBytes (token: number): Uint8Array
}
