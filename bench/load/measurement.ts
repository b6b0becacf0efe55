/**
 * What a load says, with the definitions of vLLM's benchmark. TTFT: from sending a request to its first piece of text.
 * ITL: time between two pieces of one answer (one token each where the server is not behind). TPOT: (latency − TTFT) /
 * (output tokens − 1). Latency: from sending to the last byte. Goodput: requests/s that met every objective that
 * applies to them. Output tokens: of the returned answers, by the server's `usage`; generated tokens: discarded
 * candidates too. Rates are over the whole load. Pure.
 */
import { quantile } from '../../src/reporting/spread.js'

export interface Quantiles { readonly p50: number, readonly p90: number, readonly p99: number }

/** The usage of a completion, as far as it is read. */
export interface WireUsage {
  readonly prompt_tokens: number
  readonly completion_tokens: number
  readonly prompt_tokens_details: { readonly cached_tokens: number }
  readonly alignment_details: { readonly generated_tokens: number }
}

/** One request, answered. Times in milliseconds. */
export interface RequestSample {
  readonly latency: number
  /** Null where the answer came whole. */
  readonly firstText: number | null
  readonly gaps: readonly number[]
  readonly usage: WireUsage
}

/** What a load gave: who was answered, who was not, and how long it all took. */
export interface LoadSamples {
  readonly answered: readonly RequestSample[]
  readonly errors: number
  /** From the first request to the last answer. */
  readonly seconds: number
  /** CPU time of the load generator over that time: 1 is a whole core. */
  readonly generatorCpu: number
}

/** Objectives, milliseconds: of streams TTFT and TPOT count, of whole answers the latency. */
export interface Objectives { readonly ttft: number, readonly tpot: number, readonly latency: number }

/** The server as it is, nothing switched off. */
export const defaultConfiguration = 'default'

/** A load as it was sent. */
export interface LoadKind {
  readonly configuration: string
  readonly scenario: string
  readonly transport: 'http' | 'websocket'
  /** Closed: so many requests in flight. Open: so many a second (Poisson), whether or not earlier ones are answered. */
  readonly loop: 'closed' | 'open'
  readonly level: number
}

export interface Measurement extends LoadKind {
  readonly requests: number
  readonly errors: number
  readonly seconds: number
  readonly requestsPerSecond: number
  readonly goodput: number
  readonly outputTokensPerSecond: number
  readonly generatedTokensPerSecond: number
  /** Candidates drawn, and scores computed, by the strategy's parameters. */
  readonly candidatesPerSecond: number
  readonly rewardsPerSecond: number
  /** Tokens of a prompt, mean. */
  readonly promptTokens: number
  /** Share of prompt tokens whose KV was there. */
  readonly prefixHitRate: number
  readonly ttftMs: Quantiles | null
  readonly tpotMs: Quantiles | null
  readonly itlMs: Quantiles | null
  readonly latencyMs: Quantiles | null
  readonly generatorCpu: number
}

/** Nearest-rank quantiles; null of nothing. */
export const quantiles = (values: readonly number[]): Quantiles | null => values.length === 0
  ? null
  : { p50: quantile(values, 0.5), p90: quantile(values, 0.9), p99: quantile(values, 0.99) }

/** Time per output token after the first; null for whole answers and for those of one token. */
export function tpotOf ({ latency, firstText, usage }: RequestSample): number | null {
  return firstText === null || usage.completion_tokens < 2
    ? null
    : (latency - firstText) / (usage.completion_tokens - 1)
}

/** Whether a request met what applies to it. */
export function meets (sample: RequestSample, { ttft, tpot, latency }: Objectives): boolean {
  return sample.firstText === null
    ? sample.latency <= latency
    : sample.firstText <= ttft && (tpotOf(sample) ?? 0) <= tpot
}

/** What a request of a scenario takes beside tokens: candidates, and scores for an answer of so many tokens. */
export interface Fanout { readonly candidates: number, readonly rewards: (outputTokens: number) => number }

export function measure (
  kind: LoadKind, { answered, errors, seconds, generatorCpu }: LoadSamples, fanout: Fanout, objectives: Objectives
): Measurement {
  const sum = (of: (sample: RequestSample) => number): number =>
    answered.reduce((total, sample) => total + of(sample), 0)
  const promptTokens = sum(({ usage }) => usage.prompt_tokens)
  return {
    ...kind,
    requests: answered.length,
    errors,
    seconds,
    requestsPerSecond: answered.length / seconds,
    goodput: answered.filter(sample => meets(sample, objectives)).length / seconds,
    outputTokensPerSecond: sum(({ usage }) => usage.completion_tokens) / seconds,
    generatedTokensPerSecond: sum(({ usage }) => usage.alignment_details.generated_tokens) / seconds,
    candidatesPerSecond: answered.length * fanout.candidates / seconds,
    rewardsPerSecond: sum(({ usage }) => fanout.rewards(usage.completion_tokens)) / seconds,
    promptTokens: answered.length === 0 ? 0 : promptTokens / answered.length,
    prefixHitRate: promptTokens === 0
      ? 0
      : sum(({ usage }) => usage.prompt_tokens_details.cached_tokens) / promptTokens,
    ttftMs: quantiles(answered.flatMap(({ firstText }) => firstText ?? [])),
    tpotMs: quantiles(answered.flatMap(sample => tpotOf(sample) ?? [])),
    itlMs: quantiles(answered.flatMap(({ gaps }) => gaps)),
    latencyMs: quantiles(answered.map(({ latency }) => latency)),
    generatorCpu
  }
}

/** Measures the CPU time of this process between its making and `share()`. */
export class CpuClock {
  readonly #started = performance.now()
  readonly #cpu = process.cpuUsage()

  /** CPU seconds a second. */
  share (): number {
    const { user, system } = process.cpuUsage(this.#cpu)
    return (user + system) / 1000 / (performance.now() - this.#started)
  }
}
