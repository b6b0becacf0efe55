/**
 * What operators watch, in Prometheus' text format: each model's figures, and those that all have together. Knows
 * numbers, not requests.
 */
import { collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client'
import {
  modelFigures, ModelMetrics, showEngines, type EngineFigures, type MetricsNames, type ModelFigures
} from './model-metrics.js'

/** A model that rewards brought: bytes of weights and of KV held, tokens run since it was loaded. */
export interface RewardModelFigures {
  readonly id: string, readonly weightBytes: number, readonly kvBytes: number, readonly tokens: number
}

/** What is shown of what runs at one moment. */
export interface Moment {
  /** By model. */
  readonly engines: ReadonlyMap<string, EngineFigures>
  readonly rewardModels: readonly RewardModelFigures[]
}

export class Metrics {
  readonly #registry = new Registry()
  readonly #figures: ModelFigures
  readonly #models = new Map<string, ModelMetrics>()
  readonly #rewardModels: Gauge
  readonly #rewardModelBytes: Gauge<'reward_model' | 'of'>
  readonly #rewardModelTokens: Counter<'reward_model'>
  readonly #http: Counter<'handler' | 'method' | 'status'>

  /** @param names whose names the shared figures carry */
  constructor (names: MetricsNames) {
    const registers = [this.#registry]
    this.#figures = modelFigures(this.#registry, names)
    this.#rewardModels =
      new Gauge({ name: 'fairlead_reward_models', help: 'Models that rewards brought, loaded', registers })
    this.#rewardModelBytes = new Gauge({
      name: 'fairlead_reward_model_bytes',
      help: 'Bytes that such a model takes: its weights, and KV that is held',
      labelNames: ['reward_model', 'of'],
      registers
    })
    this.#rewardModelTokens = new Counter({
      name: 'fairlead_reward_model_tokens_total',
      help: 'Tokens run through such a model',
      labelNames: ['reward_model'],
      registers
    })
    this.#http = new Counter({
      name: 'http_requests_total',
      help: 'HTTP requests answered',
      labelNames: ['handler', 'method', 'status'],
      registers
    })
    collectDefaultMetrics({ register: this.#registry })
  }

  /** The figures of a model that is served. */
  of (model: string): ModelMetrics {
    const known = this.#models.get(model)
    if (known) return known
    const figures = new ModelMetrics(this.#figures, model)
    this.#models.set(model, figures)
    return figures
  }

  /** How long scorers took for a model, seconds, by reward. */
  scored (model: string, seconds: Readonly<Record<string, readonly number[]>>): void {
    // A name without figures need not be a model's.
    if (Object.keys(seconds).length > 0) this.of(model).scored(seconds)
  }

  /** Shows whether the store that replicas share can be used. To be called where there is one. */
  showStore (isUp: () => boolean): void {
    const up: Gauge = new Gauge({
      name: 'fairlead_store_up',
      help: 'Whether the store that replicas share can be used',
      registers: [this.#registry],
      collect: () => { up.set(isUp() ? 1 : 0) }
    })
  }

  answered (handler: string, method: string, status: number): void { this.#http.inc({ handler, method, status }) }

  get contentType (): string { return this.#registry.contentType }

  /** Everything, as a scrape reads it. @param moment null while the models are loading */
  async text (moment: Moment | null): Promise<string> {
    const { engines, rewardModels } = moment ?? { engines: new Map<string, never>(), rewardModels: [] }
    for (const model of engines.keys()) this.of(model)
    showEngines(this.#figures, engines)
    this.#rewardModels.set(rewardModels.length)
    this.#rewardModelBytes.reset()
    this.#rewardModelTokens.reset()
    for (const { id, weightBytes, kvBytes, tokens } of rewardModels) {
      this.#rewardModelBytes.inc({ reward_model: id, of: 'weights' }, weightBytes)
      this.#rewardModelBytes.inc({ reward_model: id, of: 'kv' }, kvBytes)
      this.#rewardModelTokens.inc({ reward_model: id }, tokens)
    }
    return await this.#registry.metrics()
  }
}
