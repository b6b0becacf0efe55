/**
 * The inference thread's side of the grammar thread: compiled grammars, kept by their text, and the answers that follow
 * them. The thread is started by the first grammar. If one of its tasks takes too long or breaks it, that task fails,
 * and a new thread goes on with all others.
 */
import { Worker } from 'node:worker_threads'
import type { Constraint, ConstraintState } from '../policies/constraint.js'
import { RequestError } from '../errors.js'
import type { Operation, Reply, Vocabulary } from './grammar-protocol.js'

/** Max compiled grammars not in use that are kept for the next request. */
const maxIdle = 64

/**
 * How long the thread may work at one task, ms: beyond what the longest grammar that is accepted takes on a busy
 * machine.
 */
const taskTimeoutMs = 30_000

class Grammar {
  readonly id: number
  readonly text: string
  /** Requests that hold to it. */
  users = 0
  /** What may come first; settles when it is compiled. */
  first: Promise<Int32Array> | null = null
  /** The thread that has it. */
  sentTo: Worker | null = null

  constructor (id: number, text: string) {
    this.id = id
    this.text = text
  }
}

/** Something that the thread was asked. */
interface Task {
  readonly grammar: Grammar
  /** Null compiles the grammar. */
  readonly answer: Answer | null
  /** How many of the answer's tokens it is about. */
  readonly length: number
  readonly resolve: (allowed: Int32Array) => void
  readonly reject: (error: Error) => void
}

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

/** One answer that follows a grammar. */
class Answer implements ConstraintState {
  readonly id: number
  readonly grammar: Grammar
  readonly tokens: number[]
  /** The thread that follows it, and how many tokens that was sent. */
  sentTo: Worker | null = null
  sent = 0
  readonly #request: Opened
  #pending: Promise<Int32Array>
  #allowed: Int32Array | null = null

  constructor (request: Opened, id: number, tokens: readonly number[], pending: Promise<Int32Array>) {
    this.#request = request
    this.id = id
    this.grammar = request.grammar
    this.tokens = [...tokens]
    this.#pending = pending
    request.answers.add(this)
  }

