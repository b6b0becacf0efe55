/**
 * Reads callers' texts away from the inference thread. Large ones have a thread of their own, started by the first, so
 * that nobody's plain chat waits while somebody's book is tokenised.
 */
import { dataBytes } from './data-size.js'
import type { JobInput, JobOutput, PromptJobName } from './prompt-jobs.js'
import { PromptThread, type JobOwner, type SourceModel } from './prompt-thread.js'

/** From here on a job is large, bytes: it takes tens of milliseconds. */
const largeBytes = 96 << 10

export class Prompts {
  readonly #usual: PromptThread
  readonly #large: PromptThread

  /** @param models whose texts are read, the one asked for most first */
  constructor (models: readonly SourceModel[]) {
    this.#usual = new PromptThread(models)
    this.#large = new PromptThread(models)
  }

  /** Starts what the first request needs. */
  start (): void { this.#usual.start() }

  /** Does a job when it is its caller's turn: see PromptThread. */
  run<N extends PromptJobName> (
    model: SourceModel, name: N, input: JobInput<N>, owner: JobOwner
  ): Promise<JobOutput<N>> {
    const bytes = dataBytes(input)
    return (bytes < largeBytes ? this.#usual : this.#large).run(model, name, input, { ...owner, bytes })
  }

  async close (): Promise<void> {
    await this.#usual.close()
    await this.#large.close()
  }
}
