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
import { join } from 'node:path'
import { say } from '../src/cli/command.js'
import type { Options } from '../src/cli/options.js'
import { loadConfig } from '../src/config.js'
import { isEnough } from '../src/decoding/selection/adaptive-stopping.js'
import { softmaxWeights, softmaxWeightsWithin } from '../src/decoding/selection/selection-rules.js'
import { AnswerStore } from '../src/evaluation/answer-store.js'
import { loadJudge } from '../src/evaluation/criteria.js'
import { messagesOf, type Draw, type Way } from '../src/evaluation/drawing.js'
import { flipped, trainingAnswers, trainingPrompts } from '../src/evaluation/panel.js'
import { gains, sizesUpTo, standardized } from '../src/evaluation/pools.js'
import { loadPrompts } from '../src/evaluation/prompt-sets.js'
import { mean, meanOverPrompts } from '../src/evaluation/statistics.js'
import { plainPool } from '../src/evaluation/ways.js'
import type { Sample } from '../src/fitting/examples.js'
import type { PrefixStates } from '../src/fitting/features.js'
import { resample } from '../src/fitting/fit-ensemble.js'
import { fitHead, type HeadFit } from '../src/fitting/fit-head.js'
import type { StateSet } from '../src/fitting/held-out-figures.js'
import { combine, type CombineRule } from '../src/rewards/kinds/ensemble.js'
import { linearScore } from '../src/rewards/kinds/head.js'
import { createHost, type Host } from '../src/serving/model-runtime.js'
import { uniform } from '../src/statistics/random.js'
import { runProgram, type Arguments } from '../tools/program.js'
import { describeNoisyPairs, type NoisyPairs } from './noisy-pairs-report.js'
import { drawn, figureOf, statesOf, studyOptions, writePage } from './setup.js'

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
const [maxTokens, penalty] = [48, 1]

/** Answers to one prompt: what the judge says of each, and its state. */
interface Pool {
  readonly prompt: string
  readonly judge: readonly number[]
  readonly states: readonly PrefixStates[]
  readonly lengths: readonly number[]
  readonly texts: readonly string[]
}

/** Draws pools that are not there, and reads them. */
async function poolsOf (host: Host, args: Arguments, prompts: readonly string[], way: Way): Promise<Pool[]> {
  const store = new AnswerStore(host, args.text('out'), maxTokens)
  const drawn: Draw[] = []
  for (const prompt of prompts) {
    say(`${way.name} ${drawn.length}/${prompts.length}`)
    drawn.push(await store.draw(way, prompt, 0, new AbortController().signal))
  }
  const judge = loadJudge(args.text('judge'))
  const sign = args.number('weight') < 0 ? -1 : 1
  const how =
    { layer: Math.round(host.model.config.layers / 2), cacheDirectory: join(host.config.cacheDir, 'features') }
  const pools: Pool[] = []
  for (const { prompt, answers } of drawn) {
    const texts = answers.map(({ text }) => text).filter(text => text.trim() !== '')
    const states = await statesOf(host.policy, texts.map(text => ({ messages: messagesOf(prompt), text })), how)
    pools.push({ prompt, texts, judge: texts.map(text => sign * judge.score(text)), ...states })
  }
  return pools
}

async function readPools (args: Arguments): Promise<{ pools: Pool[], training: Pool[] }> {
  const host = await createHost(loadConfig({ model: args.text('model'), threads: args.text('threads') }), say)
  try {
    const [prompts, limit] = [loadPrompts(args.text('prompts')), args.integer('limit')]
    const unseen: Way = { name: 'training', system: null, alignment: null, answers: trainingAnswers }
    return {
      pools: await poolsOf(host, args, prompts.slice(0, limit), plainPool(args.integer('candidates'))),
      training: await poolsOf(host, args, prompts.slice(limit, limit + trainingPrompts), unseen)
    }
  } finally {
    await host.close()
  }
}

/**
 * A draw's pairs: as many of each prompt, at random, the better one by the judge first but for those that are turned
 * round.
 */
