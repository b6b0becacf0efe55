/**
 * What a nat of KL buys: Q-head guidance of at most 2 nats beside soft best-of-64, by the judge, over more prompts than
 * a whole evaluation has time for. Prints Markdown; with --report it is written there, with its figures as JSON.
 *
 *   node dist/studies/frontier.js [--reward positive] [--weight -1] [--limit 100] [--out fairlead-eval] [--report DIR]
 *
 * Answers are those of `fairlead eval` with the same folder, and are drawn where they are not there: the plain pool,
 * and guidance by the Q-head.
 */
import { sideBySide } from '../src/bounded-concurrency.js'
import { say } from '../src/cli/command.js'
import type { Options } from '../src/cli/options.js'
import { loadConfig } from '../src/config.js'
import { AnswerStore } from '../src/evaluation/answer-store.js'
import { comparedConfigurations, curves, frontierNats, plainPool } from '../src/evaluation/configurations.js'
import { criteria, loadJudge } from '../src/evaluation/criteria.js'
import { softBest } from '../src/evaluation/equal-kl.js'
import { nllOf, Pools, type ScoredAnswer } from '../src/evaluation/pools.js'
import { loadPrompts } from '../src/evaluation/prompt-sets.js'
import type { Configuration } from '../src/evaluation/sampling-runs.js'
import { mean, meanOverPrompts, ratioOverPrompts } from '../src/evaluation/statistics.js'
import { describeEnvironment } from '../src/reporting/environment.js'
import { interval, percent, range, type Estimate } from '../src/reporting/estimate.js'
import { tableOf } from '../src/reporting/report.js'
import { loadServedModel, type LocalModel } from '../src/serving/served-models.js'
import { runProgram, type Arguments } from '../tools/program.js'
import { studyOptions, writePage } from './setup.js'

const options: Options = {
  reward: { type: 'string', help: 'built-in reward with a Q-head', default: 'positive' },
  weight: { type: 'string', help: 'its weight', default: '-1' },
  limit: { type: 'string', help: 'prompts, the first ones of the set for the reward', default: '100' },
  out: { type: 'string', help: 'folder of pools and runs', default: 'fairlead-eval' },
  report: { type: 'string', help: 'folder of frontier.md and frontier.json' },
  model: studyOptions['model']!,
  threads: studyOptions['threads']!
}

const [candidates, maxTokens] = [64, 48]

/** Prompts whose answers are drawn at a time. */
const concurrency = 4

/** What is compared. */
interface Way {
  readonly label: string
  readonly configuration: Configuration
  readonly draws: number
}

/** Answers by a way to one prompt, and their mean KL, nats. */
interface Drawn { readonly answers: readonly ScoredAnswer[], readonly kl: number }

/** Answers to one prompt: the plain pool, and by each way. */
interface Row { readonly plain: readonly ScoredAnswer[], readonly drawn: readonly Drawn[] }

/** Draws and scores what is not there. */
class Drawer {
  readonly ways: readonly Way[]
  readonly #store: AnswerStore
  readonly #reward: string
  readonly #sign: 1 | -1
  readonly #judge: (text: string) => number

  constructor (served: LocalModel, args: Arguments) {
    const [name, weight] = [args.text('reward'), args.number('weight')]
    const family = served.rewards.find(one => one.name === name)
    const criterion = criteria[name]
    if (!family?.members.includes('next_token') || !criterion) throw new Error(`${name} is no built-in with a Q-head`)
    const steering = { name, weight, qHead: true, outcomeOnly: null }
    const all = comparedConfigurations(`${name}_${weight}-${family.version}`, steering, null, maxTokens, candidates)
    this.ways = wanted.map(wish => all.find(({ label }) => label === wish)!)
    this.#store = new AnswerStore(served, args.text('out'), maxTokens)
    this.#reward = name
    this.#sign = weight < 0 ? -1 : 1
    const judge = loadJudge(criterion.judge)
    this.#judge = text => this.#sign * judge.score(text)
  }

