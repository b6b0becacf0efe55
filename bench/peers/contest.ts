/**
 * What a bench of Fairlead beside others is made of: the same model file, prompts and cores, engines in processes of
 * their own that are stopped while others are measured, turns, figures as JSON. Ctrl-C leaves what was measured so far,
 * a failure what the others did. Knows no task.
 */
import { say } from '../../src/cli/command.js'
import { settingFlags, settingOptions, type Options } from '../../src/cli/options.js'
import { loadConfig } from '../../src/config.js'
import type { Config } from '../../src/settings.js'
import { resolveModel } from '../../src/models/store/model-store.js'
import { writeJson } from '../../src/reporting/report.js'
import { interruption, messageOf, type Arguments } from '../../tools/program.js'
import { inTurns } from '../harness/turns.js'
import { EngineProcess } from './engine-process.js'
import type { Engine, Places } from './engines.js'
import { prepare, readVocabulary, type Vocabulary } from './places.js'
import type { About } from './protocol.js'

export const settingNames = ['model', 'format', 'threads', 'cacheDir'] as const

export const commonOptions: Options = {
  alternations: { type: 'string', help: 'turns of each; medians are reported', default: '5' },
  json: { type: 'string', help: 'file to write all figures to' },
  ...settingOptions(settingNames)
}

/** What went wrong, by who failed. */
export type Failures = Map<string, string>

export class Contest {
  readonly alternations: number
  readonly newTokens: number
  readonly config: Config
  readonly vocabulary: Vocabulary
  readonly places: Places
  readonly model: { readonly id: string, readonly sha256: string }
  readonly #args: Arguments
  readonly #stops: Array<() => void> = []
  readonly #signal = interruption(() => { this.#stop() })

  private constructor (
    args: Arguments, config: Config, model: { id: string, sha256: string }, vocabulary: Vocabulary, places: Places
  ) {
    this.#args = args
    this.config = config
    this.model = model
    this.vocabulary = vocabulary
    this.places = places
    this.alternations = args.integer('alternations')
    this.newTokens = args.integer('new-tokens', 2)
  }

  /** Installs what the engines need. @param proxies whether libraries that drive a server are wanted, too */
  static async prepare (args: Arguments, wanted: readonly Engine[], proxies = false): Promise<Contest> {
    const config = loadConfig(settingFlags(args.values))
    const model = await resolveModel(config.model, { cacheDir: config.cacheDir, onProgress: say })
    const vocabulary = await readVocabulary(model.path)
    const { id, sha256 } = model
    return new Contest(args, config, { id, sha256 }, vocabulary, await prepare(config, model, wanted, say, proxies))
  }

  #stop (): void { for (const stop of this.#stops) stop() }

  /** Keeps why somebody failed, who is left out of what it failed at; the others go on. @throws once interrupted */
  failed (failures: Failures, name: string, at: string, error: unknown): void {
    this.#signal.throwIfAborted()
    failures.set(name, messageOf(error))
    process.exitCode = 1
    say(`${name} failed at ${at}: ${messageOf(error)}`)
  }

  /** Starts something that is killed when the contest ends; null where it fails. */
  async load<Started> (
    failures: Failures, name: string, start: () => Promise<Started>, kill: (started: Started) => void
  ): Promise<Started | null> {
    this.#signal.throwIfAborted()
    say(`loading ${name}`)
    try {
      const started = await start()
      this.#stops.push(() => { kill(started) })
      return started
    } catch (error) {
      this.failed(failures, name, 'loading', error)
      return null
    }
  }

  engine (failures: Failures, engine: Engine): Promise<{ engine: EngineProcess, about: About } | null> {
    return this.load(failures, engine.name, () => EngineProcess.start(engine.command(this.places)),
      started => { started.engine.kill() })
  }

  /** @param taken what each turn gave, by contestant: filled as they end */
  async turns<Contestant extends { readonly name: string }, Taken> (
    what: string, contestants: readonly Contestant[], taken: Map<string, Taken[]>, failures: Failures,
    take: (contestant: Contestant, turn: number) => Promise<Taken>, write: () => void
  ): Promise<void> {
    await inTurns(contestants, this.alternations, taken, {
      take,
      failed: ({ name }, error) => { this.failed(failures, name, what, error) },
      ended: done => {
        say(`${what}: ${done} of ${this.alternations}`)
        write()
      }
    })
  }

  /**
   * Does the work, and ends all that was started.
   * @param figures what there is so far, for the JSON: written after each round and at the end
   */
  async hold (work: (write: () => void) => Promise<void>, figures: () => object): Promise<void> {
    const environment =
      { ...this.#args.environment, model: this.model.id, sha256: this.model.sha256, threads: this.config.threads }
    let finished = false
    const write = (): void => {
      const file = this.#args.text('json')
      if (file !== '') writeJson(file, { environment, alternations: this.alternations, finished, ...figures() })
    }
    try {
      await work(write)
      finished = true
    } catch (error) {
      if (!this.#signal.aborted) throw error
    } finally {
      this.#stop()
      write()
    }
  }
}
