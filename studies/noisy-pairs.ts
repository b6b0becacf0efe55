/**
 * What a reward fitted on 200 pairs, of which a quarter is labelled wrongly, is worth when it is pressed: one head
 * against five combined, by best-of-n over pools of the policy's own answers, and whether the server can tell how hard
 * to press. The judge of the evaluations labels the pairs and says what answers are worth. Twenty draws of pairs,
 * errors and bootstraps. Prints Markdown; with --report it is written there, with its figures as JSON.
 *
 *   node dist/studies/noisy-pairs.js [--prompts reviews] [--judge sentiment] [--weight -1] [--limit 24] \
 *     [--candidates 64] [--out fairlead-eval] [--report DIR]
 *
 * Pools are those of `fairlead eval` with the same folder, limit and candidates, and are drawn where they are not
 * there.
 */
import { say } from '../src/cli/command.js'
import type { Options } from '../src/cli/options.js'
import { isEnough } from '../src/decoding/selection/adaptive-stopping.js'
import { softmaxWeights, softmaxWeightsWithin } from '../src/decoding/selection/selection-rules.js'
import { gains, sizesUpTo, standardized } from '../src/evaluation/pools.js'
import { mean, meanOverPrompts } from '../src/evaluation/statistics.js'
import { resample } from '../src/fitting/fit-ensemble.js'
import { fitHead } from '../src/fitting/fit-head.js'
import { describeEnvironment } from '../src/reporting/environment.js'
import { percentage } from '../src/reporting/estimate.js'
import { markdownTable, tableOf } from '../src/reporting/report.js'
import { combine, type CombineRule } from '../src/rewards/kinds/ensemble.js'
import { uniform } from '../src/statistics/random.js'
import { runProgram, type Arguments } from '../tools/program.js'
import {
  drawn, figureOf, rounded, showFigure, studyOptions, writePage, type Figure
} from './setup.js'
import { noisySet, readPools, scored, type Pool } from './noisy-pools.js'

const options: Options = {
  prompts: { type: 'string', help: 'set of prompts', default: 'reviews' },
  judge: { type: 'string', help: 'judge that labels pairs and answers', default: 'sentiment' },
  weight: { type: 'string', help: 'negative asks for less of what the judge likes', default: '-1' },
  limit: { type: 'string', help: 'prompts whose pools are pressed', default: '24' },
  candidates: { type: 'string', help: 'plain answers to each', default: '64' },
  out: { type: 'string', help: 'folder of pools', default: 'fairlead-eval' },
  report: { type: 'string', help: 'folder of noisy-pairs.md and noisy-pairs.json' },
  model: studyOptions['model']!,
  threads: studyOptions['threads']!
}

const [draws, pairsWanted, heads] = [20, 200, 5]
const penalty = 1

/**
 * How the judge's gain of one draw comes out under a configuration, prompt by prompt, and the answers that it draws.
 */
interface Chosen { readonly gain: readonly number[], readonly drawn: number }

type Scores = ReadonlyArray<readonly number[]>

const stop = { leader_probability: 0.9, every: 4 }
const orders = 20

/** Best-of-n that stops as `stop_when` does, over random orders of each pool. */
function adaptive (keys: Scores, judge: Scores, random: () => number): Chosen {
  const counts: number[] = []
  const gain = keys.map((own, prompt) => mean(Array.from({ length: orders }, () => {
    const order = drawn(own.map((_, index) => index), own.length, random)
    let count = stop.every
    while (count < order.length && !isEnough(stop, order.slice(0, count).map(index => own[index]!), [],
      order.length - count)) count = Math.min(order.length, count + stop.every)
    counts.push(count)
    const best = order.slice(0, count).reduce((a, b) => own[b]! > own[a]! ? b : a)
    return judge[prompt]![best]!
  })) - mean(judge[prompt]!))
  return { gain, drawn: mean(counts) }
}

const rules = ['single', 'mean', 'min', 'uwo', 'lcb'] as const
const soft = [0.5, 1, 2, 4, 8]

