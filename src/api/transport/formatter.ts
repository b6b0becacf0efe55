/** What turns the events of a request into the objects that its endpoint answers with. */
import type { RequestError } from '../../errors.js'

export interface Formatter<E> {
  /** Remembers what the whole object is made of. */
  see (event: E): void | Promise<void>
  /** The whole object, after the last event. */
  completion (): object
  /** The chunks of an event, which it sees. */
  chunks (event: E): object[] | Promise<object[]>
  /** The chunks of an error after the first chunk. */
  failure (error: RequestError): object[] | Promise<object[]>
  /** What a stream ends with, well or badly. */
  readonly closing: readonly string[]
}

/** A formatter whose streams are chunks and end with `[DONE]`, as all but those of responses do. */
export abstract class ChunkFormatter<E> implements Formatter<E> {
  readonly closing = ['[DONE]']

  abstract see (event: E): void
  abstract completion (): object
  abstract chunks (event: E): object[]

  failure (error: RequestError): object[] { return [error.toBody()] }
}
