/**
 * Journals of the last runs, whoever asked for them, kept in memory while the server lives: the oldest go first. A run
 * can be read while it is written.
 */
import { EventEmitter, once } from 'node:events'
import { RequestError, requestCancelled } from '../../errors.js'
import type { Entry, Head } from '../../journal/entries.js'
import { lineOf } from '../../journal/wire.js'
import type { GenerationEvent } from '../../serving/protocol.js'

/** Memory that a text takes, at most. */
const bytesOf = (text: string): number => 2 * text.length

export type KeptState = 'waiting' | 'running' | 'done' | 'failed'

/** One run. */
export class KeptRun {
  readonly head: Head
  /** Whose it is. */
  readonly caller: string
  readonly #lines: string[] = []
  readonly #changes = new EventEmitter().setMaxListeners(0)
  bytes = 0
  state: KeptState = 'waiting'
  strategy: string | null = null
  rewards: readonly string[] = []
  /** Tokens drawn for candidates that have been told. */
  tokens = 0
  /** Milliseconds of the last entry. */
  t = 0
  /** Whether it made room for others, or was deleted: nothing is added any more. */
  isGone = false

  constructor (head: Head, caller: string) {
    this.head = head
    this.caller = caller
    this.add(head)
  }

  get hasEnded (): boolean { return this.isGone || this.state === 'done' || this.state === 'failed' }
  get lines (): readonly string[] { return this.#lines }

  add (entry: Entry): void {
    const line = lineOf(entry)
    this.#lines.push(line)
    this.bytes += bytesOf(line)
    if ('t' in entry) this.#follow(entry)
    this.#changes.emit('change')
  }

  #follow (entry: Exclude<Entry, Head>): void {
    this.t = entry.t
    if ('grow' in entry) {
      for (const [, grown] of entry.grow) this.tokens += typeof grown === 'number' ? grown : grown.length
    } else if ('start' in entry) {
      this.state = 'running'
      this.strategy = entry.start.strategy
      this.rewards = entry.start.rewards.map(([name]) => name)
    } else if ('done' in entry) {
      this.state = 'done'
      this.tokens = entry.done.usage.generated_tokens
    } else if ('fail' in entry) this.state = 'failed'
  }

  /** Ends those who read along. */
  leave (): void {
    this.isGone = true
    this.#changes.emit('change')
  }

  /** Its entries as lines, as they come. @param after entries that the reader has */
  async * read (after: number, signal: AbortSignal): AsyncGenerator<string, void, undefined> {
    for (let next = after; ; next++) {
      while (next >= this.#lines.length) {
        if (this.hasEnded) return
        await once(this.#changes, 'change', { signal })
      }
      yield this.#lines[next]!
    }
  }
}

/** What is kept. */
export class KeptRuns {
  /** Oldest first. */
  readonly #runs = new Map<string, KeptRun>()
  readonly #most: number
  readonly #mostBytes: number

  constructor ({ keptRuns, keptRunBytes }: { readonly keptRuns: number, readonly keptRunBytes: number }) {
    this.#most = keptRuns
    this.#mostBytes = keptRunBytes
  }

  get areKept (): boolean { return this.#most > 0 }

  /** Those that a caller may see, newest first. @param caller null sees all */
  list (caller: string | null): KeptRun[] {
    return [...this.#runs.values()].filter(run => caller === null || run.caller === caller).reverse()
  }

  /** @throws RequestError not_found, also for another caller's */
  find (id: string, caller: string | null): KeptRun {
    const run = this.#runs.get(id)
    if (run && (caller === null || run.caller === caller)) return run
    throw new RequestError('not_found', `Run with id ${JSON.stringify(id)} not found: ${this.areKept
      ? 'it was deleted or evicted (kept-runs, kept-run-bytes)'
      : 'this server keeps none (kept-runs)'}`, { param: 'id' })
  }

  delete (run: KeptRun): void {
    this.#runs.delete(run.head.id)
    run.leave()
  }

  #makeRoom (): void {
    let bytes = [...this.#runs.values()].reduce((sum, run) => sum + run.bytes, 0)
    for (const run of this.#runs.values()) {
      if (this.#runs.size <= this.#most && bytes <= this.#mostBytes) return
      bytes -= run.bytes
      this.delete(run)
    }
  }

  /** The same events, whose journal is kept. */
  async * keep (
    events: AsyncIterable<GenerationEvent>, run: KeptRun
  ): AsyncGenerator<GenerationEvent, void, undefined> {
    this.#runs.set(run.head.id, run)
    this.#makeRoom()
    let failure: unknown = requestCancelled()
    try {
      for await (const event of events) {
        if (event.type === 'journal' && !run.isGone) {
          for (const entry of event.entries) run.add(entry)
          this.#makeRoom()
        }
        yield event
      }
    } catch (error) {
      failure = error
      throw error
    } finally {
      if (!run.hasEnded) run.add({ t: run.t, fail: failOf(failure) })
    }
  }
}

/** What ended a run whose journal does not say it: its client left, or the inference thread did. */
function failOf (error: unknown): { code: string, message: string, param: string | null } {
  const { code, message, param } = error instanceof RequestError ? error : requestCancelled()
  return { code, message, param }
}
