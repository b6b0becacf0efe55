/** A response as it is kept for later requests. Types only. */
import type { ResponseEvent, ResponseItem, ResponseObject } from './response-types.js'

/** What is known of a response at one moment. */
export interface KeptResponse {
  /** What it read, instructions apart. */
  readonly input: readonly ResponseItem[]
  readonly response: ResponseObject
  readonly isBackground: boolean
  /** Its events so far, by sequence number, if it was asked for as a stream in the background. */
  readonly events: readonly ResponseEvent[] | null
}
