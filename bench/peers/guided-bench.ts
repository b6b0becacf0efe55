/**
 * Best of 16 answers as a user gets it from Fairlead in one request, beside what a user would do today: another engine
 * that draws 16 answers and a scoring pass over them, or 16 requests and a scoring call; and, in a separate table,
 * libraries that drive a server of one request at a time. All scoring passes are Fairlead's /v1/rewards/score, which
 * reads a prompt once for all its answers; optillm alone has the model rate answers in words, as it does.
 */
import { request } from 'undici'
import { namesOption, type Options } from '../../src/cli/options.js'
import { flagName } from '../../src/settings.js'
import { tableOf } from '../../src/reporting/report.js'
import { ratioOf, showSpread, spreadOf, type Spread } from '../../src/reporting/spread.js'
import type { Arguments, Program } from '../../tools/program.js'
import { startTarget, type Target } from '../harness/server-process.js'
import { commonOptions, Contest, settingNames, type Failures } from './contest.js'
import type { EngineProcess } from './engine-process.js'
import { engines } from './engines.js'
import type { Vocabulary } from './places.js'
import { checkMeasured, type Task } from './protocol.js'
import { Proxies, proxyNames, type ProxyName } from './proxies.js'
import { messageOf, warmUpPrompts, warmUpTokens } from './scenarios.js'

const candidates = 16

/** One piece of work: a message, its tokens in the model's template, and the same to be warm with. */
interface GuidedTask extends Task { readonly message: string, readonly warmUpMessage: string }

/** What it took: ms from handing over the prompt until the best answer is known, and tokens drawn. */
interface Taken { readonly ms: number, readonly tokens: number }

/** Best of 16 in one of the ways. */
interface Contestant {
  readonly name: string
  /** Shown in a separate table. */
  readonly apart: boolean
  run (task: GuidedTask): Promise<Taken>
}

const others = engines.filter(({ family }) => family !== 'fairlead')
const otherNames = others.map(({ name }) => name)

const options: Options = {
  engines: {
    type: 'string',
    help: `comma-separated engines beside Fairlead: ${otherNames.join(', ')}`,
    default: 'openvino,openvino-q4_0,node-llama-cpp-q4_0,llama.cpp-q4_0'
  },
  'prompt-tokens': { type: 'string', help: 'tokens of the prompt', default: '128' },
  'new-tokens': { type: 'string', help: 'tokens of each answer', default: '64' },
  proxies: {
    type: 'string',
    help: `comma-separated libraries that drive llama-cpp-python's server, or none: ${proxyNames.join(', ')}`,
    default: proxyNames.join()
  },
  reward: { type: 'string', help: 'reward that answers are scored by', default: 'positive' },
  ...commonOptions
}

/** The server as it is asked: running while it is, stopped otherwise. */
class Served {
  readonly target: Target
  readonly #model: string
  readonly #reward: string

  constructor (target: Target, model: string, reward: string) {
    this.target = target
    this.#model = model
    this.#reward = reward
    target.pause()
  }

  async awake<T> (work: () => Promise<T>): Promise<T> {
    this.target.goOn()
    try {
      return await work()
    } finally {
      this.target.pause()
    }
  }

  /** Wakes it for a warm-up and then for what is timed. @returns ms */
  timed (warmUp: () => Promise<unknown>, work: () => Promise<unknown>): Promise<number> {
    return this.awake(async () => {
      await warmUp()
      const started = performance.now()
      await work()
      return performance.now() - started
    })
  }

