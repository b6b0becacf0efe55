/**
 * Responses that replicas share, as text: those that have ended, and those that run in the background on some replica.
 * A caller's are bounded in number and bytes, all of them in bytes; where room is needed the caller's own least
 * recently used go, never another's.
 */

/** A response as it is kept. */
export interface ResponseTexts {
  /** The response object. */
  readonly response: string
  /** Items that it read. */
  readonly input: readonly string[]
  /** Ids of items that it read or wrote. */
  readonly itemIds: readonly string[]
  readonly isBackground: boolean
  /** Its events by sequence number, if it was asked for as a stream in the background. */
  readonly events: readonly string[] | null
  /** What it takes of its caller's bytes. */
  readonly bytes: number
}

/** `cancelled`: its replica was asked to end it and has not written how it ended; `lost`: its replica is gone. */
export type ResponseState = 'ended' | 'running' | 'cancelled' | 'lost'

/** How much is kept. */
export interface ResponseLimits {
  /** Of each caller, those that run included. */
  readonly responses: number
  readonly bytesPerCaller: number
  readonly bytes: number
}

/** Everything throws RequestError store_unavailable where the store cannot be reached. */
export interface SharedResponses {
  find (caller: string, id: string): Promise<{ readonly texts: ResponseTexts, readonly state: ResponseState } | null>
  /** Which responses hold some items: item → response, the most recently used. */
  holders (caller: string, itemIds: readonly string[]): Promise<ReadonlyMap<string, string>>
  /** Keeps one that has ended. @returns whether there is room */
  keep (caller: string, id: string, texts: ResponseTexts): Promise<boolean>
  /** Keeps one that runs here, for others to see. @returns whether there is room */
  begin (caller: string, id: string, texts: ResponseTexts): Promise<boolean>
  /** Puts what one that was begun has become in its place, where there is room. One that was deleted stays so. */
  end (caller: string, id: string, texts: ResponseTexts): Promise<void>
  /** Asks whichever replica runs it to end it. @returns whether one runs it */
  cancel (caller: string, id: string): Promise<boolean>
  /** @returns whether there was one */
  delete (caller: string, id: string): Promise<boolean>
  /** Tells of those that run here and were cancelled or deleted at another replica, within a second or two. */
  onEnded (listener: (id: string) => void): void
}
