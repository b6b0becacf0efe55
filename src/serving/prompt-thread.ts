/**
 * The inference thread's side of a prompt thread, which renders and tokenises callers' texts: however long one is, it
 * holds up no step of an engine. Callers take turns by the size of what they send; what nobody waits for any more is
 * not begun. The thread is started by the first job; one that takes too long fails, and a new thread does the others.
 */
import { Worker } from 'node:worker_threads'
import { RequestError } from '../errors.js'
import type { ModelFacts } from '../models/model.js'
import { FairQueue } from '../fair-queue.js'
import type { JobInput, JobOutput, PromptJobName } from './prompt-jobs.js'
import type { PromptReply, PromptSource, PromptTask } from './prompt-messages.js'

/** What a model's texts are read with. */
export type SourceModel = Pick<ModelFacts, 'path' | 'chatTemplate' | 'contextLength'>

/** Who waits for a job. */
export interface JobOwner { readonly caller: string, readonly priority?: number, readonly signal: AbortSignal }

interface Job {
  readonly task: PromptTask
  readonly settle: (reply: PromptReply) => void
}

/** How long the thread may work at one job, ms: beyond what the longest text takes on a busy machine. */
const jobTimeoutMs = 30_000

const sourceOf = ({ path, chatTemplate: { source, forTools }, contextLength }: SourceModel): PromptSource =>
  ({ path, templates: { source, toolSource: forTools?.source ?? null }, contextLength })

export class PromptThread {
  readonly #models: readonly SourceModel[]
  readonly #jobTimeoutMs: number
  readonly #queue = new FairQueue<Job>()
  #worker: Worker | null = null
  #running: Job | null = null
  #timer: NodeJS.Timeout | undefined

  /**
   * @param models whose texts it reads, the one asked for most first
   * @param options.jobTimeoutMs for tests
   */
  constructor (models: readonly SourceModel[], options: { readonly jobTimeoutMs?: number } = {}) {
    this.#models = models
    this.#jobTimeoutMs = options.jobTimeoutMs ?? jobTimeoutMs
  }

  /** Starts the thread, so that the first job need not wait for that. */
  start (): void { this.#worker ??= this.#startThread() }

  /** Jobs that have not begun. */
  get waiting (): number { return this.#queue.length }

  /**
   * Does a job when it is its caller's turn.
   * @param model one of those it was made for
   * @param owner.bytes of the input, about
   * @throws RequestError for what cannot be read; the signal's reason as soon as it is aborted
   */
  run<N extends PromptJobName> (
    model: SourceModel, name: N, input: JobInput<N>,
    { caller, priority = 0, signal, bytes }: JobOwner & { readonly bytes: number }
  ): Promise<JobOutput<N>> {
    signal.throwIfAborted()
    const task: PromptTask = { model: this.#models.indexOf(model), name, input }
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#queue.delete(job)
        reject(signal.reason instanceof Error ? signal.reason : new Error('aborted'))
      }
      const job: Job = {
        task,
        settle: reply => {
          signal.removeEventListener('abort', leave)
          if ('output' in reply) resolve(reply.output as JobOutput<N>)
          else reject('error' in reply ? RequestError.fromData(reply.error) : new Error(reply.failed))
        }
      }
      signal.addEventListener('abort', leave, { once: true })
      this.#queue.add(job, { caller, priority, cost: bytes })
      this.#next()
    })
  }

  /** Ends the thread; what waits for it fails. */
  async close (): Promise<void> {
    const worker = this.#abandon()
    const closing = new RequestError('unavailable', 'The server is closing').toData()
    for (const job of [...this.#running ? [this.#running] : [], ...this.#queue]) {
      this.#queue.delete(job)
      job.settle({ error: closing })
    }
    this.#running = null
    await worker?.terminate()
  }

  #next (): void {
    const job = this.#queue.first
    if (this.#running || !job) return
    this.#queue.serve(job)
    this.#running = job
    this.start()
    this.#worker!.postMessage(job.task)
    this.#timer = setTimeout(() => { this.#fail(this.#tooLong()) }, this.#jobTimeoutMs)
  }

  #tooLong (): PromptReply {
    return {
      error: new RequestError('invalid_request',
        `the text takes more than ${this.#jobTimeoutMs / 1000} s to render and tokenise`).toData()
    }
  }

  #startThread (): Worker {
    const worker = new Worker(new URL('./prompt-worker.js', import.meta.url),
      { workerData: this.#models.map(sourceOf) })
    const whileItIs = <A> (handle: (argument: A) => void) =>
      (argument: A) => { if (this.#worker === worker) handle(argument) }
    worker.on('message', whileItIs((reply: PromptReply) => { this.#settle(reply) }))
    worker.on('error', whileItIs(({ message }: Error) => {
      this.#fail({ failed: `the prompt thread failed: ${message}` })
    }))
    worker.on('exit', whileItIs(() => { this.#fail({ failed: 'the prompt thread ended' }) }))
    return worker
  }

  #settle (reply: PromptReply): void {
    clearTimeout(this.#timer)
    const job = this.#running
    this.#running = null
    job?.settle(reply)
    this.#next()
  }

  /** The job at hand fails; a new thread does the others. */
  #fail (reply: PromptReply): void {
    this.#abandon()?.terminate().catch(console.error)
    this.#settle(reply)
  }

  #abandon (): Worker | null {
    const worker = this.#worker
    clearTimeout(this.#timer)
    this.#worker = null
    return worker
  }
}
