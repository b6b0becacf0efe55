/**
 * `npm run bench:peers`: Fairlead beside other engines, with the same model file, prompts and cores, in turns. Installs the peers on first use, outside
 * the repository. Prints a table, and writes JSON on request; Ctrl-C leaves what was measured so far.
 */
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { cpus, loadavg } from 'node:os'
import { join, relative } from 'node:path'
import { describeOptions, integerOption, parseOptions, settingFlags, settingOptions, type Options, type Values } from '../../src/cli/options.js'
import { loadConfig, type Config } from '../../src/config.js'
import { RequestError } from '../../src/errors.js'
import { encodeChat } from '../../src/models/chat-template.js'
import { openCheckpoint } from '../../src/models/checkpoint.js'
import { resolveModel } from '../../src/models/store.js'
import { packageRoot } from '../../src/package-root.js'
import { EngineProcess } from './engine-process.js'
import { engines, type Engine, type Places } from './engines.js'
import { installNodeLlamaCpp, installPython, requantise } from './install.js'
import { checkMeasured } from './protocol.js'
import { resultsOf, tableOf, type Contestant, type ScenarioTimes } from './report.js'
import { scenariosOf, taskOf, type EncodeChat, type Scenario } from './scenarios.js'
import type { Times } from './statistics.js'

const say = (message: string): void => { process.stderr.write(`${message}\n`) }

const options: Options = {
  engines: { type: 'string', help: 'engines that take turns, by commas', default: engines.map(engine => engine.name).join() },
  scenarios: { type: 'string', help: 'scenarios, by commas', default: scenariosOf(2).map(scenario => scenario.name).join() },
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
  if (unknown !== undefined) throw new RequestError('invalid_request', `--${option} must be some of ${all.map(one => one.name).join()}; got ${JSON.stringify(unknown)}`, { param: option })
  return all.filter(one => names.includes(one.name))
}

/** The folder the peers are kept in. @throws RequestError if it lies inside the repository */
function peersFolder (config: Config): string {
  const folder = join(config.cacheDir, 'peers')
  if (!relative(packageRoot, folder).startsWith('..')) throw new RequestError('invalid_request', `--cache-dir must lie outside the repository, for peers are installed into it; got ${JSON.stringify(config.cacheDir)}`, { param: 'cacheDir' })
  return folder
}

/** Installs what the engines need. */
async function prepare (config: Config, model: { readonly path: string, readonly sha256: string }, wanted: readonly Engine[]): Promise<Places> {
  const folder = peersFolder(config)
  const encodings = new Set(wanted.map(engine => engine.weights))
  const inPython = encodings.size > 1 || wanted.some(engine => engine.family === 'llama.cpp' || engine.family === 'openvino')
  const python = inPython ? await installPython(folder, say) : ''
  const nodeFolder = wanted.some(engine => engine.family === 'node-llama-cpp') ? await installNodeLlamaCpp(folder, say) : ''
  const models = { file: model.path, Q8_0: '', Q4_0: '' }
  for (const encoding of ['Q8_0', 'Q4_0'] as const) if (encodings.has(encoding)) models[encoding] = await requantise(folder, python, model, encoding, say)
  return { config, python, nodeFolder, models }
}

interface Vocabulary { readonly size: number, readonly encodeChat: EncodeChat }

/** What the model's file says of text: the tokens of a chat, and how many there are. */
async function readVocabulary (path: string): Promise<Vocabulary> {
  const { file, tokenizer, chatTemplate } = await openCheckpoint(path)
  await file.close()
  return { size: tokenizer.vocabularySize, encodeChat: message => encodeChat(chatTemplate, tokenizer, [{ role: 'user', content: message }]).tokens }
}

interface Running extends Contestant { readonly process: EngineProcess }

