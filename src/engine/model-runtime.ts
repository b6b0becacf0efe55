/**
 * A loaded model with the engine that runs it and the KV that may be reserved there: what requests, rewards and fits
 * are given of a policy, a reward's model or a contrast model alike. Types only; it is made in
 * `serving/load-runtime.ts`.
 */
import type { DecoderSessions } from '../models/graph/decoder-sessions.js'
import type { ModelFacts } from '../models/model.js'
import type { Engine } from './engine.js'

/** A model that is loaded, to be run by the processor or a device. */
export interface RunningModel extends ModelFacts {
  /** The processor's; null where a device runs it. */
  readonly sessions: DecoderSessions | null
  /** Frees its memory, after its engine was closed. */
  dispose (): void | Promise<void>
}

export interface ModelRuntime {
  readonly model: RunningModel
  readonly engine: Engine
  /** KV that requests may reserve in the engine, together. */
  readonly kvBudget: KvBudget
  /** Its place among all models: who needs several reserves in this order, served models, which have 0, first. */
  readonly order: number
}

/** KV that is wanted of one engine: what a request can come to hold there, at most. */
export interface KvDemand {
  /** Sequences open at the same time. */
  readonly sequences: number
  /** Tokens of each, those stored once for all apart. */
  readonly tokens: number
  /** Tokens of a prompt whose KV is stored once for all sequences. Default 0. */
  readonly sharedTokens?: number
  /** Tokens of other sequences, of any length, that are held beside these. Default 0. */
  readonly extraTokens?: number
  /** Who waits with a lower one starts earlier. Default 0. */
  readonly priority?: number
  /** Whose it is: of one priority, callers take turns. Default ''. */
  readonly caller?: string
}

/** KV demanded of the engine of a given model. */
export interface RuntimeDemand extends KvDemand { readonly runtime: ModelRuntime }

/** KV that was granted. */
export interface Reservation {
  /** Gives it back. Idempotent. */
  release (): void
}

/** KV of one engine, reserved before a sequence is opened. */
export interface KvBudget {
  /** Tokens of KV that may be reserved together. */
  readonly maxTokens: number
  /** Requests that hold a reservation, and that wait for one. */
  readonly running: number
  readonly waiting: number
  /**
   * Takes its place in the queue, or refuses, at once.
   * @returns resolves when the KV is granted; rejects with the signal's reason if it is aborted before that
   * @throws RequestError `context_length_exceeded` or `budget_exceeded` for what never fits, `rate_limit_exceeded` for
   * a full queue
   */
  reserve (demand: KvDemand, signal?: AbortSignal): Promise<Reservation>
}
