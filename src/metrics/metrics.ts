/**
 * What operators watch, in Prometheus' text format. Figures that vLLM has with the same meaning can carry its names, so that dashboards and
 * autoscalers made for it work; guidance has names of its own. Knows numbers, not requests.
 */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'

/** The engine at one moment, and its counters since it started. */
export interface EngineFigures {
  readonly runningRequests: number
  readonly waitingRequests: number
  /** Share of the KV that requests may reserve, 0–1. */
  readonly kvUsage: number
  readonly steps: number
  readonly decodeRows: number
  readonly prefillRows: number
  readonly probedRows: number
  /** Models that rewards brought: bytes of weights and of KV held, tokens run since they were loaded. */
  readonly rewardModels: ReadonlyArray<{ readonly id: string, readonly weightBytes: number, readonly kvBytes: number, readonly tokens: number }>
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

const seconds = [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640]
const tokenCounts = [1, 4, 16, 64, 256, 1024, 4096, 16384, 65536]
const choiceCounts = [1, 2, 5, 10, 20, 50, 128]
const nats = [0.01, 0.03, 0.1, 0.3, 1, 2, 3, 5, 10, 30, 100]

/** Where an observation in seconds goes. */
export type Latency = 'queue' | 'prefill' | 'firstToken' | 'interToken' | 'decode' | 'whole'

export class Metrics {
  readonly #registry = new Registry()
  readonly #latencies: Readonly<Record<Latency, Histogram>>
  readonly #gauges: Readonly<Record<'running' | 'waiting' | 'kv', Gauge>>
  readonly #engineSteps: Counter
  readonly #engineRows: Counter<'role'>
  readonly #tokens: Readonly<Record<'prompt' | 'cacheQueries' | 'cacheHits', Counter>>
  readonly #generated: Counter<'outcome'>
  readonly #candidates: Counter<'outcome'>
  readonly #rewardTokens: Counter<'source'>
  readonly #rewardLatency: Histogram<'reward'>
  readonly #rewardModels: Gauge
  readonly #rewardModelBytes: Gauge<'reward_model' | 'of'>
  readonly #rewardModelTokens: Counter<'reward_model'>
  readonly #kl: Histogram
  readonly #sizes: Readonly<Record<'prompt' | 'generation' | 'choices', Histogram>>
  readonly #succeeded: Counter<'finished_reason'>
  readonly #failed: Counter<'code'>
  readonly #http: Counter<'handler' | 'method' | 'status'>