function noisySet (training: readonly Pool[], random: () => number): StateSet {
  const samples: Sample[] = []
  let first = 0
  for (const { prompt, judge } of training) {
    const left =
      judge.flatMap((one, a) => judge.slice(0, a).flatMap((other, b) => one === other ? [] : [[a, b] as const]))
    for (let taken = 0; taken < pairsWanted / training.length && left.length > 0; taken++) {
      const [a, b] = left.splice(Math.floor(random() * left.length), 1)[0]!
      const label = (judge[a]! > judge[b]!) === (random() >= flipped) ? 1 : -1
      samples.push({ answer: first + a, against: first + b, label, group: prompt })
    }
    first += judge.length
  }
  return {
    kind: 'pairs',
    answers: training.flatMap(({ texts }) => texts.map(text => ({ messages: [], text }))),
    samples,
    states: training.flatMap(({ states }) => states),
    lengths: training.flatMap(({ lengths }) => lengths)
  }
}

/** Scores of the pools by a head, standardised over them all. */
const scored = ({ weights, bias }: HeadFit['head'], pools: readonly Pool[]): number[][] =>
  standardized(pools.map(({ states }) => states.map(state => linearScore(weights, bias, state.at(-1)!))))

/**
 * How the judge's gain of one draw comes out under a way of choosing, prompt by prompt, and the answers that it draws.
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

/** Ways to decide how hard to press one head. @param telling whether the fit's accuracy is clearly above ½ */
function waysOf (single: Scores, lcb: Scores, judge: Scores, telling: boolean, random: () => number): {
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
  const set = noisySet(training, random)
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
    ...waysOf(proxies.get('single')!, proxies.get('lcb')!, judge, telling, random),
    accuracy
  }
}

/** The figures of all draws together. */
function figuresOf (results: readonly DrawResult[], judge: Scores): Pick<NoisyPairs, 'sizes' | 'rules' | 'judged'
  | 'oracle' | 'accuracy' | 'choices'> {
  const sizes = sizesUpTo(Math.min(...judge.map(({ length }) => length)))
  const oracle = figureOf(results.map(result => result.oracle))
  return {
    sizes,
    rules: rules.map(rule => ({
      rule,
      gains: sizes.map((_, index) => figureOf(results.map(({ curves }) => curves[rule]![index]!))),
      over: figureOf(results.map(({ curves }) => curves[rule]!.at(-1)! - curves['single']!.at(-1)!))
    })),
    judged: sizes.map(n => mean(gains(judge, judge, n))),
    oracle,
    accuracy: figureOf(results.map(result => result.accuracy)),
    choices: Object.keys(results[0]!.ways).map(name => {
      const estimates = results.map(({ ways }) => meanOverPrompts(ways[name]!.gain))
      const gain = figureOf(estimates.map(({ value }) => value))
      return {
        name,
        gain,
        share: gain.mean / oracle.mean,
        drawn: mean(results.map(({ ways }) => ways[name]!.drawn)),
        above: estimates.filter(({ low }) => low > 0).length,
        below: estimates.filter(({ high }) => high < 0).length
      }
    })
  }
}

async function run (args: Arguments): Promise<void> {
  const { pools, training } = await readPools(args)
  const judge = standardized(pools.map(pool => pool.judge))
  const results = Array.from({ length: draws }, (_, draw) => {
    say(`draw ${draw}/${draws}`)
    return drawOnce(pools, training, judge, uniform(100 + draw))
  })
  const found: NoisyPairs = {
    environment: args.environment,
    prompts: args.text('prompts'),
    judge: args.text('judge'),
    weight: args.text('weight'),
    pools: pools.length,
    training: training.length,
    draws,
    pairs: pairsWanted,
    penalty,
    strengths: soft,
    ...figuresOf(results, judge)
  }
  const page = describeNoisyPairs(found)
  console.log(page)
  if (args.text('report') !== '') writePage(args.text('report'), 'noisy-pairs', `${page}\n`, found)
}

await runProgram({
  command: 'node dist/studies/noisy-pairs.js',
  summary: 'What a reward fitted on few and noisy pairs is worth when it is pressed',
  options,
  run
})
