/**
 * What a server keeps for later requests and shares with its replicas, where it has some: chats and feedback,
 * responses, what callers may have a minute. Rewards are kept by the thread that runs them (`open-store.ts`).
 */
import type { RequestError } from '../errors.js'
import type { Chats } from './chats.js'
import type { Rates } from './rates.js'
import type { SharedResponses } from './responses.js'

export interface Store {
  readonly chats: Chats
  readonly rates: Rates
  /** Null where nothing is shared: responses are kept in memory then. */
  readonly responses: SharedResponses | null
  /** What a shared store is called, without secrets; null where nothing is shared. */
  readonly name: string | null
  /** Why a shared store cannot be used at this moment; null where it can. */
  readonly problem: RequestError | null
  /** Whether it could be used since the start. */
  readonly wasReached: boolean
  /** When it could be used for the first time. @throws RequestError store_unavailable where it is closed before */
  readonly reached: Promise<void>
  /**
   * A number that changes with the rewards that are kept; null where no other process changes them.
   * @throws RequestError store_unavailable
   */
  rewardsRevision (): Promise<number | null>
  /** Idempotent. */
  close (): Promise<void>
}
