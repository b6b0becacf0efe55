/**
 * The inference thread's side of one grammar thread: what is compiled there next, the compiled grammars that it keeps,
 * the answers that follow them. One grammar is compiled at a time, callers take turns. A task that takes too long or
 * breaks the thread fails, and a grammar that nobody waits for any more does not keep others waiting: a new thread goes
 * on with all the rest.
 */
import { Worker } from 'node:worker_threads'
import { RequestError } from '../errors.js'
import { FairQueue } from '../fair-queue.js'
import type { GrammarSource } from './grammar-source.js'
import type { Operation, Reply, Vocabulary } from './grammar-protocol.js'
import { Grammar, KeptGrammars } from './kept-grammars.js'

/** Longest sources of one caller that may wait to be compiled, characters together. */
const maxWaitingCharacters = 16 << 20

/** What a thread is told of an answer. */
export interface Followed {
  readonly id: number
  readonly grammar: Grammar
  readonly tokens: readonly number[]
  /** Number of the thread's run that follows it, 0 for none; and how many tokens that was sent. */
  sentTo: number
  sent: number
}

/** Something that the thread was asked. */
interface Task {
  readonly grammar: Grammar
  /** Null compiles the grammar. */
  readonly answer: Followed | null
  /** How many of the answer's tokens it is about. */
  readonly length: number
  readonly resolve: (allowed: Int32Array) => void
  readonly reject: (error: Error) => void
}

/** What a grammar's task fails with that the caller can act on: the rule, which the field's name comes before. */
export class GrammarRefused extends Error {
  constructor (message: string) {
    super(message)
    this.name = 'GrammarRefused'
  }
}

const tooLong = (afterMs: number): GrammarRefused => new GrammarRefused(
  `takes more than ${afterMs / 1000} s to work out: what the answer must be like is too large; make it simpler`)

/** Nobody waits for it any more. */
const abandoned = (): Error => new Error('nobody waits for the grammar')

/** One grammar thread; started by its first task. */
export class GrammarThread {
  readonly #vocabulary: Vocabulary
  readonly #taskTimeoutMs: number
  readonly #kept = new KeptGrammars()
  /** Grammars to be compiled. */
  readonly #queue = new FairQueue<Task>()
  /** What the thread was sent, in the order in which it answers. */
  #tasks: Task[] = []
  #outbox: Operation[] = []
  #worker: Worker | null = null
  /** Threads that were started. */
  #run = 0
  #isReady = false
  /** The task whose time runs. */
  #watched: Task | null = null
  #timer: NodeJS.Timeout | undefined

  constructor (vocabulary: Vocabulary, taskTimeoutMs: number) {
    this.#vocabulary = vocabulary
    this.#taskTimeoutMs = taskTimeoutMs
  }

