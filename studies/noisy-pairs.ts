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
import { mean, meanOverPrompts, ratioOverPrompts } from '../src/evaluation/statistics.js'
import { resample } from '../src/fitting/fit-ensemble.js'
import { fitHead } from '../src/fitting/fit-head.js'
import { describeEnvironment } from '../src/reporting/environment.js'
import { percent, type Estimate } from '../src/reporting/estimate.js'
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

/** What a rule goes by: one head, or five combined. */
const scorings = ['single', 'mean', 'lcb'] as const
type Scoring = typeof scorings[number]

type Scores = ReadonlyArray<readonly number[]>

const stop = { leader_probability: 0.9, every: 4 }
const stopName = `stop_when leader_probability ${stop.leader_probability}, every ${stop.every}`
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

/** The best choice of n or strength by the judge, the same for all prompts. */
interface BestChoice {
  /** What it gains. */
  readonly hindsight: number
  /** What the choice that is best on half of the prompts gains on the other half, both ways round. */
  readonly foreseen: number
}

/** What one draw gave. */
interface DrawResult {
  /** The judge's mean gain, by rule and n. */
  readonly curves: Readonly<Record<string, readonly number[]>>
  readonly ways: Readonly<Record<string, Chosen & { readonly by: Scoring }>>
  readonly best: Readonly<Record<Scoring, BestChoice>>
  readonly accuracy: number
}

/** Scores of a draw, and those by each of the five heads. */
interface Keys extends Readonly<Record<Scoring, Scores>> { readonly members: readonly Scores[] }

const samples = 200

/**
 * The answer that is the best one most often, where scores are the mean of several heads and vary as these do: normal,
 * with the heads' covariance over answers.
 */
function likeliestBest (members: ReadonlyArray<readonly number[]>, random: () => number): number {
  const centre = members[0]!.map((_, answer) => mean(members.map(own => own[answer]!)))
  const wins = centre.map(() => 0)
  for (let sample = 0; sample < samples; sample++) {
    const pulls = members.map(() =>
      Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random()) / Math.sqrt(members.length - 1))
    const keys = centre.map((value, answer) =>
      value + members.reduce((sum, own, head) => sum + pulls[head]! * (own[answer]! - value), 0))
    wins[keys.indexOf(Math.max(...keys))]!++
  }
  return wins.indexOf(Math.max(...wins))
}

/** What the choice that is best on every second prompt gains on the others, both ways round. */
function foreseenGain (choices: readonly Chosen[]): number {
  const half = (gain: readonly number[], which: number): number =>
    mean(gain.filter((_, prompt) => prompt % 2 === which))
  return mean([0, 1].map(seen => {
    const best = choices.reduce((a, b) => half(b.gain, seen) > half(a.gain, seen) ? b : a)
    return half(best.gain, 1 - seen)
  }))
}

/** Softmax selection and the like: what answers gain, drawn by weights. */
const weighed = (
  keys: Scores, judge: Scores, size: number, weigh: (own: readonly number[]) => readonly number[]
): Chosen => ({
  gain: keys.map((own, prompt) =>
    weigh(own).reduce((sum, weight, index) => sum + weight * judge[prompt]![index]!, 0) - mean(judge[prompt]!)),
  drawn: size
})

/** The best of n, or of strengths, by some scores. */
function bestChoice (keys: Scores, judge: Scores, size: number): BestChoice {
  const choices = [
    ...sizesUpTo(size).map((n): Chosen => ({ gain: gains(keys, judge, n), drawn: n })),
    ...soft.map(strength => weighed(keys, judge, size, own => softmaxWeights(own, strength)))
  ]
  return { hindsight: Math.max(...choices.map(({ gain }) => mean(gain))), foreseen: foreseenGain(choices) }
}

