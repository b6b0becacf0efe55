/**
 * Times of ways, in a file of their own beside the answers: quality can be drawn on a busy machine, many requests at
 * once, times are taken alone and in turns, and again whenever the machine is idle.
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import type { ServedModel } from '../serving/served-models.js'
import type { TimedTurn } from './analysis.js'
import { draw, type OnProgress, type Way } from './drawing.js'
import { Records } from './records.js'

/** One way on one prompt. */
interface Timed extends Way { readonly prompt: string, readonly ms: number }

/** A way, the host whose rewards it names, and the schema that its answers are held to. */
export interface TimedWay { readonly way: Way, readonly host: ServedModel, readonly schema?: object | null }

/** The ways that take a turn on a prompt: the same number on each. */
export interface Turn { readonly prompt: string, readonly ways: readonly TimedWay[] }

/** The seed of what is timed. */
export const timedSeed = 1

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
   * Takes the times that are missing: turn by turn every way once, in their order, one request at a time. A first turn,
   * which compiles graphs, does not count.
   * @returns for each turn the ways' times in their order, ms
   */
  async take (turns: readonly Turn[], signal: AbortSignal, onProgress: OnProgress): Promise<TimedTurn[]> {
    const missing = turns.flatMap(({ prompt, ways }) => ways.map(timed => ({ ...timed, prompt })))
      .filter(({ way, prompt }) => !this.#known.has(keyOf(way, prompt)))
    const unseen = missing.filter(({ way }, index) => missing.findIndex(other => other.way.name === way.name) === index)
    const total = unseen.length + missing.length
    for (const [index, { host, way, prompt, schema = null }] of [...unseen, ...missing].entries()) {
      onProgress('times', index, total)
      const { ms } = await draw(host, way, prompt, timedSeed, this.#maxTokens, signal, schema)
      if (index < unseen.length) continue
      const { name, system, alignment, answers } = way
      this.#records.append({ name, prompt, system, alignment, answers, ms })
      this.#known.set(keyOf(way, prompt), ms)
    }
    return turns.map(({ prompt, ways }) => ways.map(({ way }) => this.#known.get(keyOf(way, prompt))!))
  }
}

function keyOf ({ name, system, alignment, answers }: Way, prompt: string): string {
  return JSON.stringify([name, system, alignment, answers, prompt])
}
