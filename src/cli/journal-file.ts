/** The file that a run's journal is written to, line by line, as it comes. */
import { closeSync, openSync, writeSync } from 'node:fs'
import { RequestError } from '../errors.js'
import { lineOf } from '../journal/wire.js'
import type { GenerationEvent } from '../serving/protocol.js'

/** An open file. */
export class JournalFile {
  readonly #path: string
  readonly #file: number

  /** @throws RequestError where it cannot be opened */
  constructor (path: string) {
    this.#path = path
    this.#file = this.#try(() => openSync(path, 'w'))
  }

  #try<T> (work: () => T): T {
    try {
      return work()
    } catch (cause) {
      throw new RequestError('invalid_request',
        `cannot write ${this.#path} (--journal): ${cause instanceof Error ? cause.message : String(cause)}`,
        { param: 'journal', cause })
    }
  }

  /** The same events, of which those of the journal are written. @throws RequestError where they cannot be */
  async * keep (events: AsyncIterable<GenerationEvent>): AsyncGenerator<GenerationEvent, void, undefined> {
    for await (const event of events) {
      if (event.type === 'journal') {
        const lines = event.entries.map(lineOf).join('')
        this.#try(() => { writeSync(this.#file, lines) })
      }
      yield event
    }
  }

  close (): void { closeSync(this.#file) }
}
