/**
 * What a load run says, with vLLM's definitions. TTFT: from sending a request to its first piece of text. Gap: time between two pieces
 * of one answer (inter-chunk; one token each where the server is not behind). Latency: from sending to the last byte. Output tokens:
 * of the returned answers, by the server's `usage`; generated tokens: discarded candidates too. Rates are over the whole run.
 */

export interface Quantiles { readonly p50: number, readonly p99: number }

/** Raw figures of one scenario, milliseconds. */
export interface Samples {
  readonly latencies: number[]
  readonly firstTexts: number[]
  readonly gaps: number[]
  outputTokens: number
  generatedTokens: number
  errors: number
}

export interface Measurement {
  readonly scenario: string
  readonly transport: string
  readonly concurrency: number
  readonly requests: number
  readonly errors: number
  readonly seconds: number
  readonly requestsPerSecond: number
  readonly outputTokensPerSecond: number
  readonly generatedTokensPerSecond: number
  readonly latencyMs: Quantiles | null
  readonly timeToFirstTextMs: Quantiles | null
  readonly gapMs: Quantiles | null
}

export const emptySamples = (): Samples => ({ latencies: [], firstTexts: [], gaps: [], outputTokens: 0, generatedTokens: 0, errors: 0 })

/** Nearest-rank quantiles; null of nothing. */
export function quantiles (values: readonly number[]): Quantiles | null {
  if (values.length === 0) return null
  const sorted = [...values].sort((a, b) => a - b)
  const at = (share: number): number => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]!
  return { p50: at(0.5), p99: at(0.99) }
}

/** Adds the usage of one completion. */
export function addUsage (samples: Samples, usage: { completion_tokens: number, alignment_details: { generated_tokens: number } }): void {
  samples.outputTokens += usage.completion_tokens
  samples.generatedTokens += usage.alignment_details.generated_tokens
}

export function measurementOf (scenario: { name: string, transport: string, concurrency: number }, samples: Samples, seconds: number): Measurement {
  return {
    scenario: scenario.name,
    transport: scenario.transport,
    concurrency: scenario.concurrency,
    requests: samples.latencies.length,
    errors: samples.errors,
    seconds,
    requestsPerSecond: samples.latencies.length / seconds,
    outputTokensPerSecond: samples.outputTokens / seconds,
    generatedTokensPerSecond: samples.generatedTokens / seconds,
    latencyMs: quantiles(samples.latencies),
    timeToFirstTextMs: quantiles(samples.firstTexts),
    gapMs: quantiles(samples.gaps)
  }
}
