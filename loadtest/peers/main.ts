/**
 * `npm run bench:peers`: Fairlead beside other engines, with the same model file, prompts and cores, in turns. Installs
 * the peers on first use, outside the repository. Prints a table, and writes JSON on request; Ctrl-C leaves what was
 * measured so far, an engine that fails what the others did.
 */
import { writeFileSync } from 'node:fs'
import {
  describeOptions, integerOption, parseOptions, settingFlags, settingOptions, type Options, type Values
} from '../../src/cli/options.js'
import { loadConfig } from '../../src/config.js'
import { RequestError } from '../../src/errors.js'
import { resolveModel } from '../../src/models/store/model-store.js'
import { environmentOf } from '../../src/reporting/environment.js'
import { EngineProcess } from './engine-process.js'
import { engines, type Engine } from './engines.js'
import { prepare, readVocabulary, type Vocabulary } from './places.js'
import { checkMeasured } from './protocol.js'
import { resultsOf, tableOf, type Contestant, type ScenarioTimes } from './report.js'
import { scenariosOf, taskOf, type Scenario } from './scenarios.js'
import type { Times } from './statistics.js'
import { inTurns } from './turns.js'

const say = (message: string): void => { process.stderr.write(`${message}\n`) }

const options: Options = {
  engines: {
    type: 'string', help: 'engines that take turns, by commas', default: engines.map(engine => engine.name).join()
  },
  scenarios: {
    type: 'string', help: 'scenarios, by commas', default: scenariosOf(2).map(scenario => scenario.name).join()
  },
  alternations: { type: 'string', help: 'turns of each engine; medians are reported', default: '5' },
  'new-tokens': { type: 'string', help: 'tokens of each candidate', default: '128' },
  json: { type: 'string', help: 'file to write all figures to' },
  ...settingOptions(['model', 'format', 'threads', 'cacheDir'])
}

/** The entries whose names are given by commas. @throws RequestError naming those there are */
function chosen <T extends { readonly name: string }> (values: Values, option: string, all: readonly T[]): T[] {
  const given = values[option]
  if (given === undefined) return [...all]
  const names = String(given).split(',')
  const unknown = names.find(name => !all.some(one => one.name === name))
  if (unknown !== undefined) {
    throw new RequestError('invalid_request',
      `--${option} must be some of ${all.map(one => one.name).join()}; got ${JSON.stringify(unknown)}`,
      { param: option })
  }
  return all.filter(one => names.includes(one.name))
}

interface Running extends Contestant { readonly process: EngineProcess }

const messageOf = (error: unknown): string => error instanceof Error ? error.message : String(error)

/** One engine's turn. */
async function turn ({ process }: Running, scenario: Scenario, vocabulary: Vocabulary, index: number): Promise<Times> {
  const task = taskOf(scenario, vocabulary.encodeChat, index)
  const measured = await process.measure(task)
  checkMeasured(task, measured, vocabulary.size)
  return { firstMs: measured.firstMs, totalMs: measured.totalMs }
}

async function bench (values: Values): Promise<void> {
  const config = loadConfig(settingFlags(values))
  const [alternations, newTokens] = [integerOption(values, 'alternations', 5),
    integerOption(values, 'new-tokens', 128, 2)]
  const [wanted, scenarios] = [chosen(values, 'engines', engines), chosen(values, 'scenarios', scenariosOf(newTokens))]
  const model = await resolveModel(config.model, { cacheDir: config.cacheDir, onProgress: say })
  const vocabulary = await readVocabulary(model.path)
  const places = await prepare(config, model, wanted, say)
  const environment = {
    ...environmentOf('npm run bench:peers --', process.argv.slice(2)),
    model: model.id,
    sha256: model.sha256,
    threads: config.threads
  }
  say(`load average before: ${environment.loadAverage[0]!.toFixed(2)}`)

  const running: Running[] = []
  const found: Array<ScenarioTimes
    & { readonly times: Map<string, Times[]>, readonly failures: Map<string, string> }> = []
  const notLoaded = new Map<string, string>()
  let finished = false
  const write = (): void => {
    if (typeof values['json'] !== 'string') return
    const loaded = running.map(({ engine: { name, family, weights }, about }) => ({ name, family, weights, ...about }))
    const scenarioResults = found.map(one => ({ ...one.scenario, results: resultsOf(one, running) }))
    writeFileSync(values['json'],
      `${JSON.stringify({ environment, alternations, finished, engines: loaded, notLoaded: Object.fromEntries(notLoaded), scenarios: scenarioResults }, null, 2)}\n`)
  }
  const stop = (): void => { for (const one of running) one.process.kill() }
  const interrupted = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => { interrupted.abort(); stop() })
  /**
   * An engine that fails is left out of what it failed at; the others go on.
   * @param failures where it is kept, by the engine's name
   */
  const failed = (failures: Map<string, string>, { name }: Engine, at: string, error: unknown): void => {
    interrupted.signal.throwIfAborted()
    failures.set(name, messageOf(error))
    process.exitCode = 1
    say(`${name} failed at ${at}: ${messageOf(error)}`)
  }
  try {
    write()
    for (const engine of wanted) {
      interrupted.signal.throwIfAborted()
      say(`loading ${engine.name}`)
      try {
        const { engine: process, about } = await EngineProcess.start(engine.command(places))
        running.push({ engine, about, process })
      } catch (error) {
        failed(notLoaded, engine, 'loading', error)
      }
    }
    for (const scenario of scenarios) {
      const [times, failures] = [new Map(running.map(({ engine }) => [engine.name, [] as Times[]])),
        new Map<string, string>()]
      found.push({ scenario, times, failures })
      await inTurns(running, alternations, {
        async take (one, alternation) {
          times.get(one.engine.name)!.push(await turn(one, scenario, vocabulary, found.length * 1000 + alternation))
        },
        failed ({ engine }, error) { failed(failures, engine, scenario.name, error) },
        ended (done) {
          say(`${scenario.name}: ${done} of ${alternations}`)
          write()
        }
      })
    }
    finished = true
  } catch (error) {
    if (!interrupted.signal.aborted) throw error
  } finally {
    stop()
    write()
    if (found.length > 0) console.log(tableOf(found, running))
    for (const { engine, about } of running) console.log(`${engine.name}: ${about.version}, ${about.configuration}`)
    for (const [name, message] of notLoaded) console.log(`${name} failed at loading: ${message}`)
    for (const { scenario, failures } of found) {
      for (const [name, message] of failures) console.log(`${name} failed at ${scenario.name}: ${message}`)
    }
  }
}

try {
  const { values } = parseOptions({ options, maxPositionals: 0 }, process.argv.slice(2))
  if (values['help'] === true) {
    console.log('npm run bench:peers -- [OPTIONS]\n\nFairlead beside other engines, in ' +
      `turns\n\n${describeOptions(options)}`)
  } else await bench(values)
} catch (error) {
  say(`bench:peers: ${messageOf(error)}`)
  process.exitCode = error instanceof RequestError ? 2 : 1
}