  async #scored (configuration: Configuration, prompt: string, seed: number): Promise<Drawn> {
    const never = new AbortController().signal
    const run = await this.#store.draw(configuration, prompt, seed, never)
    const [rewards] =
      await this.#store.score(configuration, run, [{ name: this.#reward, weight: this.#sign }], never)
    return {
      answers: run.answers.map((answer, index) =>
        ({ ...answer, proxy: rewards![index]!, judge: this.#judge(answer.text) })),
      kl: run.kl.value ?? 0
    }
  }

  async row (prompt: string): Promise<Row> {
    const [pool, drawn] = await Promise.all([
      this.#scored(plainPool(candidates), prompt, 0),
      Promise.all(this.ways.map(({ configuration, draws }) =>
        Promise.all(Array.from({ length: draws }, (_, index) => this.#scored(configuration, prompt, index + 1)))))
    ])
    return {
      plain: pool.answers,
      drawn: drawn.map(own => ({ answers: own.flatMap(one => one.answers), kl: mean(own.map(({ kl }) => kl)) }))
    }
  }
}

/** Guidance of no more KL than is compared at. Others are set beside the first, which has the KL of the last. */
const wanted = [`${curves.qHead} 1.25`, `${curves.qHead} 1`, `${curves.qHead} 1.5, max_kl ${frontierNats}`,
  `${curves.warmedUp} 9`]

/** The figures of one way. */
interface Line {
  readonly label: string
  readonly kl: Estimate
  readonly reward: Estimate
  readonly judge: Estimate
  readonly share: Estimate
  readonly nll: Estimate
  /** The judge's score less that of the first way's answers. */
  readonly over: Estimate
}

/** What was found. */
export type Frontier = ReturnType<typeof figuresOf>

function figuresOf (ways: readonly Way[], rows: readonly Row[]) {
  const pools = new Pools(rows)
  const { strength, gains } = softBest(pools.proxy, pools.judge, frontierNats)
  const scores = (way: number, pick: (answer: ScoredAnswer) => number): number[] =>
    rows.map(({ drawn }) => mean(drawn[way]!.answers.map(pick)))
  const gainOf = (
    way: number, pick: (answer: ScoredAnswer) => number, plain: ReadonlyArray<readonly number[]>
  ): number[] => scores(way, pick).map((score, at) => score - mean(plain[at]!))
  const share = (own: readonly number[]): Estimate =>
    ratioOverPrompts(own.map((gain, at) => [gain, gains[at]!] as const), ([gain]) => gain, ([, all]) => all)
  const first = scores(0, pools.scaledJudge)
  return {
    prompts: rows.length,
    strength,
    soft: meanOverPrompts(gains),
    softReward: meanOverPrompts(softBest(pools.proxy, pools.proxy, frontierNats).gains),
    plainNll: mean(pools.nll.flat()),
    lines: ways.map(({ label }, way): Line => {
      const judged = gainOf(way, pools.scaledJudge, pools.judge)
      return {
        label,
        kl: meanOverPrompts(rows.map(({ drawn }) => drawn[way]!.kl)),
        reward: meanOverPrompts(gainOf(way, pools.scaledProxy, pools.proxy)),
        judge: meanOverPrompts(judged),
        share: share(judged),
        nll: meanOverPrompts(rows.map(({ drawn }) => mean(drawn[way]!.answers.map(nllOf)))),
        over: meanOverPrompts(scores(way, pools.scaledJudge).map((score, at) => score - first[at]!))
      }
    })
  }
}

function describe (args: Arguments, found: Frontier, draws: number): string {
  const { strength, soft, softReward, plainNll, lines } = found
  return `# What a nat buys

${describeEnvironment(args.environment)}

Reward ${args.text('reward')}, weight ${args.text('weight')}; ${found.prompts} prompts with a pool of ${candidates} plain answers each, ${maxTokens} tokens at most, temperature 1; ${draws} answers to each prompt by guidance. Gains are over plain answers, in standard deviations of plain answers; in brackets 95 % intervals over prompts (bootstrap).

At ${frontierNats} nats soft best-of-${candidates} (chances ∝ exp(${strength.toFixed(2)} · reward)) gains ${interval(soft)} by the judge and ${interval(softReward)} by the reward; *share* is of the judge's. Plain answers have ${plainNll.toFixed(3)} nats per token under the policy.

${tableOf(lines, [
  ['guidance', ({ label }) => label], ['KL, nats', ({ kl }) => range(kl)], ['reward', ({ reward }) => interval(reward)],
  ['judge', ({ judge }) => interval(judge)], ['share', ({ share }) => percent(share)],
  ['judge, less the first line', ({ over }) => interval(over)], ['NLL per token', ({ nll }) => range(nll, 3)]
])}
`
}

async function run (args: Arguments): Promise<void> {
  const served = await loadServedModel(loadConfig({ model: args.text('model'), threads: args.text('threads') }), say)
  try {
    const drawer = new Drawer(served, args)
    const prompts = loadPrompts(criteria[args.text('reward')]!.prompts).slice(0, args.integer('limit'))
    const rows: Row[] = []
    let done = 0
    await sideBySide([...prompts.entries()], concurrency, async ([index, prompt]) => {
      rows[index] = await drawer.row(prompt)
      say(`prompts ${++done}/${prompts.length}`)
    })
    const found = figuresOf(drawer.ways, rows)
    const page = describe(args, found, drawer.ways[0]!.draws)
    console.log(page)
    if (args.text('report') !== '') {
      writePage(args.text('report'), 'frontier', page,
        { environment: args.environment, ...found })
    }
  } finally {
    await served.close()
  }
}

await runProgram({
  command: 'node dist/studies/frontier.js',
  summary: 'What Q-head guidance of few nats gains, beside soft best-of-n',
  options,
  run
})
