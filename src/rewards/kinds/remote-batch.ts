/**
 * Gathers what one request asks a remote scorer in one turn of the event loop and sends it in as few requests as the
 * protocol takes, side by side. Knows when and together with what things are sent; HTTP is `remote-http.ts`.
 */
import { createHash, randomUUID } from 'node:crypto'
import { post } from './remote-http.js'
import { readRows, type Asked, type Protocol, type RemoteItem } from './remote-protocols.js'

/** Requests in flight to a server for one generation. */
const maxInFlight = 8

/** A scorer as all requests see it. */
export interface RemoteScorerInfo {
  readonly url: string
  readonly protocol: Protocol
  readonly asked: Asked
  /** `model` of the requests; null where the server wants none. */
  readonly model: string | null
  readonly apiKey: string | null
  readonly timeoutMs: number
  /** Whether the server was seen to heed `use_activation`, which servers that do not know it ignore silently. */
  heedsActivation: boolean
}

interface Waiting {
  readonly item: RemoteItem, readonly resolve: (rows: number[][]) => void, readonly reject: (error: Error) => void
}

/** vLLM takes few characters in a salt, and 128 at most. */
const saltField = (salt: string): object =>
  salt === '' ? {} : { cache_salt: createHash('sha256').update(salt).digest('base64url') }

export class RemoteBatch {
  readonly #scorer: RemoteScorerInfo
  readonly #salt: object
  readonly #signal: AbortSignal
  readonly #headers: Readonly<Record<string, string>>
  readonly #queue: Waiting[] = []
  #inFlight = 0
  #scheduled = false

  /**
   * @param salt the server's cached prompts are shared only among equal salts
   * @param signal ends what is under way, and refuses what waits
   */
  constructor (scorer: RemoteScorerInfo, salt: string, signal: AbortSignal) {
    this.#scorer = scorer
    this.#salt = saltField(salt)
    this.#signal = signal
    this.#headers = {
      // Routers keep a session on one replica, which has its prompt in cache.
      'x-session-id': randomUUID(), ...(scorer.apiKey === null ? {} : { authorization: `Bearer ${scorer.apiKey}` })
    }
  }

  /** The numbers of an item. @throws Error in words that follow "the remote scorer" */
  rows (item: RemoteItem): Promise<number[][]> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ item, resolve, reject })
      if (this.#scheduled) return
      this.#scheduled = true
      setImmediate(() => {
        this.#scheduled = false
        this.#send()
      })
    })
  }

  #send (): void {
    while (this.#queue.length > 0 && this.#inFlight < maxInFlight) {
      const batch = this.#queue.splice(0, this.#scorer.protocol.maxItems(this.#queue[0]!.item))
      this.#inFlight++
      this.#askChecked(batch.map(({ item }) => item)).then(
        rows => { for (const [index, { resolve }] of batch.entries()) resolve(rows[index]!) },
        (error: Error) => { for (const { reject } of batch) reject(error) }
      ).finally(() => {
        this.#inFlight--
        this.#send()
      })
    }
  }

  /** Asks; the first time for numbers without activation also with it, which must make a difference. */
  async #askChecked (items: readonly RemoteItem[]): Promise<number[][][]> {
    const { asked } = this.#scorer
    const rows = await this.#ask(items, asked)
    if (asked.useActivation !== false || this.#scorer.heedsActivation) return rows
    const [activated] = await this.#ask(items.slice(0, 1), { ...asked, useActivation: true })
    if (JSON.stringify(activated) === JSON.stringify(rows[0])) {
      throw new Error('ignores use_activation: its numbers are the same with and without; leave useActivation out')
    }
    this.#scorer.heedsActivation = true
    return rows
  }

  async #ask (items: readonly RemoteItem[], asked: Asked): Promise<number[][][]> {
    const { url, protocol, model, timeoutMs } = this.#scorer
    this.#signal.throwIfAborted()
    const response = await post(url, {
      body: { ...(model === null ? {} : { model }), ...protocol.body(items, asked), ...this.#salt },
      headers: this.#headers,
      timeoutMs,
      signal: this.#signal
    })
    return readRows(response, items, protocol, asked)
  }
}