  async #post (path: string, body: object): Promise<Record<string, any>> {
    const response = await request(`${this.target.url}${path}`, {
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

  #chat (message: string, maxTokens: number, seed: number, more: object = {}): Promise<Record<string, any>> {
    const messages = [{ role: 'user', content: message }]
    return this.#post('/v1/chat/completions',
      { model: this.#model, messages, max_tokens: maxTokens, ignore_eos: true, seed, ...more })
  }

  async score (message: string, answers: readonly string[]): Promise<void> {
    const { data } = await this.#post('/v1/rewards/score',
      { reward: this.#reward, input: answers.map(answer => ({ prompt: message, answer })) })
    if (data.length !== answers.length) throw new Error(`${answers.length} answers got ${String(data.length)} scores`)
  }

  /** The prompt is read once, candidates are scored as they are drawn. */
  async oneRequest (message: string, maxTokens: number): Promise<void> {
    const alignment = { strategy: 'best_of_n', num_candidates: candidates, reward: this.#reward }
    const { usage } = await this.#chat(message, maxTokens, 1, { alignment })
    const { generated_tokens: drawn } = usage.alignment_details
    if (drawn !== candidates * maxTokens) {
      throw new Error(`${String(drawn)} tokens were drawn; ${candidates * maxTokens} were asked for`)
    }
  }

  /** What a client does with a server that knows no rewards, but for the scoring. */
  async manyRequests (message: string, maxTokens: number): Promise<void> {
    const answers =
      await Promise.all(Array.from({ length: candidates }, (_, seed) => this.#chat(message, maxTokens, seed)))
    await this.score(message, answers.map(({ choices }) => choices[0].message.content as string))
  }
}

const byServer = (
  name: string, served: Served, ask: (message: string, maxTokens: number) => Promise<void>
): Contestant => ({
  name,
  apart: false,
  run: async ({ message, warmUpMessage, newTokens, warmUpTokens }) => ({
    ms: await served.timed(() => ask(warmUpMessage, warmUpTokens), () => ask(message, newTokens)),
    tokens: candidates * newTokens
  })
})

/** Another engine that draws, in its own process, then the scoring pass. Turning tokens into text is not counted. */
const byEngine = (name: string, engine: EngineProcess, served: Served, { size, decode }: Vocabulary): Contestant => ({
  name: `${name} and a scoring pass`,
  apart: false,
  async run (task) {
    const measured = await engine.measure(task)
    checkMeasured(task, measured, size)
    const answers = measured.drawn.map(decode)
    const ms = await served.timed(() => served.score(task.warmUpMessage, answers),
      () => served.score(task.message, answers))
    return { ms: measured.totalMs + ms, tokens: candidates * task.newTokens }
  }
})

/** A library that asks another server for answers, one after the other there. */
const byLibrary = (name: ProxyName, proxies: Proxies, served: Served): Contestant => ({
  name: `${name} on llama-cpp-python’s server`,
  apart: true,
  run: ({ message, warmUpMessage, newTokens, warmUpTokens }) => served.awake(async () => {
    await proxies.ask(name, { message: warmUpMessage, candidates: 1, newTokens: warmUpTokens })
    return proxies.ask(name, { message, candidates, newTokens })
  })
})

function taskOf ({ encodeChat }: Vocabulary, promptTokens: number, newTokens: number, index: number): GuidedTask {
  const [message, warmUpMessage] = [messageOf(encodeChat, promptTokens, index),
    messageOf(encodeChat, promptTokens, warmUpPrompts + index)]
  return {
    message,
    warmUpMessage,
    prompt: encodeChat(message),
    warmUpPrompt: encodeChat(warmUpMessage),
    warmUpTokens: Math.min(warmUpTokens, newTokens),
    candidates,
    newTokens
  }
}

/** Loads everybody that is asked for and can be. */
async function contestantsOf (
  contest: Contest, served: Served, args: Arguments, libraries: readonly ProxyName[], names: readonly string[],
  failures: Failures
): Promise<Contestant[]> {
  const contestants = [
    byServer('Fairlead, one request', served, (message, tokens) => served.oneRequest(message, tokens)),
    byServer(`Fairlead, ${candidates} requests and a scoring call`, served,
      (message, tokens) => served.manyRequests(message, tokens))
  ]
  for (const engine of others.filter(({ name }) => names.includes(name))) {
    const started = await contest.engine(failures, engine)
    if (started) contestants.push(byEngine(engine.name, started.engine, served, contest.vocabulary))
  }
  if (libraries.length === 0) return contestants
  const proxies = await contest.load(failures, libraries.join(', '), () => Proxies.start(libraries, {
    python: contest.places.python,
    model: contest.places.models.Q4_0,
    threads: contest.config.threads,
    // What optillm has rated is the prompt, an answer and what it says around them; its ratings take 256 tokens.
    contextLength: args.integer('prompt-tokens', 64) + contest.newTokens + 512,
    scoreUrl: `${served.target.url}/v1/rewards/score`,
    reward: args.text('reward')
  }), started => { started.kill() })
  return proxies ? [...contestants, ...libraries.map(name => byLibrary(name, proxies, served))] : contestants
}

type Found = ReadonlyMap<string, readonly Taken[]>

/** Its times over those of one request to Fairlead, turn by turn; null without a turn that both had. */
const ratioIn = (found: Found, taken: readonly Taken[]): Spread | null =>
  ratioOf(taken.map(({ ms }) => ms), ([...found.values()][0] ?? []).map(({ ms }) => ms))

function print (title: string, contestants: readonly Contestant[], found: Found, failures: Failures): void {
  const rows = contestants.map(({ name }) => ({ name, taken: found.get(name) ?? [] }))
    .filter(({ taken }) => taken.length > 0)
  if (rows.length === 0) return
  const median = (values: readonly number[]): string => spreadOf(values).median.toFixed(0)
  console.log(`${tableOf(rows, [
    [title, ({ name }) => failures.has(name) ? `${name}, failed` : name],
    ['ms', ({ taken }) => showSpread(spreadOf(taken.map(({ ms }) => ms)), 0)],
    ['tokens drawn', ({ taken }) => median(taken.map(({ tokens }) => tokens))],
    ['tokens/s', ({ taken }) => median(taken.map(({ ms, tokens }) => 1e3 * tokens / ms))],
    ['its time ÷ Fairlead’s', ({ taken }) => [ratioIn(found, taken)].map(one => one ? showSpread(one) : '').join()]
  ])}\n`)
}

export const guidedBench: Program = {
  command: 'npm run bench:guided --',
  summary: `Best of ${candidates} in one request, beside other engines and a scoring pass, in turns`,
  options,
  async run (args) {
    const chosen = <Name extends string> (option: string, all: readonly Name[]): Name[] => {
      const given = args.text(option)
      return given === '' || given === 'none' ? [] : namesOption({ [option]: given }, option, all)
    }
    const [names, libraries] = [chosen('engines', otherNames), chosen('proxies', proxyNames)]
    const promptTokens = args.integer('prompt-tokens', 64)
    const contest = await Contest.prepare(args, others.filter(({ name }) => names.includes(name)), libraries.length > 0)
    const { config, vocabulary, newTokens } = contest
    const target = await startTarget(settingNames.flatMap(name => [`--${flagName(name)}`, String(config[name])]))
    let contestants: Contestant[] = []
    const [found, failures] = [new Map<string, Taken[]>(), new Map<string, string>()]
    await contest.hold(async write => {
      const served = new Served(target, contest.model.id, args.text('reward'))
      contestants = await contestantsOf(contest, served, args, libraries, names, failures)
      // Each has prompts of its own, of the same length: none finds another's in a cache.
      await contest.turns('best of 16', contestants, found, failures, (contestant, turn) => contestant.run(
        taskOf(vocabulary, promptTokens, newTokens, 1000 * turn + 37 * contestants.indexOf(contestant))), write)
    }, () => ({
      promptTokens,
      newTokens,
      candidates,
      failures: Object.fromEntries(failures),
      ways: [...found].map(([name, taken]) => ({ name, taken, ratio: ratioIn(found, taken) }))
    })).finally(() => target.stop())
    print(`best of ${candidates}`, contestants.filter(({ apart }) => !apart), found, failures)
    print('on a server that takes one request at a time', contestants.filter(({ apart }) => apart), found, failures)
    for (const [name, message] of failures) console.log(`${name} failed: ${message}`)
  }
}