  /** @param names whose names the shared figures carry */
  constructor (names: 'fairlead' | 'vllm') {
    const registers = [this.#registry]
    const shared = (name: string): string => `${names === 'vllm' ? 'vllm:' : 'fairlead_'}${name}`
    const own = (name: string): string => `fairlead_${name}`
    const histogram = <L extends string = never> (name: string, help: string, buckets: number[], ...labelNames: L[]): Histogram<L> => new Histogram({ name, help, buckets, labelNames, registers })
    const counter = <L extends string = never> (name: string, help: string, ...labelNames: L[]): Counter<L> => new Counter({ name, help, labelNames, registers })
    const gauge = <L extends string = never> (name: string, help: string, ...labelNames: L[]): Gauge<L> => new Gauge({ name, help, labelNames, registers })
    this.#latencies = {
      queue: histogram(shared('request_queue_time_seconds'), 'From the request’s arrival until it was admitted', seconds),
      prefill: histogram(shared('request_prefill_time_seconds'), 'From admission to the first text', seconds),
      firstToken: histogram(shared('time_to_first_token_seconds'), 'From the request’s arrival to its first text', seconds),
      interToken: histogram(shared('inter_token_latency_seconds'), 'Between two pieces of text of one choice', seconds),
      decode: histogram(shared('request_decode_time_seconds'), 'From the first text to the end', seconds),
      whole: histogram(shared('e2e_request_latency_seconds'), 'From the request’s arrival to its end', seconds)
    }
    this.#gauges = {
      running: gauge(shared('num_requests_running'), 'Requests that hold KV'),
      waiting: gauge(shared('num_requests_waiting'), 'Requests that wait for KV'),
      kv: gauge(names === 'vllm' ? 'vllm:kv_cache_usage_perc' : own('kv_cache_usage_ratio'), 'Share of the KV that requests may reserve that is held, 0 to 1')
    }
    this.#tokens = {
      prompt: counter(shared('prompt_tokens_total'), 'Tokens of prompts'),
      cacheQueries: counter(shared('prefix_cache_queries_total'), 'Prompt tokens looked up in the prefix cache'),
      cacheHits: counter(shared('prefix_cache_hits_total'), 'Prompt tokens found there')
    }
    this.#sizes = {
      prompt: histogram(shared('request_prompt_tokens'), 'Tokens of a request’s prompt', tokenCounts),
      generation: histogram(shared('request_generation_tokens'), 'Tokens of a request’s returned choices', tokenCounts),
      choices: histogram(shared('request_params_n'), 'Choices of a request', choiceCounts)
    }
    this.#generated = counter(shared('generation_tokens_total'), 'Tokens drawn, by whether they were returned; abandoned are those of generations that did not come to their end', 'outcome')
    this.#succeeded = counter(shared('request_success_total'), 'Choices returned, by why they ended', 'finished_reason')
    this.#failed = counter(own('request_failure_total'), 'Generations that failed, by error code', 'code')
    this.#candidates = counter(own('candidates_total'), 'Candidates by what became of them', 'outcome')
    this.#rewardTokens = counter(own('reward_tokens_total'), 'Tokens read only to score', 'source')
    this.#rewardLatency = histogram(own('reward_latency_seconds'), 'One call of a reward’s scorer, for one or more answers', seconds, 'reward')
    this.#rewardModels = gauge(own('reward_models'), 'Models that rewards brought, loaded')
    this.#rewardModelBytes = gauge(own('reward_model_bytes'), 'Bytes that such a model takes: its weights, and KV that is held', 'reward_model', 'of')
    this.#rewardModelTokens = counter(own('reward_model_tokens_total'), 'Tokens run through such a model', 'reward_model')
    this.#kl = histogram(own('guidance_kl_nats'), 'KL of guided answers to the policy, where it is known', nats)
    this.#engineSteps = counter(own('engine_steps_total'), 'Steps of the engine')
    this.#engineRows = counter(own('engine_rows_total'), 'Rows run by those steps', 'role')
    this.#http = counter('http_requests_total', 'HTTP requests answered', 'handler', 'method', 'status')
    collectDefaultMetrics({ register: this.#registry })
  }

  observe (latency: Latency, value: number): void { this.#latencies[latency].observe(value) }

  succeeded (figures: GenerationFigures): void {
    this.#tokens.prompt.inc(figures.promptTokens)
    this.#tokens.cacheQueries.inc(figures.promptTokens)
    this.#tokens.cacheHits.inc(figures.cachedTokens)
    this.#generated.inc({ outcome: 'returned' }, figures.returnedTokens)
    this.#generated.inc({ outcome: 'discarded' }, figures.discardedTokens)
    this.#candidates.inc({ outcome: 'returned' }, figures.choices)
    this.#candidates.inc({ outcome: 'discarded' }, figures.discardedCandidates)
    this.#candidates.inc({ outcome: 'pruned' }, figures.prunedCandidates)
    this.#rewardTokens.inc({ source: 'computed' }, figures.rewardTokens)
    this.#rewardTokens.inc({ source: 'cached' }, figures.rewardCachedTokens)
    this.#sizes.prompt.observe(figures.promptTokens)
    this.#sizes.generation.observe(figures.returnedTokens)
    this.#sizes.choices.observe(figures.choices)
    if (figures.kl !== null) this.#kl.observe(figures.kl)
    for (const reason of figures.finishReasons) this.#succeeded.inc({ finished_reason: reason })
  }

  /** Tokens that were drawn for nobody. */
  abandoned (tokens: number): void { this.#generated.inc({ outcome: 'abandoned' }, tokens) }

  /** How long scorers took, seconds, by reward. */
  scored (seconds: Readonly<Record<string, readonly number[]>>): void {
    for (const [reward, times] of Object.entries(seconds)) for (const time of times) this.#rewardLatency.observe({ reward }, time)
  }

  failed (code: string): void { this.#failed.inc({ code }) }

  answered (handler: string, method: string, status: number): void { this.#http.inc({ handler, method, status }) }

  get contentType (): string { return this.#registry.contentType }

  /**
   * Everything, as a scrape reads it.
   * @param model label of every figure, as vLLM has it
   * @param engine null while it is loading
   */
  async text (model: string, engine: EngineFigures | null): Promise<string> {
    this.#registry.setDefaultLabels({ model_name: model })
    this.#gauges.running.set(engine?.runningRequests ?? 0)
    this.#gauges.waiting.set(engine?.waitingRequests ?? 0)
    this.#gauges.kv.set(engine?.kvUsage ?? 0)
    // The engine counts itself; what is shown is its count.
    this.#engineSteps.reset()
    this.#engineRows.reset()
    this.#engineSteps.inc(engine?.steps ?? 0)
    this.#engineRows.inc({ role: 'decode' }, engine?.decodeRows ?? 0)
    this.#engineRows.inc({ role: 'prefill' }, engine?.prefillRows ?? 0)
    this.#engineRows.inc({ role: 'probe' }, engine?.probedRows ?? 0)
    this.#rewardModels.set(engine?.rewardModels.length ?? 0)
    this.#rewardModelBytes.reset()
    this.#rewardModelTokens.reset()
    for (const { id, weightBytes, kvBytes, tokens } of engine?.rewardModels ?? []) {
      this.#rewardModelBytes.inc({ reward_model: id, of: 'weights' }, weightBytes)
      this.#rewardModelBytes.inc({ reward_model: id, of: 'kv' }, kvBytes)
      this.#rewardModelTokens.inc({ reward_model: id }, tokens)
    }
    return await this.#registry.metrics()
  }
}