async function start (wanted: readonly Engine[], places: Places, running: Running[], interrupted: AbortSignal): Promise<void> {
  for (const engine of wanted) {
    interrupted.throwIfAborted()
    say(`loading ${engine.name}`)
    const { engine: process, about } = await EngineProcess.start(engine.command(places)).catch((cause: unknown) => { throw new Error(`${engine.name} did not start: ${String(cause)}`, { cause }) })
    running.push({ engine, about, process })
  }
}

/** One engine's turn. */
async function turn ({ engine, process }: Running, scenario: Scenario, vocabulary: Vocabulary, index: number): Promise<Times> {
  const task = taskOf(scenario, vocabulary.encodeChat, index)
  try {
    const measured = await process.measure(task)
    checkMeasured(task, measured, vocabulary.size)
    return { firstMs: measured.firstMs, totalMs: measured.totalMs }
  } catch (cause) {
    throw new Error(`${engine.name} failed at ${scenario.name}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
  }
}

const commit = (): string | null => {
  try {
    return execFileSync('git', ['rev-parse', 'HEAD'], { cwd: packageRoot, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  } catch {
    return null
  }
}

async function bench (values: Values): Promise<void> {
  const config = loadConfig(settingFlags(values))
  const [alternations, newTokens] = [integerOption(values, 'alternations', 5), integerOption(values, 'new-tokens', 128, 2)]
  const [wanted, scenarios] = [chosen(values, 'engines', engines), chosen(values, 'scenarios', scenariosOf(newTokens))]
  const model = await resolveModel(config.model, { cacheDir: config.cacheDir, onProgress: say })
  const vocabulary = await readVocabulary(model.path)
  const places = await prepare(config, model, wanted)
  const environment = { command: process.argv.slice(2).join(' '), commit: commit(), model: model.id, sha256: model.sha256, cpu: cpus()[0]?.model, cores: cpus().length, threads: config.threads, node: process.version, loadAverage: loadavg(), date: new Date().toISOString() }
  say(`load average before: ${environment.loadAverage[0]!.toFixed(2)}`)

  const running: Running[] = []
  const found: Array<ScenarioTimes & { readonly times: Map<string, Times[]> }> = []
  const write = (finished: boolean): void => {
    if (typeof values['json'] !== 'string') return
    const scenarioResults = found.map(one => ({ ...one.scenario, results: resultsOf(one, running) }))
    writeFileSync(values['json'], `${JSON.stringify({ environment, alternations, finished, engines: running.map(({ engine: { name, family, weights }, about }) => ({ name, family, weights, ...about })), scenarios: scenarioResults }, null, 2)}\n`)
  }
  const stop = (): void => { for (const one of running) one.process.kill() }
  const interrupted = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => { interrupted.abort(); stop() })
  try {
    write(false)
    await start(wanted, places, running, interrupted.signal)
    for (const scenario of scenarios) {
      const times = new Map(wanted.map(engine => [engine.name, [] as Times[]]))
      found.push({ scenario, times })
      for (let alternation = 0; alternation < alternations; alternation++) {
        for (const one of running) times.get(one.engine.name)!.push(await turn(one, scenario, vocabulary, found.length * 1000 + alternation))
        say(`${scenario.name}: ${alternation + 1} of ${alternations}`)
        write(false)
      }
    }
    write(true)
  } catch (error) {
    if (!interrupted.signal.aborted) throw error
  } finally {
    stop()
    if (found.length > 0) console.log(tableOf(found, running))
    for (const { engine, about } of running) console.log(`${engine.name}: ${about.version}, ${about.configuration}`)
  }
}

try {
  const { values } = parseOptions({ options, mostPositionals: 0 }, process.argv.slice(2))
  if (values['help'] === true) console.log(`npm run bench:peers -- [OPTIONS]\n\nFairlead beside other engines, in turns\n\n${describeOptions(options)}`)
  else await bench(values)
} catch (error) {
  say(`bench:peers: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = error instanceof RequestError ? 2 : 1
}
