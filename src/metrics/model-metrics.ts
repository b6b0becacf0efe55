/**
 * What operators watch of each model: figures that carry its name in the label `model_name`, as vLLM's do. Figures that
 * vLLM has with the same meaning can carry its names, so that dashboards and autoscalers made for it work; guidance has
 * names of its own. Knows numbers, not requests.
 */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client'

/** A model's engine at one moment, and its counters since it started. */
export interface EngineFigures {
  readonly runningRequests: number
  readonly waitingRequests: number
  /** Share of the KV that requests may reserve, 0–1. */
  readonly kvUsage: number
  readonly steps: number
  readonly decodeRows: number
  readonly prefillRows: number
  readonly probedRows: number
}

/** What one generation took, in tokens and in answers. */
export interface GenerationFigures {
  readonly promptTokens: number
  readonly cachedTokens: number
  readonly returnedTokens: number
  readonly discardedTokens: number
  readonly rewardTokens: number
  readonly rewardCachedTokens: number
  readonly choices: number
  readonly discardedCandidates: number
  readonly prunedCandidates: number
  /** Nats, or null where none is known. */
  readonly kl: number | null
  readonly finishReasons: readonly string[]
}

/** Whose names the shared figures carry. */
export type MetricsNames = 'fairlead' | 'vllm'

/** Where an observation in seconds goes. */
export type Latency = 'queue' | 'prefill' | 'firstToken' | 'interToken' | 'decode' | 'whole'

const seconds = [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160,
  640]
const tokenCounts = [1, 4, 16, 64, 256, 1024, 4096, 16384, 65536]
const choiceCounts = [1, 2, 5, 10, 20, 50, 128]
const nats = [0.01, 0.03, 0.1, 0.3, 1, 2, 3, 5, 10, 30, 100]

type OfModel<L extends string = never> = L | 'model_name'

/** The figures of all models. @param names whose names the shared ones carry */
export function modelFigures (registry: Registry, names: MetricsNames) {
  const registers = [registry]
  const shared = (name: string): string => `${names === 'vllm' ? 'vllm:' : 'fairlead_'}${name}`
  const own = (name: string): string => `fairlead_${name}`
  const histogram = <L extends string = never> (
    name: string, help: string, buckets: number[], ...labels: L[]
  ): Histogram<OfModel<L>> => new Histogram({ name, help, buckets, labelNames: ['model_name', ...labels], registers })
  const counter = <L extends string = never> (name: string, help: string, ...labels: L[]): Counter<OfModel<L>> =>
    new Counter({ name, help, labelNames: ['model_name', ...labels], registers })
  const gauge = (name: string, help: string): Gauge<OfModel> =>
    new Gauge({ name, help, labelNames: ['model_name'], registers })
  return {
    latencies: {
      queue: histogram(shared('request_queue_time_seconds'), 'From the request’s arrival until it was admitted',
        seconds),
      prefill: histogram(shared('request_prefill_time_seconds'), 'From admission to the first text', seconds),
      firstToken: histogram(shared('time_to_first_token_seconds'), 'From the request’s arrival to its first text',
        seconds),
      interToken: histogram(shared('inter_token_latency_seconds'), 'Between two pieces of text of one choice', seconds),
      decode: histogram(shared('request_decode_time_seconds'), 'From the first text to the end', seconds),
      whole: histogram(shared('e2e_request_latency_seconds'), 'From the request’s arrival to its end', seconds)
    },
    gauges: {
      running: gauge(shared('num_requests_running'), 'Requests that hold KV'),
      waiting: gauge(shared('num_requests_waiting'), 'Requests that wait for KV'),
      kv: gauge(names === 'vllm' ? 'vllm:kv_cache_usage_perc' : own('kv_cache_usage_ratio'),
        'Share of the KV that requests may reserve that is held, 0 to 1')
    },
    tokens: {
      prompt: counter(shared('prompt_tokens_total'), 'Tokens of prompts'),
      cacheQueries: counter(shared('prefix_cache_queries_total'), 'Prompt tokens looked up in the prefix cache'),
      cacheHits: counter(shared('prefix_cache_hits_total'), 'Prompt tokens found there')
    },
    sizes: {
      prompt: histogram(shared('request_prompt_tokens'), 'Tokens of a request’s prompt', tokenCounts),
      generation: histogram(shared('request_generation_tokens'), 'Tokens of a request’s returned choices', tokenCounts),
      choices: histogram(shared('request_params_n'), 'Choices of a request', choiceCounts)
    },
    generated: counter(shared('generation_tokens_total'), 'Tokens drawn, by whether they were returned; ' +
      'abandoned are those of generations that did not come to their end', 'outcome'),
    succeeded: counter(shared('request_success_total'), 'Choices returned, by why they ended', 'finished_reason'),
    failed: counter(own('request_failure_total'), 'Generations that failed, by error code', 'code'),
    candidates: counter(own('candidates_total'), 'Candidates by what became of them', 'outcome'),
    rewardTokens: counter(own('reward_tokens_total'), 'Tokens read only to score', 'source'),
    rewardLatency: histogram(own('reward_latency_seconds'),
      'One call of a reward’s scorer, for one or more answers', seconds, 'reward'),
    kl: histogram(own('guidance_kl_nats'), 'KL of guided answers to the policy, where it is known', nats),
    engineSteps: counter(own('engine_steps_total'), 'Steps of the engine'),
    engineRows: counter(own('engine_rows_total'), 'Rows run by those steps', 'role')
  }
}

