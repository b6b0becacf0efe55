/** Bounds how many bytes the bodies of all requests hold at a time, from their heads until they are answered. */
import { RequestError } from '../../errors.js'

/** How long to wait before a new try is worth it, ms. */
const retryAfterMs = 1000

/** What bodies hold. A caller may have half of it, so that others find room. */
export class BodyMemory {
  readonly #most: number
  readonly #held = new WeakMap<object, number>()
  #all = 0

  /** @param most bytes, of all callers */
  constructor (most: number) { this.#most = most }

  /**
   * Takes room for a body. @returns what gives it back; to be called once
   * @param caller whose body it is
   * @throws RequestError rate_limit_exceeded where the caller's others leave no room, unavailable where everybody's do
   */
  take (caller: object, bytes: number): () => void {
    const held = this.#held.get(caller) ?? 0
    // One alone is never too large: body-limit-bytes decides that.
    if (held > 0 && held + bytes > this.#most / 2) {
      throw new RequestError('rate_limit_exceeded', 'The bodies of one caller’s requests that are not answered ' +
        `yet may have ${Math.floor(this.#most / 2)} bytes in all (request-memory-bytes)`, { retryAfterMs })
    }
    if (this.#all > 0 && this.#all + bytes > this.#most) {
      throw new RequestError('unavailable', 'The bodies of requests that are not answered yet take all the memory ' +
        'there is for them (request-memory-bytes)', { retryAfterMs })
    }
    this.#add(caller, bytes)
    return () => { this.#add(caller, -bytes) }
  }

  #add (caller: object, bytes: number): void {
    this.#held.set(caller, (this.#held.get(caller) ?? 0) + bytes)
    this.#all += bytes
  }
}
