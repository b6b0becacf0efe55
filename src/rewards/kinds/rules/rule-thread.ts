/**
 * Runs rules in a thread of their own, one answer at a time: texts are the callers', so no rule may hold up the engine.
 * Callers take turns, a rule that takes too long ends with its thread, and what nobody waits for is not begun. The
 * thread's own side is `rule-worker.ts`.
 */
import { Worker } from 'node:worker_threads'
import { RequestError, type RequestErrorData } from '../../../errors.js'
import { FairQueue } from '../../../fair-queue.js'
import type { Answer, Prompt } from '../../scorer.js'

/** What a rule looks at. */
export type RuleAnswer = Pick<Answer, 'text' | 'tokens' | 'final'>
export type RulePrompt = Pick<Prompt, 'messages'>

/** One answer for one rule. */
export interface RuleJob {
  /** The rule's descriptor, as JSON. */
  readonly descriptor: string
  readonly answer: RuleAnswer
  readonly prompt: RulePrompt
}

/** What the thread sends: that it has begun; a raw score, an error of the request, or what went wrong, in words. */
export type FromRuleThread =
  'ready' | { readonly raw: number } | { readonly refused: RequestErrorData } | { readonly problem: string }

/** How long a rule may take for one answer, ms. */
const defaultTimeLimit = 5000
/** Memory of the thread, MiB. */
const memoryLimit = 256

/** Who waits for it. */
export interface RuleJobOwner { readonly caller: string, readonly signal: AbortSignal }

interface Task {
  readonly job: RuleJob
  readonly signal: AbortSignal
  readonly resolve: (raw: number) => void
  readonly reject: (error: unknown) => void
}

/** One thread and who waits for it. It starts with the first task, and keeps no process alive. */
export class RuleThread {
  readonly #timeLimit: number
  readonly #queue = new FairQueue<Task>()
  #worker: Worker | null = null
  #isReady = false
  #running: Task | null = null
  #timer: NodeJS.Timeout | undefined

  /** @param timeLimit for one answer, ms */
  constructor (timeLimit: number = defaultTimeLimit) { this.#timeLimit = timeLimit }

  /**
   * The raw score of one answer.
   * @param owner.signal the request's: its tasks end with it
   * @throws RequestError of the rule; Error, in words that follow "the rule", where it takes too long or breaks; the
   * signal's reason
   */
  score (job: RuleJob, { caller, signal }: RuleJobOwner): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#queue.add({ job, signal, resolve, reject },
        { caller, cost: job.descriptor.length + job.answer.text.length, priority: 0 })
      this.#next()
    })
  }

  /** Takes the next caller's turn. */
  #next (): void {
    if (this.#running) return
    for (let task = this.#queue.first; task; task = this.#queue.first) {
      this.#queue.serve(task)
      if (!task.signal.aborted) return this.#run(task)
      task.reject(task.signal.reason)
    }
    this.#worker?.unref()
  }

  #run (task: Task): void {
    this.#running = task
    this.#worker ??= this.#start()
    this.#worker.ref()
    task.signal.addEventListener('abort', this.#leave)
    this.#worker.postMessage(task.job)
    if (this.#isReady) this.#startTimer()
  }

  #start (): Worker {
    const worker = new Worker(new URL('./rule-worker.js', import.meta.url),
      { resourceLimits: { maxOldGenerationSizeMb: memoryLimit } })
    worker.on('message', (message: FromRuleThread) => { if (worker === this.#worker) this.#receive(message) })
    worker.on('error', error => { if (worker === this.#worker) this.#stop(new Error(`failed (${error.message})`)) })
    return worker
  }

  #receive (message: FromRuleThread): void {
    if (message === 'ready') {
      this.#isReady = true
      this.#startTimer()
    } else if ('raw' in message) this.#finish(({ resolve }) => { resolve(message.raw) })
    else {
      const error =
        'refused' in message ? RequestError.fromData(message.refused) : new Error(`failed (${message.problem})`)
      this.#finish(({ reject }) => { reject(error) })
    }
  }

  /** What came while this thread was busy is heard first. */
  #startTimer (): void {
    const task = this.#running
    this.#timer = setTimeout(() => setImmediate(() => {
      if (task !== null && task === this.#running) {
        this.#stop(new Error(`took more than ${this.#timeLimit} ms for an answer of ${task.job.answer.text.length} ` +
          'characters'))
      }
    }), this.#timeLimit)
  }

  readonly #leave = (): void => { this.#stop(this.#running!.signal.reason) }

  /** Ends the thread with what it is doing. */
  #stop (error: unknown): void {
    this.#worker?.terminate().catch(() => {})
    this.#worker = null
    this.#isReady = false
    this.#finish(({ reject }) => { reject(error) })
  }

  #finish (settle: (task: Task) => void): void {
    clearTimeout(this.#timer)
    const task = this.#running
    this.#running = null
    task?.signal.removeEventListener('abort', this.#leave)
    if (task) settle(task)
    this.#next()
  }
}