/** What one draw gave. */
interface DrawResult {
  /** The judge's mean gain, by rule and n. */
  readonly curves: Readonly<Record<string, readonly number[]>>
  readonly ways: Readonly<Record<string, Chosen>>
  readonly oracle: number
  readonly accuracy: number
}

/** Rules that decide how hard to press one head. @param telling whether the fit's accuracy is clearly above ½ */
function configurationsOf (single: Scores, lcb: Scores, judge: Scores, telling: boolean, random: () => number): {
  readonly ways: Record<string, Chosen>, readonly oracle: number
} {
  const size = Math.min(...judge.map(({ length }) => length))
  const weighed = (weigh: (own: readonly number[]) => readonly number[]): Chosen => ({
    gain: single.map((own, prompt) =>
      weigh(own).reduce((sum, weight, index) => sum + weight * judge[prompt]![index]!, 0) - mean(judge[prompt]!)),
    drawn: size
  })
  const best = (n: number, keys = single): Chosen => ({ gain: gains(keys, judge, n), drawn: n })
  const plain: Chosen = { gain: judge.map(() => 0), drawn: 1 }
  const hard = [plain, ...sizesUpTo(size).slice(1).map(n => best(n))]
  const choices = [...hard, ...soft.map(strength => weighed(own => softmaxWeights(own, strength)))]
  return {
    oracle: Math.max(...choices.map(({ gain }) => mean(gain))),
    ways: {
      [`best of ${size}`]: hard.at(-1)!,
      [`best of ${size} by lcb`]: best(size, lcb),
      [`best of ${size}, plain where accuracy is not one standard error above ½`]: telling ? hard.at(-1)! : plain,
      [`stop_when leader_probability ${stop.leader_probability}, every ${stop.every}`]: adaptive(single, judge, random),
      ...Object.fromEntries([1, 2].map(kl =>
        [`softmax, strength 8, max_kl ${kl}`, weighed(own => softmaxWeightsWithin(own, 8, kl))]))
    }
  }
}

function drawOnce (pools: readonly Pool[], training: readonly Pool[], judge: Scores, random: () => number): DrawResult {
  const set = noisySet(training, pairsWanted, random)
  const { head, lambda, gain } = fitHead(set, false)
  const accuracy = gain!
  const members = Array.from({ length: heads }, () =>
    scored(fitHead({ ...set, samples: resample(set.samples, random) }, false, lambda).head, pools))
  const combined = (rule: CombineRule): Scores => judge.map((own, prompt) => own.map((_, answer) =>
    combine({ combine: rule, penalty }, members.map(one => one[prompt]![answer]!), 1).value))
  const proxies = new Map<string, Scores>(rules.map(rule =>
    [rule, rule === 'single' ? scored(head, pools) : combined(rule)]))
  const sizes = sizesUpTo(Math.min(...judge.map(({ length }) => length)))
  // The cross-validated accuracy of the fit, on labels as wrong as those it was fitted on, and its standard error.
  const telling = accuracy - 0.5 > Math.sqrt(accuracy * (1 - accuracy) / set.samples.length)
  return {
    curves: Object.fromEntries([...proxies].map(([rule, keys]) =>
      [rule, sizes.map(n => mean(gains(keys, judge, n)))])),
    ...configurationsOf(proxies.get('single')!, proxies.get('lcb')!, judge, telling, random),
    accuracy
  }
}

/** A rule that decides how hard to press. */
export interface Choice {
  readonly name: string
  /** The judge's, over draws. */
  readonly gain: Figure
  /** Of the best choice in hindsight. */
  readonly share: number
  /** Answers drawn, mean. */
  readonly drawn: number
  /** Draws whose 95 % interval over prompts lies above and below 0. */
  readonly above: number
  readonly below: number
}

