/**
 * Times of ways, in a file of their own beside the answers: quality can be drawn on a busy machine, many requests at once, times are taken alone and in turns, and
 * again whenever the machine is idle.
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Host } from '../inference/host.js'
import type { TimedTurn } from './analysis.js'
import { draw, type Way } from './drawing.js'
import type { OnProgress } from './evaluate.js'
import { Records } from './records.js'

/** One way on one prompt. */
interface Timed extends Pick<Way, 'system' | 'alignment' | 'answers'> { readonly prompt: string, readonly ms: number }

/** A way, and the host whose rewards it names. */
export interface TimedWay { readonly way: Way, readonly host: Host }

/** The seed of what is timed. */
const seed = 1

export class Timings {
  readonly #records: Records<Timed>
  readonly #known: Map<string, number>
  readonly #maxTokens: number

  /** @param anew forgets what is there @throws RequestError for a file of another model or length */
  constructor (fingerprint: string, folder: string, maxTokens: number, anew: boolean) {
    const file = join(folder, 'timings.jsonl')
    if (anew) rmSync(file, { force: true })
    this.#maxTokens = maxTokens
    this.#records = Records.open<Timed>(file, { model: fingerprint, maxTokens })
    this.#known = new Map(this.#records.rows.map(row => [keyOf(row, row.prompt), row.ms]))
  }

  /**
   * Takes the times that are missing: on each prompt every way once, in their order, one request at a time. A first turn, which compiles graphs, does not count.
   * @returns for each prompt the ways' times in their order, ms
   */
  async take (ways: readonly TimedWay[], prompts: readonly string[], signal: AbortSignal, onProgress: OnProgress): Promise<TimedTurn[]> {
    const missing = prompts.flatMap(prompt => ways.map(timed => ({ ...timed, prompt }))).filter(({ way, prompt }) => !this.#known.has(keyOf(way, prompt)))
    const unseen = [...new Map(missing.map(one => [keyOf(one.way, ''), one])).values()]
    const total = unseen.length + missing.length
    for (const [index, { host, way, prompt }] of [...unseen, ...missing].entries()) {
      onProgress('times', index, total)
      const { ms } = await draw(host, way, prompt, seed, this.#maxTokens, signal)
      if (index < unseen.length) continue
      const { system, alignment, answers } = way
      this.#records.append({ prompt, system, alignment, answers, ms })
      this.#known.set(keyOf(way, prompt), ms)
    }
    return prompts.map(prompt => ways.map(({ way }) => this.#known.get(keyOf(way, prompt))!))
  }
}

function keyOf ({ system, alignment, answers }: Pick<Way, 'system' | 'alignment' | 'answers'>, prompt: string): string {
  return JSON.stringify([system, alignment, answers, prompt])
}
