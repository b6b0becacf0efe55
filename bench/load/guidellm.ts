/**
 * guidellm, the load generator of the vLLM project, on the same load as ours: what two generators agree on is not made
 * up by either. Installed, pinned, into the cache folder on first use; runs without a network after that.
 */
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

/** Output tokens/s of one load by both, one after the other: ours, guidellm, ours again. */
export interface CrossCheck { readonly level: number, readonly ours: readonly number[], readonly guidellm: number }

/** guidellm's over the mean of ours. */
export const agreement = ({ ours, guidellm }: CrossCheck): number =>
  guidellm / (ours.reduce((sum, one) => sum + one, 0) / ours.length)

/** What is read of guidellm's report: requests that were answered, with times in seconds. */
interface Report {
  readonly benchmarks: ReadonlyArray<{
    readonly requests: {
      readonly successful: ReadonlyArray<{
        readonly info: { readonly timings: { readonly request_start: number, readonly request_end: number } },
        readonly output_metrics: { readonly text_tokens: number }
      }>,
      readonly errored: readonly unknown[]
    }
  }>
}

/**
 * Output tokens/s from the first request to the last answer, as ours are counted.
 * @throws Error where a request failed
 */
export function rateIn ({ benchmarks: [first] }: Report): number {
  const { successful, errored } = first!.requests
  if (errored.length > 0 || successful.length === 0) {
    throw new Error(`guidellm: ${errored.length} requests failed, ${successful.length} were answered`)
  }
  const seconds = Math.max(...successful.map(({ info }) => info.timings.request_end)) -
    Math.min(...successful.map(({ info }) => info.timings.request_start))
  return successful.reduce((sum, { output_metrics: { text_tokens: tokens } }) => sum + tokens, 0) / seconds
}

/**
 * Has guidellm stream answers, so many at once.
 * @param program where it is
 * @param prompts a request for each
 * @returns output tokens/s
 */
export async function runGuidellm (program: string, { url, model, prompts, level, maxTokens, signal }: {
  readonly url: string,
  readonly model: string,
  readonly prompts: readonly string[],
  readonly level: number,
  readonly maxTokens: number,
  readonly signal: AbortSignal
}): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-guidellm-'))
  const [data, report] = [join(folder, 'prompts.jsonl'), join(folder, 'report.json')]
  try {
    writeFileSync(data,
      prompts.map(prompt => `${JSON.stringify({ prompt, output_tokens_count: maxTokens })}\n`).join(''))
    await promisify(execFile)(program, [
      'run', '--disable-console', '--backend', `kind=openai_http,target=${url},model=${model},http2=false`, '--profile',
      `kind=concurrent,streams=${level}`,
      '--constraint', `kind=max_requests,count=${prompts.length}`, '--data', `kind=json_file,path=${data}`, '--output',
      `kind=json,path=${report}`
    ], { signal, maxBuffer: 1 << 26, env: { ...process.env, HF_HUB_OFFLINE: '1' } })
    return rateIn(JSON.parse(readFileSync(report, 'utf8')) as Report)
  } finally {
    rmSync(folder, { recursive: true })
  }
}