  get allowed (): Int32Array { return this.#allowed! }

  async ready (): Promise<void> { this.#allowed = await unlessAborted(this.#pending, this.#request.signal) }

  accept (token: number): void {
    this.tokens.push(token)
    this.#pending = this.#request.grammars.advance(this)
    // A failure is reported by `ready`.
    this.#pending.catch(() => {})
  }

  /** The thread hears of it with its first token. */
  fork (): Answer { return new Answer(this.#request, this.#request.grammars.newId(), this.tokens, this.#pending) }

  close (): void {
    if (this.#request.answers.delete(this)) this.#request.grammars.leave(this)
  }
}

/** What one request opened. */
interface Opened {
  readonly grammars: Grammars
  readonly grammar: Grammar
  readonly answers: Set<Answer>
  readonly signal: AbortSignal
}

/** The grammars of one vocabulary, and the thread that compiles them. */
export class Grammars {
  readonly #vocabulary: Vocabulary
  readonly #taskTimeoutMs: number
  /** By text, least recently used first. */
  readonly #grammars = new Map<string, Grammar>()
  /** In the order in which they are answered. */
  #tasks: Task[] = []
  #outbox: Operation[] = []
  #worker: Worker | null = null
  #isReady = false
  #timer: NodeJS.Timeout | undefined
  #lastId = 0

  /** @param options.taskTimeoutMs how long the thread may work at one task, for tests */
  constructor (vocabulary: Vocabulary, options: { readonly taskTimeoutMs?: number } = {}) {
    this.#vocabulary = vocabulary
    this.#taskTimeoutMs = options.taskTimeoutMs ?? taskTimeoutMs
  }

  /**
   * What answers are held to that follow a grammar; compiled, unless it is already. Aborting the signal closes all of
   * them.
   * @param param the field that asks for it, for errors
   * @throws RequestError if it cannot be compiled in time
   */
  async open (text: string, param: string, signal: AbortSignal): Promise<Constraint> {
    signal.throwIfAborted()
    const grammar = this.#grammars.get(text) ?? new Grammar(this.newId(), text)
    this.#grammars.delete(text)
    this.#grammars.set(text, grammar)
    grammar.users++
    const request: Opened = { grammars: this, grammar, answers: new Set(), signal }
    signal.addEventListener('abort', () => {
      for (const answer of request.answers) answer.close()
      grammar.users--
      this.#forgetIdle()
    }, { once: true })
    grammar.first ??= this.#ask(grammar)
    try {
      const first = await unlessAborted(grammar.first, signal)
      return { start: () => new Answer(request, this.newId(), [], Promise.resolve(first)) }
    } catch (error) {
      if (signal.aborted) throw error
      // It may have been the load: another request may try again.
      if (this.#grammars.get(text) === grammar) this.#grammars.delete(text)
      throw error instanceof GrammarTimeout
        ? new RequestError('invalid_request', `${param} ${error.message}`, { param })
        : error
    }
  }

  /** A number that no other answer or grammar has. */
  newId (): number { return ++this.#lastId }

  /** Which tokens may come after an answer's last. */
  advance (answer: Answer): Promise<Int32Array> { return this.#ask(answer.grammar, answer) }

  /** Ends following an answer. */
  leave ({ id, sentTo }: Answer): void {
    if (sentTo && sentTo === this.#worker) this.#send({ type: 'close', answer: id })
  }

  async close (): Promise<void> {
    const worker = this.#abandon()
    for (const { reject } of this.#tasks.splice(0)) reject(new RequestError('unavailable', 'The server is closing'))
    await worker?.terminate()
  }

  #forgetIdle (): void {
    const idle = [...this.#grammars.values()].filter(grammar => grammar.users === 0)
    for (const grammar of idle.slice(0, Math.max(0, idle.length - maxIdle))) {
      this.#grammars.delete(grammar.text)
      if (grammar.sentTo && grammar.sentTo === this.#worker) this.#send({ type: 'forget', grammar: grammar.id })
    }
  }

  #ask (grammar: Grammar, answer: Answer | null = null): Promise<Int32Array> {
    return new Promise((resolve, reject) => {
      this.#add({ grammar, answer, length: answer?.tokens.length ?? 0, resolve, reject })
      this.#watch()
    })
  }

  #add (task: Task): void {
    const worker = this.#worker ??= this.#startThread()
    const { grammar, answer, length } = task
    if (!answer) {
      grammar.sentTo = worker
      this.#send({ type: 'compile', grammar: grammar.id, text: grammar.text })
    } else {
      // A new thread has to compile what an old one had.
      if (grammar.sentTo !== worker) {
        this.#add({ grammar, answer: null, length: 0, resolve: () => {}, reject: () => {} })
      }
      if (answer.sentTo !== worker) answer.sent = 0
      answer.sentTo = worker
      this.#send({
        type: 'advance', answer: answer.id, grammar: grammar.id, tokens: answer.tokens.slice(answer.sent, length)
      })
      answer.sent = length
    }
    this.#tasks.push(task)
  }

  /** All that is asked in one turn goes in one message. */
  #send (operation: Operation): void {
    this.#outbox.push(operation)
    if (this.#outbox.length > 1) return
    queueMicrotask(() => {
      const operations = this.#outbox
      this.#outbox = []
      if (operations.length > 0) this.#worker?.postMessage(operations)
    })
  }

  #startThread (): Worker {
    const worker = new Worker(new URL('./grammar-worker.js', import.meta.url), { workerData: this.#vocabulary })
    const whileItIs = <A> (handle: (argument: A) => void) =>
      (argument: A) => { if (this.#worker === worker) handle(argument) }
    worker.on('message', whileItIs((reply: Reply) => { this.#receive(reply) }))
    worker.on('error', whileItIs((error: Error) => { this.#lose(error) }))
    worker.on('exit', whileItIs(() => { this.#lose(new Error('it exited')) }))
    return worker
  }

  #receive (reply: Reply): void {
    if ('failed' in reply) return this.#lose(new Error(reply.failed))
    if ('ready' in reply) this.#isReady = true
    else this.#tasks.shift()!.resolve(reply.allowed)
    this.#watch()
  }

  /** Gives the task that the thread is at its time. */
  #watch (): void {
    clearTimeout(this.#timer)
    if (this.#isReady && this.#tasks.length > 0) {
      this.#timer = setTimeout(() => { this.#lose(new GrammarTimeout(this.#taskTimeoutMs)) }, this.#taskTimeoutMs)
    }
  }

  #abandon (): Worker | null {
    const worker = this.#worker
    clearTimeout(this.#timer)
    this.#worker = null
    this.#isReady = false
    this.#outbox = []
    return worker
  }

  /**
   * The task that the thread was at fails, with whatever else needs its grammar compiled; a new thread does the others.
   */
  #lose (error: Error): void {
    const wasReady = this.#isReady
    this.#abandon()?.terminate().catch(console.error)
    const tasks = this.#tasks.splice(0)
    const culprit = tasks[0]
    const failed = tasks.filter((task, index) => index === 0 || !wasReady ||
      (culprit?.answer === null && task.grammar === culprit.grammar))
    const reason =
      error instanceof GrammarTimeout
        ? error
        : new Error(`the grammar thread failed: ${error.message}`, { cause: error })
    for (const { reject } of failed) reject(reason)
    for (const task of tasks) if (!failed.includes(task)) this.#add(task)
    this.#watch()
  }
}

/** The thread was stopped at a task. */
class GrammarTimeout extends Error {
  constructor (afterMs: number) {
    super(`takes more than ${afterMs / 1000} s to work out: what the answer must be like is too large; make it simpler`)
    this.name = 'GrammarTimeout'
  }
}
