/**
 * `npm run bench:guided`: best of 16 answers as a user gets it from Fairlead in one request, beside what a user would
 * do today: another engine that draws 16 answers and a scoring pass over them, or 16 requests and a scoring call; and,
 * told apart, libraries that drive a server of one request at a time. In turns, with the same model, prompts and cores.
 * All scoring passes are Fairlead's /v1/rewards/score, which reads a prompt once for all its answers; optillm alone has
 * the model rate answers in words, as it does. Ctrl-C leaves what was measured so far, what fails what the others did.
 */
import { writeFileSync } from 'node:fs'
import { request } from 'undici'
import {
  describeOptions, integerOption, parseOptions, settingFlags, settingOptions, type Options, type Values
} from '../../src/cli/options.js'
import { loadConfig } from '../../src/config.js'
import { flagName } from '../../src/settings.js'
import { RequestError } from '../../src/errors.js'
import { resolveModel } from '../../src/models/store/model-store.js'
import { environmentOf } from '../../src/reporting/environment.js'
import { markdownTable } from '../../src/reporting/markdown.js'
import { Progress } from '../../src/reporting/progress.js'
import { startTarget, type Target } from '../server-process.js'
import { EngineProcess } from './engine-process.js'
import { engines } from './engines.js'
import { prepare, readVocabulary, type Vocabulary } from './places.js'
import { checkMeasured, type Task } from './protocol.js'
import { proxyNames, Proxies, type ProxyName } from './proxies.js'
import { messageOf } from './scenarios.js'
import { ratioOf, spreadOf, type Spread } from './statistics.js'
import { inTurns } from './turns.js'

const candidates = 16

/** One piece of work: a message, its tokens in the model's template, and the same to be warm with. */
interface GuidedTask extends Task { readonly message: string, readonly warmUpMessage: string }

/** Best of 16 in one of the ways. */
interface Contestant {
  readonly name: string
  /** Told in a table of its own. */
  readonly apart: boolean
  run (task: GuidedTask): Promise<Taken>
}

/** What it took: ms from handing over the prompt until the best answer is known, and tokens drawn. */
interface Taken { readonly ms: number, readonly tokens: number }

const defaultEngines = ['openvino', 'openvino-q4_0', 'node-llama-cpp-q4_0', 'llama.cpp-q4_0']

const options: Options = {
  engines: {
    type: 'string',
    help: 'engines beside Fairlead, by commas: ' +
      `${engines.filter(({ family }) => family !== 'fairlead').map(({ name }) => name).join(', ')}`,
    default: defaultEngines.join()
  },
  'prompt-tokens': { type: 'string', help: 'tokens of the prompt', default: '128' },
  'new-tokens': { type: 'string', help: 'tokens of each answer', default: '64' },
  proxies: {
    type: 'string',
    help: `libraries that drive llama-cpp-python's server, by commas, or none: ${proxyNames.join(', ')}`,
    default: proxyNames.join()
  },
  alternations: { type: 'string', help: 'turns of each; medians are reported', default: '5' },
  reward: { type: 'string', help: 'reward that answers are scored by', default: 'positive' },
  json: { type: 'string', help: 'file to write all figures to' },
  ...settingOptions(['model', 'format', 'threads', 'cacheDir'])
}

const say = (message: string): void => { process.stderr.write(`${message}\n`) }