function choicesOf (results: readonly DrawResult[], oracle: Figure): Choice[] {
  return Object.keys(results[0]!.ways).map(name => {
    const estimates = results.map(({ ways: configurations }) => meanOverPrompts(configurations[name]!.gain))
    const gain = figureOf(estimates.map(({ value }) => value))
    return {
      name,
      gain,
      share: gain.mean / oracle.mean,
      drawn: mean(results.map(({ ways: configurations }) => configurations[name]!.drawn)),
      above: estimates.filter(({ low }) => low > 0).length,
      below: estimates.filter(({ high }) => high < 0).length
    }
  })
}

type NoisyPairs = ReturnType<typeof figuresOf>

/** The figures of all draws together. */
function figuresOf (args: Arguments, pools: number, training: number, judge: Scores, results: readonly DrawResult[]) {
  const sizes = sizesUpTo(Math.min(...judge.map(({ length }) => length)))
  const oracle = figureOf(results.map(result => result.oracle))
  return {
    environment: args.environment,
    prompts: args.text('prompts'),
    judge: args.text('judge'),
    weight: args.text('weight'),
    ...{ pools, training, draws, pairs: pairsWanted, penalty, strengths: soft, sizes },
    rules: rules.map(rule => ({
      rule,
      gains: sizes.map((_, index) => figureOf(results.map(({ curves }) => curves[rule]![index]!))),
      over: figureOf(results.map(({ curves }) => curves[rule]!.at(-1)! - curves['single']!.at(-1)!))
    })),
    judged: sizes.map(n => mean(gains(judge, judge, n))),
    oracle,
    accuracy: figureOf(results.map(result => result.accuracy)),
    choices: choicesOf(results, oracle)
  }
}

/** The figures as Markdown. */
function describe (found: NoisyPairs): string {
  const { environment, sizes, rules, judged, oracle, choices, draws } = found
  const largest = sizes.at(-1)!
  const ruleRows = rules.map(({ rule, gains, over }, index) =>
    [rule, ...gains.map(showFigure), index === 0 ? '–' : showFigure(over)])
  return `# Rewards from 200 pairs, a quarter of them labelled wrongly

${describeEnvironment(environment)}

Prompts ${found.prompts}, judge ${found.judge}, weight ${found.weight}: ${found.pools} prompts with ${largest} plain answers each, 48 tokens at most; pairs of answers to ${found.training} other prompts, ${draws} draws of ${found.pairs} pairs, errors and
bootstraps. A fit's cross-validated accuracy on its own wrong labels is ${showFigure(found.accuracy)}. Gains are the judge's, over plain answers, in standard deviations of plain answers; ± is one standard error over draws. uwo and lcb have penalty ${found.penalty}.

## One head against five

${markdownTable(['best of', ...sizes.map(String), `at ${largest} over single`], [...ruleRows, ['oracle: the judge itself', ...judged.map(rounded), '–']])}

## When to stop

The oracle knows the judge's mean over all prompts: for each draw it takes the best of n = ${sizes.join(', ')} and of softmax selection at strengths ${found.strengths.join(', ')}, ${showFigure(oracle)}.

${tableOf(choices, [
  ['choice', ({ name }) => name], ['gain', ({ gain }) => showFigure(gain)],
  ['share of the oracle’s', ({ share }) => percentage(share, 0)],
  ['answers drawn', ({ drawn }) => drawn.toFixed(1)], ['draws clearly above plain', ({ above }) => String(above)],
  ['draws clearly below plain', ({ below }) => String(below)]
])}

Clearly: the 95 % interval over prompts does not hold 0.`
}

async function run (args: Arguments): Promise<void> {
  const { pools, training } = await readPools(args)
  const judge = standardized(pools.map(pool => pool.judge))
  const results = Array.from({ length: draws }, (_, draw) => {
    say(`draw ${draw}/${draws}`)
    return drawOnce(pools, training, judge, uniform(100 + draw))
  })
  const found = figuresOf(args, pools.length, training.length, judge, results)
  const page = describe(found)
  console.log(page)
  if (args.text('report') !== '') writePage(args.text('report'), 'noisy-pairs', `${page}\n`, found)
}

await runProgram({
  command: 'node dist/studies/noisy-pairs.js',
  summary: 'What a reward fitted on few and noisy pairs is worth when it is pressed',
  options,
  run
})
