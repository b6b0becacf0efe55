/**
 * Times of configurations, in a file of their own beside the answers: quality can be drawn on a busy machine, many
 * requests at once, times are taken alone, round-robin, and again whenever the machine is idle.
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import type { LocalModel } from '../serving/served-models.js'
import type { TimedTurn } from './analysis.js'
import { draw, type OnProgress, type Configuration } from './sampling-runs.js'
import { Records } from './records.js'

/** One configuration on one prompt. */
interface Timed extends Configuration { readonly prompt: string, readonly ms: number }

/** A configuration, the served model whose rewards it names, and the schema of its answers. */
export interface TimedConfiguration {
  readonly configuration: Configuration, readonly served: LocalModel, readonly schema?: object | null
}

/** The configurations that are timed on a prompt: as many on each. */
export interface Turn { readonly prompt: string, readonly configurations: readonly TimedConfiguration[] }

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
   * Takes the times that are missing: turn by turn every configuration once, in their order, one request at a time. A
   * first turn, which compiles graphs, does not count.
   * @returns for each turn the configurations' times in their order, ms
   */
  async take (turns: readonly Turn[], signal: AbortSignal, onProgress: OnProgress): Promise<TimedTurn[]> {
    const missing = turns.flatMap(({ prompt, configurations }) => configurations.map(timed => ({ ...timed, prompt })))
      .filter(({ configuration, prompt }) => !this.#known.has(keyOf(configuration, prompt)))
    const unseen = missing.filter(({ configuration }, index) =>
      missing.findIndex(other => other.configuration.name === configuration.name) === index)
    const total = unseen.length + missing.length
    for (const [index, { served, configuration, prompt, schema = null }] of [...unseen, ...missing].entries()) {
      onProgress('times', index, total)
      const { ms } = await draw(served, configuration, prompt, timedSeed, this.#maxTokens, signal, schema)
      if (index < unseen.length) continue
      const { name, system, alignment, answers } = configuration
      this.#records.append({ name, prompt, system, alignment, answers, ms })
      this.#known.set(keyOf(configuration, prompt), ms)
    }
    return turns.map(({ prompt, configurations }) =>
      configurations.map(({ configuration }) => this.#known.get(keyOf(configuration, prompt))!))
  }
}

function keyOf ({ name, system, alignment, answers }: Configuration, prompt: string): string {
  return JSON.stringify([name, system, alignment, answers, prompt])
}