  /** Requests of others that hold to its grammars. */
  usersBut (caller: string): number { return this.#kept.users(caller) }

  serves (caller: string): boolean { return this.#kept.has(caller) }

  /** The grammar of a source, which is then in use; compiled, or to be compiled. @param newId a number of its own */
  use (caller: string, key: string, source: GrammarSource, newId: () => number): Grammar {
    const grammar = this.#kept.use(caller, key, () => new Grammar(newId(), caller, key, source))
    grammar.first ??= this.#compile(grammar)
    return grammar
  }

  /** Ends a request's use. */
  release (grammar: Grammar): void {
    this.#kept.release(grammar)
    if (grammar.users === 0) {
      for (const task of this.#queue) {
        if (task.grammar !== grammar) continue
        this.#queue.delete(task)
        this.#kept.drop(grammar)
        task.reject(abandoned())
      }
    }
    this.#cutAbandoned()
    this.#forgetIdle()
  }

  /** Which tokens may come after an answer's last. */
  advance (answer: Followed): Promise<Int32Array> {
    return new Promise((resolve, reject) => {
      this.#post({ grammar: answer.grammar, answer, length: answer.tokens.length, resolve, reject })
      this.#cutAbandoned()
      this.#watch()
    })
  }

  /** Ends following an answer. */
  leave ({ id, sentTo }: Followed): void {
    if (sentTo === this.#run && this.#worker) this.#send({ type: 'close', answer: id })
  }

  async close (): Promise<void> {
    const worker = this.#abandon()
    const closing = new RequestError('unavailable', 'The server is closing')
    for (const { reject } of [...this.#tasks.splice(0), ...this.#queue.clear()]) reject(closing)
    await worker?.terminate()
  }

  #compile (grammar: Grammar): Promise<Int32Array> {
    return new Promise((resolve, reject) => {
      const { caller, key: { length: cost } } = grammar
      const waiting = [...this.#queue].filter(one => one.grammar.caller === caller)
        .reduce((sum, one) => sum + one.grammar.key.length, 0)
      if (waiting + cost > maxWaitingCharacters) {
        this.#kept.drop(grammar)
        reject(new RequestError('rate_limit_exceeded', 'too many grammars wait to be compiled', { retryAfterMs: 1000 }))
        return
      }
      this.#queue.add({ grammar, answer: null, length: 0, resolve, reject }, { caller, cost, priority: 0 })
      this.#cutAbandoned()
      this.#next()
    })
  }

  /** Begins the next compilation, unless one is under way. */
  #next (): void {
    const next = this.#queue.first
    if (next && !this.#tasks.some(({ answer }) => answer === null)) {
      this.#worker ??= this.#startThread()
      // Until then one that nobody waits for any more costs nothing.
      if (this.#isReady) {
        this.#queue.serve(next)
        this.#post(next)
      }
    }
    this.#watch()
  }

  /** Stops a compilation that nobody waits for where it keeps others waiting. */
  #cutAbandoned (): void {
    const [task] = this.#tasks
    if (!this.#isReady || task?.answer !== null || task.grammar.users > 0) return
    if (this.#tasks.length > 1 || this.#queue.length > 0) this.#lose(abandoned())
  }

  #post (task: Task): void {
    this.#worker ??= this.#startThread()
    const run = this.#run
    const { grammar, answer, length } = task
    if (!answer) {
      grammar.sentTo = run
      this.#send({ type: 'compile', grammar: grammar.id, source: grammar.source })
    } else {
      // A new thread has to compile what an old one had.
      if (grammar.sentTo !== run) {
        this.#post({ grammar, answer: null, length: 0, resolve: () => {}, reject: () => {} })
      }
      if (answer.sentTo !== run) answer.sent = 0
      answer.sentTo = run
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
    this.#run++
    const worker = new Worker(new URL('./grammar-worker.js', import.meta.url), { workerData: this.#vocabulary })
    const whileItIs = <A> (handle: (argument: A) => void) =>
      (argument: A) => { if (this.#worker === worker) handle(argument) }
    worker.on('message', whileItIs((reply: Reply) => { this.#receive(reply) }))
    worker.on('error', whileItIs((error: Error) => { this.#lose(error) }))
    worker.on('exit', whileItIs(() => { this.#lose(new Error('it exited')) }))
    return worker
  }

  #receive (reply: Reply): void {
    if ('failed' in reply) {
      return this.#lose(reply.isTooLarge
        ? new GrammarRefused('needs too much memory to work out: make it simpler')
        : new Error(reply.failed))
    }
    if ('ready' in reply) this.#isReady = true
    else {
      const task = this.#tasks.shift()!
      if ('refused' in reply) {
        this.#kept.drop(task.grammar)
        task.reject(RequestError.fromData(reply.refused))
      } else task.resolve(reply.allowed)
      if ('memoryBytes' in reply) this.#kept.memoryBytes = reply.memoryBytes
      this.#forgetIdle()
    }
    this.#next()
  }

  #forgetIdle (): void {
    for (const grammar of this.#kept.takeExcess()) {
      if (grammar.sentTo === this.#run && this.#worker) this.#send({ type: 'forget', grammar: grammar.id })
    }
    // Its memory does not shrink.
    if (this.#kept.isFull && this.#kept.users() === 0 && this.#tasks.length === 0 && this.#queue.length === 0) {
      this.#kept.memoryBytes = 0
      this.#abandon()?.terminate().catch(console.error)
    }
  }

  /** Gives the task that the thread is at its time, once. */
  #watch (): void {
    const task = this.#isReady ? this.#tasks[0] ?? null : null
    if (task === this.#watched) return
    this.#watched = task
    clearTimeout(this.#timer)
    if (task) this.#timer = setTimeout(() => { this.#lose(tooLong(this.#taskTimeoutMs)) }, this.#taskTimeoutMs)
  }

  #abandon (): Worker | null {
    const worker = this.#worker
    clearTimeout(this.#timer)
    this.#watched = null
    this.#worker = null
    this.#isReady = false
    this.#outbox = []
    return worker
  }

  /**
   * The task that the thread was at fails, with whatever else needs its grammar compiled; a new thread does the others.
   * Where the thread could not be started, all fail.
   */
  #lose (error: Error): void {
    const wasReady = this.#isReady
    this.#abandon()?.terminate().catch(console.error)
    const tasks = [...this.#tasks.splice(0), ...(wasReady ? [] : this.#queue.clear())]
    const culprit = tasks[0]
    const failed = tasks.filter((task, index) => index === 0 || !wasReady ||
      (culprit?.answer === null && task.grammar === culprit.grammar))
    const reason = error instanceof GrammarRefused
      ? error
      : new Error(`the grammar thread failed: ${error.message}`, { cause: error })
    for (const { grammar, answer, reject } of failed) {
      if (!answer) this.#kept.drop(grammar)
      reject(reason)
    }
    for (const task of tasks) if (!failed.includes(task)) this.#post(task)
    this.#next()
  }
}
