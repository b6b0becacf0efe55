/** What operators watch of inference engines elsewhere, by model and replica. Knows numbers, not engines. */
import { Counter, Gauge, type Registry } from 'prom-client'

/** A model's replicas at one moment, and their counters since they were connected. */
export interface RemoteFigures {
  readonly model: string
  readonly waitingRequests: number
  readonly runningRequests: number
  readonly replicas: ReadonlyArray<{
    readonly url: string
    readonly isWell: boolean
    readonly calls: number
    readonly totalCalls: number
    readonly failedCalls: number
    readonly promptTokens: number
    readonly cachedTokens: number
    readonly generatedTokens: number
  }>
}

type Labels = 'model_name' | 'replica'

export class RemoteEngineFigures {
  readonly #well: Gauge<Labels>
  readonly #running: Gauge<Labels>
  readonly #calls: Counter<Labels | 'outcome'>
  readonly #tokens: Counter<Labels | 'kind'>

  constructor (registry: Registry) {
    const registers = [registry]
    const labelNames: Labels[] = ['model_name', 'replica']
    this.#well =
      new Gauge({ name: 'fairlead_engine_up', help: 'Whether the replica says that it is well', labelNames, registers })
    this.#running =
      new Gauge({ name: 'fairlead_engine_calls_running', help: 'Calls that run there', labelNames, registers })
    this.#calls = new Counter({
      name: 'fairlead_engine_calls_total',
      help: 'Calls to it, by outcome',
      labelNames: [...labelNames, 'outcome'],
      registers
    })
    this.#tokens = new Counter({
      name: 'fairlead_engine_tokens_total',
      help: 'Its tokens: prompt tokens read, those of them from its cache, tokens received',
      labelNames: [...labelNames, 'kind'],
      registers
    })
  }

  /** Replicas count themselves; what is shown is their count. */
  show (remotes: readonly RemoteFigures[]): void {
    for (const figure of [this.#well, this.#running, this.#calls, this.#tokens]) figure.reset()
    for (const { model, replicas } of remotes) {
      for (const one of replicas) {
        const labels = { model_name: model, replica: one.url }
        this.#well.set(labels, one.isWell ? 1 : 0)
        this.#running.set(labels, one.calls)
        this.#calls.inc({ ...labels, outcome: 'failed' }, one.failedCalls)
        this.#calls.inc({ ...labels, outcome: 'other' }, one.totalCalls - one.failedCalls)
        this.#tokens.inc({ ...labels, kind: 'prompt' }, one.promptTokens)
        this.#tokens.inc({ ...labels, kind: 'cached' }, one.cachedTokens)
        this.#tokens.inc({ ...labels, kind: 'generated' }, one.generatedTokens)
      }
    }
  }
}
