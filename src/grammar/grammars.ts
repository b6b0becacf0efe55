/**
 * What answers are held to: the grammars of one vocabulary, and the answers that follow them. Each caller's grammars
 * are in one thread, which few or none of the other callers have theirs in.
 */
import { RequestError } from '../errors.js'
import type { Constraint, ConstraintState } from '../policies/constraint.js'
import type { Vocabulary } from './grammar-protocol.js'
import { keyOf, type GrammarSource } from './grammar-source.js'
import { GrammarRefused, GrammarThread, type Followed } from './grammar-thread.js'
import type { Grammar } from './kept-grammars.js'

/** Threads, at most: so many callers compile at a time without waiting for each other. */
const maxThreads = 4

/**
 * How long a thread may work at one task, ms: beyond what the longest grammar that is accepted takes on a busy
 * machine.
 */
const taskTimeoutMs = 30_000

/** Waits for a promise, or until the signal is aborted. @throws the signal's reason */
async function unlessAborted<T> (promise: Promise<T>, signal: AbortSignal): Promise<T> {
  let leave: (() => void) | undefined
  const aborted = new Promise<void>(resolve => { leave = resolve })
  signal.addEventListener('abort', leave!, { once: true })
  try {
    signal.throwIfAborted()
    const settled = await Promise.race([promise, aborted])
    signal.throwIfAborted()
    return settled as T
  } finally {
    signal.removeEventListener('abort', leave!)
  }
}

/** What one request opened. */
interface Opened {
  readonly thread: GrammarThread
  readonly grammar: Grammar
  readonly answers: Set<Answer>
  readonly signal: AbortSignal
  /** A number that no other answer or grammar has. */
  readonly newId: () => number
}

/** One answer that follows a grammar. */
class Answer implements ConstraintState, Followed {
  readonly id: number
  readonly grammar: Grammar
  readonly tokens: number[]
  sentTo = 0
  sent = 0
  readonly #request: Opened
  #pending: Promise<Int32Array>
  #allowed: Int32Array | null = null

  constructor (request: Opened, tokens: readonly number[], pending: Promise<Int32Array>) {
    this.#request = request
    this.id = request.newId()
    this.grammar = request.grammar
    this.tokens = [...tokens]
    this.#pending = pending
    request.answers.add(this)
  }

  get allowed (): Int32Array { return this.#allowed! }

  async ready (): Promise<void> { this.#allowed = await unlessAborted(this.#pending, this.#request.signal) }

  accept (token: number): void {
    this.tokens.push(token)
    this.#pending = this.#request.thread.advance(this)
    // A failure is reported by `ready`.
    this.#pending.catch(() => {})
  }

  /** The thread hears of it with its first token. */
  fork (): Answer { return new Answer(this.#request, this.tokens, this.#pending) }

  close (): void {
    if (this.#request.answers.delete(this)) this.#request.thread.leave(this)
  }
}

/** How a grammar is opened. */
export interface OpenOptions {
  /** The field that asks for it, for errors. */
  readonly param: string
  /** Whose request it is. */
  readonly caller: string
  /** Aborting it closes all answers. */
  readonly signal: AbortSignal
}

/** The grammars of one vocabulary. */
export class Grammars {
  readonly #vocabulary: Vocabulary
  readonly #taskTimeoutMs: number
  readonly #threads: GrammarThread[] = []
  #lastId = 0

  /** @param options.taskTimeoutMs how long a thread may work at one task, for tests */
  constructor (vocabulary: Vocabulary, options: { readonly taskTimeoutMs?: number } = {}) {
    this.#vocabulary = vocabulary
    this.#taskTimeoutMs = options.taskTimeoutMs ?? taskTimeoutMs
  }

  /**
   * What answers are held to that follow a grammar; compiled, unless it is already.
   * @throws RequestError for a schema that cannot be enforced, if it cannot be compiled in time, or if too much waits
   */
  async open (source: GrammarSource, { param, caller, signal }: OpenOptions): Promise<Constraint> {
    signal.throwIfAborted()
    const thread = this.#threadOf(caller)
    const newId = (): number => ++this.#lastId
    const grammar = thread.use(caller, keyOf(source), source, newId)
    const request: Opened = { thread, grammar, answers: new Set(), signal, newId }
    signal.addEventListener('abort', () => {
      for (const answer of request.answers) answer.close()
      thread.release(grammar)
    }, { once: true })
    try {
      const first = await unlessAborted(grammar.first!, signal)
      return { start: () => new Answer(request, [], Promise.resolve(first)) }
    } catch (error) {
      signal.throwIfAborted()
      throw error instanceof GrammarRefused
        ? new RequestError('invalid_request', `${param} ${error.message}`, { param })
        : error
    }
  }

  async close (): Promise<void> { for (const thread of this.#threads) await thread.close() }

  /**
   * The thread that fewest others use now; of several the one that has the caller's grammars. A new one, while there
   * may be more, where others use all.
   */
  #threadOf (caller: string): GrammarThread {
    const ranked = this.#threads
      .map(thread => ({ thread, others: thread.usersBut(caller), isNew: !thread.serves(caller) }))
      .sort((one, other) => one.others - other.others || Number(one.isNew) - Number(other.isNew))
    const [best] = ranked
    if (best && (best.others === 0 || this.#threads.length === maxThreads)) return best.thread
    const thread = new GrammarThread(this.#vocabulary, this.#taskTimeoutMs)
    this.#threads.push(thread)
    return thread
  }
}