async function post (target: Target, path: string, body: object): Promise<Record<string, any>> {
  const response = await request(`${target.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    bodyTimeout: 0,
    headersTimeout: 0
  })
  const json = await response.body.json() as Record<string, any>
  if (response.statusCode !== 200) {
    throw new Error(`${path}: ${response.statusCode} ${JSON.stringify(json).slice(0, 300)}`)
  }
  return json
}

/** The server, running while something is asked of it and stopped otherwise. */
async function awake<T> (target: Target, work: () => Promise<T>): Promise<T> {
  target.goOn()
  try {
    return await work()
  } finally {
    target.pause()
  }
}

async function timed (work: () => Promise<unknown>): Promise<number> {
  const started = performance.now()
  await work()
  return performance.now() - started
}

/** Wakes a server for a warm-up and then for what is timed. */
async function timedAwake (
  target: Target, ask: (message: string, maxTokens: number) => Promise<void>, task: GuidedTask
): Promise<Taken> {
  const ms = await awake(target, async () => {
    await ask(task.warmUpMessage, task.warmUpTokens)
    return timed(() => ask(task.message, task.newTokens))
  })
  return { ms, tokens: candidates * task.newTokens }
}

const chat = (model: string, message: string, maxTokens: number, seed: number, more: object = {}): object => ({
  model, messages: [{ role: 'user', content: message }], max_tokens: maxTokens, ignore_eos: true, seed, ...more
})

async function scoreAll (target: Target, reward: string, message: string, answers: readonly string[]): Promise<void> {
  const { data } = await post(target, '/v1/rewards/score',
    { reward, input: answers.map(answer => ({ prompt: message, answer })) })
  if (data.length !== answers.length) throw new Error(`${answers.length} answers got ${String(data.length)} scores`)
}

/** One request: prompt read once, candidates scored as they are drawn. */
function oneRequest (target: Target, model: string, reward: string): Contestant {
  const ask = async (message: string, maxTokens: number): Promise<void> => {
    const { usage } = await post(target, '/v1/chat/completions',
      chat(model, message, maxTokens, 1, { alignment: { strategy: 'best_of_n', num_candidates: candidates, reward } }))
    if (usage.alignment_details.generated_tokens !== candidates * maxTokens) {
      throw new Error(`${String(usage.alignment_details.generated_tokens)} tokens were drawn; ` +
        `${candidates * maxTokens} were asked for`)
    }
  }
  return { name: 'Fairlead, one request', apart: false, run: task => timedAwake(target, ask, task) }
}

/**
 * What a client does with a server that knows no rewards, but for the scoring: 16 requests at once, then a scoring
 * call.
 */
function manyRequests (target: Target, model: string, reward: string): Contestant {
  const ask = async (message: string, maxTokens: number): Promise<void> => {
    const answers = await Promise.all(Array.from({ length: candidates }, (_, seed) =>
      post(target, '/v1/chat/completions', chat(model, message, maxTokens, seed))))
    await scoreAll(target, reward, message, answers.map(({ choices }) => choices[0].message.content as string))
  }
  return {
    name: `Fairlead, ${candidates} requests and a scoring call`,
    apart: false,
    run: task => timedAwake(target, ask, task)
  }
}

/** Another engine that draws, in its own process, then the scoring pass. Turning tokens into text is not counted. */
function engineAndScore (
  name: string, engine: EngineProcess, target: Target, reward: string, { size, decode }: Vocabulary
): Contestant {
  return {
    name: `${name} and a scoring pass`,
    apart: false,
    async run (task) {
      const measured = await engine.measure(task)
      checkMeasured(task, measured, size)
      const answers = measured.drawn.map(decode)
      const scoring = await awake(target, async () => {
        await scoreAll(target, reward, task.warmUpMessage, answers)
        return timed(() => scoreAll(target, reward, task.message, answers))
      })
      return { ms: measured.totalMs + scoring, tokens: candidates * task.newTokens }
    }
  }
}

/** A library that asks another server for answers, one after the other there. */
function library (name: ProxyName, proxies: Proxies, target: Target): Contestant {
  return {
    name: `${name} on llama-cpp-python’s server`,
    apart: true,
    run: task => awake(target, async () => {
      await proxies.ask(name, { message: task.warmUpMessage, candidates: 1, newTokens: task.warmUpTokens })
      return proxies.ask(name, { message: task.message, candidates, newTokens: task.newTokens })
    })
  }
}

/** The libraries asked for. @throws RequestError naming those there are */
function proxiesOf (values: Values): ProxyName[] {
  const given = String(values['proxies'] ?? proxyNames.join())
  const names = given === 'none' ? [] : given.split(',')
  const unknown = names.find(name => !proxyNames.some(one => one === name))
  if (unknown !== undefined) {
    throw new RequestError('invalid_request',
      `--proxies must be none or some of ${proxyNames.join()}; got ${JSON.stringify(unknown)}`, { param: 'proxies' })
  }
  return names as ProxyName[]
}

function taskOf ({ encodeChat }: Vocabulary, promptTokens: number, newTokens: number, index: number): GuidedTask {
  const [message, warmUpMessage] = [messageOf(encodeChat, promptTokens, index),
    messageOf(encodeChat, promptTokens, 1_000_003 + index)]
  return {
    message,
    warmUpMessage,
    prompt: encodeChat(message),
    warmUpPrompt: encodeChat(warmUpMessage),
    warmUpTokens: Math.min(8, newTokens),
    candidates,
    newTokens
  }
}

const range = ({ median, least, most }: Spread, digits: number): string =>
  `${median.toFixed(digits)} (${least.toFixed(digits)}–${most.toFixed(digits)})`

async function bench (values: Values): Promise<void> {
  const config = loadConfig(settingFlags(values))
  const reward = String(values['reward'] ?? 'positive')
  const [promptTokens, newTokens, alternations] = [integerOption(values, 'prompt-tokens', 128, 64),
    integerOption(values, 'new-tokens', 64, 2), integerOption(values, 'alternations', 5)]
  const names =
    values['engines'] === undefined ? defaultEngines : String(values['engines']).split(',').filter(name => name !== '')
  const wanted = names.map(name => {
    const engine = engines.find(one => one.name === name && one.family !== 'fairlead')
    if (!engine) {
      throw new RequestError('invalid_request', '--engines must be some of ' +
        `${engines.filter(({ family }) => family !== 'fairlead').map(one => one.name).join()}; got ` +
        `${JSON.stringify(name)}`, { param: 'engines' })
    }
    return engine
  })
  const libraries = proxiesOf(values)
  const model = await resolveModel(config.model, { cacheDir: config.cacheDir, onProgress: say })
  const vocabulary = await readVocabulary(model.path)
  const environment = {
    ...environmentOf('npm run bench:guided --', process.argv.slice(2)),
    model: model.id,
    sha256: model.sha256,
    threads: config.threads
  }
  const places = await prepare(config, model, wanted, say, libraries.length > 0)

  const processes: EngineProcess[] = []
  let proxies: Proxies | null = null
  const stop = (): void => {
    for (const one of processes) one.kill()
    proxies?.kill()
  }
  const interrupted = new AbortController()
  process.once('SIGINT', () => { interrupted.abort(); stop() })
  const target = await startTarget((['model', 'format', 'threads', 'cacheDir'] as const).flatMap(name =>
    [`--${flagName(name)}`, String(config[name])]))
  const progress = new Progress()
  const contestants: Contestant[] = [oneRequest(target, model.id, reward), manyRequests(target, model.id, reward)]
  const found = new Map<string, Taken[]>()
  const failures = new Map<string, string>()
  /** What fails is left out; the others go on. */
  const failed = (name: string, error: unknown): void => {
    interrupted.signal.throwIfAborted()
    failures.set(name, error instanceof Error ? error.message : String(error))
    process.exitCode = 1
    progress.end()
    say(`${name} failed: ${failures.get(name)!}`)
  }
  /** Its times over those of one request to Fairlead, turn by turn; null without a turn that both had. */
  const ratioTo = (taken: readonly Taken[]): Spread | null => {
    const ours = found.get(contestants[0]!.name) ?? []
    const turns = Math.min(taken.length, ours.length)
    return turns === 0
      ? null
      : ratioOf(taken.slice(0, turns).map(({ ms }) => ms), ours.slice(0, turns).map(({ ms }) => ms))
  }
  let finished = false
  const write = (): void => {
    if (typeof values['json'] !== 'string') return
    const ways = [...found].map(([name, taken]) => ({ name, taken, ratio: ratioTo(taken) }))
    writeFileSync(values['json'],
      `${JSON.stringify({ environment, promptTokens, newTokens, candidates, alternations, finished, failures: Object.fromEntries(failures), ways }, null, 2)}\n`)
  }
  try {
    target.pause()
    for (const engine of wanted) {
      interrupted.signal.throwIfAborted()
      say(`loading ${engine.name}`)
      try {
        const started = await EngineProcess.start(engine.command(places))
        processes.push(started.engine)
        contestants.push(engineAndScore(engine.name, started.engine, target, reward, vocabulary))
      } catch (error) {
        failed(engine.name, error)
      }
    }
    if (libraries.length > 0) {
      interrupted.signal.throwIfAborted()
      say(`loading llama-cpp-python's server, for ${libraries.join(', ')}`)
      try {
        // What optillm has rated is the prompt, an answer and what it says around them; its ratings take 256 tokens.
        const started = proxies = await Proxies.start(libraries, {
          python: places.python,
          model: places.models.Q4_0,
          threads: config.threads,
          contextLength: promptTokens + newTokens + 512,
          scoreUrl: `${target.url}/v1/rewards/score`,
          reward
        })
        contestants.push(...libraries.map(name => library(name, started, target)))
      } catch (error) {
        failed(libraries.join(', '), error)
      }
    }
    for (const { name } of contestants) found.set(name, [])
    await inTurns(contestants, alternations, {
      async take (contestant, turn) {
        const index = contestants.indexOf(contestant)
        progress.tell('turns', turn * contestants.length + index, alternations * contestants.length)
        // Each has prompts of its own, of the same length: none finds another's in a cache.
        found.get(contestant.name)!.push(await contestant.run(taskOf(vocabulary, promptTokens, newTokens,
          1000 * turn + 37 * index)))
      },
      failed ({ name }, error) { failed(name, error) },
      ended () { write() }
    })
    finished = true
  } catch (error) {
    if (!interrupted.signal.aborted) throw error
  } finally {
    progress.end()
    stop()
    await target.stop()
    write()
  }
  const tableOf = (title: string, some: readonly Contestant[]): void => {
    const rows = some.flatMap(({ name }) => {
      const taken = found.get(name) ?? []
      if (taken.length === 0) return []
      const ratio = ratioTo(taken)
      return [[failures.has(name) ? `${name}, failed` : name, range(spreadOf(taken.map(({ ms }) => ms)), 0),
        spreadOf(taken.map(({ tokens }) => tokens)).median.toFixed(0),
        (1e3 * spreadOf(taken.map(({ ms, tokens }) => tokens / ms)).median).toFixed(0), ratio ? range(ratio, 2) : '']]
    })
    if (rows.length > 0) {
      console.log(`${markdownTable([title, 'ms', 'tokens drawn', 'tokens/s', 'its time ÷ Fairlead’s'], rows)}\n`)
    }
  }
  tableOf(`best of ${candidates}`, contestants.filter(({ apart }) => !apart))
  tableOf('on a server that takes one request at a time', contestants.filter(({ apart }) => apart))
  for (const [name, message] of failures) console.log(`${name} failed: ${message}`)
}

try {
  const { values } = parseOptions({ options, mostPositionals: 0 }, process.argv.slice(2))
  if (values['help'] === true) {
    console.log(`npm run bench:guided -- [OPTIONS]\n\nBest of ${candidates} in one request, beside other engines and ` +
      `a scoring pass, in turns\n\n${describeOptions(options)}`)
  } else await bench(values)
} catch (error) {
  say(`bench:guided: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = error instanceof RequestError ? 2 : 1
}
