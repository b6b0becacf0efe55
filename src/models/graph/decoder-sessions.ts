/**
 * The compiled graphs of one model, a session for each shape of run over the same weights. The two simple shapes are
 * there from the start and the next is begun; others are compiled off the event loop when they are first asked for.
 * Until then their parts run apart, with the same bits; probes wait. Knows no runs.
 */
import type { Session, SharedWeights } from '../../runtime/session.js'
import { describeShape, privateShape, sharedShape, type RunShape } from './run-shape.js'

export interface DecoderSessionsOptions {
  readonly weights: SharedWeights
  readonly compile: (shape: RunShape) => Promise<Session>
  /** Called with the error when a graph cannot be compiled. */
  readonly onProblem: (message: string) => void
}

const keyOf = describeShape

export class DecoderSessions {
  readonly #options: DecoderSessionsOptions
  /** Null for a shape that could not be compiled. */
  readonly #sessions = new Map<string, { readonly shape: RunShape, readonly session: Session } | null>()
  /** The one compilation under way: more at once would slow down running requests. */
  #compiling: Promise<void> | null = null
  #disposed = false

  private constructor (options: DecoderSessionsOptions) { this.#options = options }

  /** @throws Error if a simple shape cannot be compiled: the weights are freed then */
  static async create (options: DecoderSessionsOptions): Promise<DecoderSessions> {
    const sessions = new DecoderSessions(options)
    const compiled = await Promise.allSettled([privateShape, sharedShape].map(async shape => {
      sessions.#sessions.set(keyOf(shape), { shape, session: await options.compile(shape) })
    }))
    const failed = compiled.find(one => one.status === 'rejected')
    if (failed) {
      sessions.dispose()
      throw failed.reason
    }
    // A stream beside a search: compiled ahead, so that no request waits for it.
    sessions.find({ private: 1, shared: 1 })
    return sessions
  }

  /** The session for a shape; null where there is none yet. Once disposed, none is compiled: the weights go. */
  find (shape: RunShape): Session | null {
    const known = this.#sessions.get(keyOf(shape))
    if (known === undefined && !this.#disposed) this.#compiling ??= this.#compile(shape)
    return known?.session ?? null
  }

  /** Waits for what is being compiled: nothing else should run beside what is measured. */
  async settled (): Promise<void> {
    while (this.#compiling) await this.#compiling
  }

  /** Waits until a shape is there, or all is disposed. */
  async prepare (shape: RunShape): Promise<void> {
    while (!this.#disposed && !this.#sessions.has(keyOf(shape))) await (this.#compiling ??= this.#compile(shape))
  }

  async #compile (shape: RunShape): Promise<void> {
    try {
      const session = await this.#options.compile(shape)
      if (this.#disposed) session.dispose()
      else this.#sessions.set(keyOf(shape), { shape, session })
    } catch (error) {
      this.#sessions.set(keyOf(shape), null)
      this.#options.onProblem(`the graph for runs of ${describeShape(shape)} cannot be ` +
        `compiled${shape.probedLayers === undefined ? ', so they run apart' : ''}: ${(error as Error).message}`)
    } finally {
      this.#compiling = null
    }
  }

  /** Closes the profiles of all sessions that ran, where they were compiled with one. */
  endProfiling (): Array<{ readonly graph: string, readonly path: string }> {
    return [...this.#sessions.values()].flatMap(compiled =>
      compiled ? [{ graph: describeShape(compiled.shape), path: compiled.session.endProfiling() }] : [])
  }

  /** Frees every session and the weights, after what is being compiled and run. */
  dispose (): void {
    if (this.#disposed) return
    this.#disposed = true
    if (this.#compiling) this.#compiling.then(() => { this.#release() }, () => {})
    else this.#release()
  }

  #release (): void {
    for (const compiled of this.#sessions.values()) compiled?.session.dispose()
    this.#options.weights.dispose()
  }
}