/** Rules that decide how hard to press. @param telling whether the fit's accuracy is clearly above ½ */
function configurationsOf (
  keys: Keys, judge: Scores, telling: boolean, random: () => number
): Pick<DrawResult, 'ways' | 'best'> {
  const size = Math.min(...judge.map(({ length }) => length))
  // Apart from the draw's own, so that what is drawn here does not move what comes after it.
  const spread = uniform(7)
  const best = (by: Scoring): Chosen & { by: Scoring } => ({ gain: gains(keys[by], judge, size), drawn: size, by })
  const plain = { gain: judge.map(() => 0), drawn: 1, by: 'single' } as const
  return {
    best: Object.fromEntries(scorings.map(by =>
      [by, bestChoice(keys[by], judge, size)])) as Record<Scoring, BestChoice>,
    ways: {
      [`best of ${size}`]: best('single'),
      [`best of ${size} by mean`]: best('mean'),
      [`best of ${size} by lcb`]: best('lcb'),
      [`likeliest best of ${size} by the spread of five`]: {
        gain: judge.map((own, prompt) =>
          own[likeliestBest(keys.members.map(one => one[prompt]!), spread)]! - mean(own)),
        drawn: size,
        by: 'mean'
      },
      [`best of ${size}, plain where accuracy is not one standard error above ½`]: telling ? best('single') : plain,
      [stopName]: { ...adaptive(keys.single, judge, random), by: 'single' },
      [`${stopName}, by mean`]: { ...adaptive(keys.mean, judge, spread), by: 'mean' },
      [`${stopName}, by lcb`]: { ...adaptive(keys.lcb, judge, spread), by: 'lcb' },
      ...Object.fromEntries([1, 2].map(kl => [`softmax, strength 8, max_kl ${kl}`,
        { ...weighed(keys.single, judge, size, own => softmaxWeightsWithin(own, 8, kl)), by: 'single' as const }]))
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
    ...configurationsOf({
      single: proxies.get('single')!, mean: proxies.get('mean')!, lcb: proxies.get('lcb')!, members
    }, judge, telling, random),
    accuracy
  }
}

/** A rule that decides how hard to press. */
export interface Choice {
  readonly name: string
  /** The judge's, over draws. */
  readonly gain: Figure
  /** Of the best choice in hindsight by the same scores, with its 95 % interval over draws. */
  readonly share: Estimate
  /** Answers drawn, mean. */
  readonly drawn: number
  /** Draws whose 95 % interval over prompts lies above and below 0. */
  readonly above: number
  readonly below: number
}

function choicesOf (results: readonly DrawResult[]): Choice[] {
  return Object.entries(results[0]!.ways).map(([name, { by }]) => {
    const estimates = results.map(({ ways }) => meanOverPrompts(ways[name]!.gain))
    return {
      name,
      gain: figureOf(estimates.map(({ value }) => value)),
      share: ratioOverPrompts(results, ({ ways }) => mean(ways[name]!.gain), ({ best }) => best[by].hindsight),
      drawn: mean(results.map(({ ways }) => ways[name]!.drawn)),
      above: estimates.filter(({ low }) => low > 0).length,
      below: estimates.filter(({ high }) => high < 0).length
    }
  })
}

/** The best choices over draws, by some scores, and how much of that is hindsight. */
function bestOver (results: readonly DrawResult[], by: Scoring) {
  const figure = (pick: (best: BestChoice) => number): Figure => figureOf(results.map(({ best }) => pick(best[by])))
  return {
    by,
    hindsight: figure(({ hindsight }) => hindsight),
    foreseen: figure(({ foreseen }) => foreseen),
    share: ratioOverPrompts(results, ({ best }) => best[by].foreseen, ({ best }) => best[by].hindsight)
  }
}

type NoisyPairs = ReturnType<typeof figuresOf>

/** The figures of all draws together. */
function figuresOf (args: Arguments, pools: number, training: number, judge: Scores, results: readonly DrawResult[]) {
  const sizes = sizesUpTo(Math.min(...judge.map(({ length }) => length)))
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
    best: scorings.map(by => bestOver(results, by)),
    accuracy: figureOf(results.map(result => result.accuracy)),
    choices: choicesOf(results)
  }
}

/** The figures as Markdown. */
function describe (found: NoisyPairs): string {
  const { environment, sizes, rules, judged, best, choices, draws } = found
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

The best choice knows the judge's mean over all prompts: for each draw it takes the best of n = ${sizes.join(', ')} and of softmax selection at strengths ${found.strengths.join(', ')}. How much of it is hindsight, the choice shows that is made so on half of the prompts and measured on the other half.

${tableOf(best, [
  ['scores', ({ by }) => by], ['best choice in hindsight', ({ hindsight }) => showFigure(hindsight)],
  ['made on other prompts', ({ foreseen }) => showFigure(foreseen)], ['share', ({ share }) => percent(share)]
])}

Rules that know no judge, and their share of the best choice in hindsight by the same scores (95 % intervals over draws):

${tableOf(choices, [
  ['choice', ({ name }) => name], ['gain', ({ gain }) => showFigure(gain)],
  ['share of the best choice', ({ share }) => percent(share)],
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