/** All of them. */
export type ModelFigures = ReturnType<typeof modelFigures>

/** Engines count themselves; what is shown is their count. @param engines by model; of others nothing is shown */
export function showEngines (figures: ModelFigures, engines: ReadonlyMap<string, EngineFigures>): void {
  for (const figure of [...Object.values(figures.gauges), figures.engineSteps, figures.engineRows]) figure.reset()
  for (const [
    name, { runningRequests, waitingRequests, kvUsage, steps, decodeRows, prefillRows, probedRows }
  ] of engines) {
    const model = { model_name: name }
    figures.gauges.running.set(model, runningRequests)
    figures.gauges.waiting.set(model, waitingRequests)
    figures.gauges.kv.set(model, kvUsage)
    figures.engineSteps.inc(model, steps)
    figures.engineRows.inc({ role: 'decode', ...model }, decodeRows)
    figures.engineRows.inc({ role: 'prefill', ...model }, prefillRows)
    figures.engineRows.inc({ role: 'probe', ...model }, probedRows)
  }
}

/** The figures of one model's requests. */
export class ModelMetrics {
  readonly #figures: ModelFigures
  readonly #model: { readonly model_name: string }

  constructor (figures: ModelFigures, model: string) {
    this.#figures = figures
    this.#model = { model_name: model }
    // What has not been counted yet is shown as 0.
    for (const histogram of [...Object.values(figures.latencies), ...Object.values(figures.sizes), figures.kl]) {
      histogram.zero(this.#model)
    }
    for (const counter of Object.values(figures.tokens)) counter.inc(this.#model, 0)
  }

  observe (latency: Latency, value: number): void { this.#figures.latencies[latency].observe(this.#model, value) }

  succeeded (generation: GenerationFigures): void {
    const { tokens, generated, candidates, rewardTokens, sizes, kl, succeeded } = this.#figures
    tokens.prompt.inc(this.#model, generation.promptTokens)
    tokens.cacheQueries.inc(this.#model, generation.promptTokens)
    tokens.cacheHits.inc(this.#model, generation.cachedTokens)
    generated.inc({ outcome: 'returned', ...this.#model }, generation.returnedTokens)
    generated.inc({ outcome: 'discarded', ...this.#model }, generation.discardedTokens)
    candidates.inc({ outcome: 'returned', ...this.#model }, generation.choices)
    candidates.inc({ outcome: 'discarded', ...this.#model }, generation.discardedCandidates)
    candidates.inc({ outcome: 'pruned', ...this.#model }, generation.prunedCandidates)
    rewardTokens.inc({ source: 'computed', ...this.#model }, generation.rewardTokens)
    rewardTokens.inc({ source: 'cached', ...this.#model }, generation.rewardCachedTokens)
    sizes.prompt.observe(this.#model, generation.promptTokens)
    sizes.generation.observe(this.#model, generation.returnedTokens)
    sizes.choices.observe(this.#model, generation.choices)
    if (generation.kl !== null) kl.observe(this.#model, generation.kl)
    for (const reason of generation.finishReasons) succeeded.inc({ finished_reason: reason, ...this.#model })
  }

  /** Tokens that were drawn in vain. */
  abandoned (tokens: number): void { this.#figures.generated.inc({ outcome: 'abandoned', ...this.#model }, tokens) }

  /** How long scorers took, seconds, by reward. */
  scored (seconds: Readonly<Record<string, readonly number[]>>): void {
    for (const [reward, times] of Object.entries(seconds)) {
      for (const time of times) this.#figures.rewardLatency.observe({ ...this.#model, reward }, time)
    }
  }

  failed (code: string): void { this.#figures.failed.inc({ code, ...this.#model }) }
}
