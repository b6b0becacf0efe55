/**
 * What a reward fitted on 200 pairs, of which a quarter is labelled wrongly, is worth when it is pressed: one head
 * against five combined, by best-of-n over pools of the policy's own answers, and whether the server can tell how hard
 * to press. The judge of the evaluations labels the pairs and says what answers are worth. Twenty draws of pairs,
 * errors and bootstraps. Prints Markdown.
 *
 *   node dist/scripts/noisy-pairs.js [--prompts reviews] [--judge sentiment] [--weight -1] [--limit 24] \
 *     [--candidates 64] [--out fairlead-eval]
 *
 * Pools are those of `fairlead eval` with the same folder, limit and candidates, and are drawn where they are not
 * there.
 */
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { loadConfig } from '../src/config.js'
import { isEnough } from '../src/decoding/selection/adaptive-stopping.js'
import { softmaxWeights, softmaxWeightsWithin } from '../src/decoding/selection/selection-rules.js'
import { gains, sizesUpTo } from '../src/evaluation/pools.js'
import { AnswerStore } from '../src/evaluation/answer-store.js'
import { loadJudge } from '../src/evaluation/criteria.js'
import { messagesOf, type Draw } from '../src/evaluation/drawing.js'
import { flipped, trainingAnswers, trainingPrompts } from '../src/evaluation/panel.js'
import { loadPrompts } from '../src/evaluation/prompt-sets.js'
import { mean, meanOverPrompts } from '../src/evaluation/statistics.js'
import { plainPool } from '../src/evaluation/ways.js'
import { loadServedModel } from '../src/serving/served-models.js'
import { describeEnvironment, environmentOf } from '../src/reporting/environment.js'
import { markdownTable } from '../src/reporting/markdown.js'
import { readablePolicy } from '../src/rewards/readable-policy.js'
import { combine, type CombineRule } from '../src/rewards/kinds/ensemble.js'
import type { StateSet } from '../src/fitting/held-out-figures.js'
import type { Sample } from '../src/fitting/examples.js'
import { extractFeatures, type PrefixStates } from '../src/fitting/features.js'
import { resample } from '../src/fitting/fit-ensemble.js'
import { fitHead, type HeadFit } from '../src/fitting/fit-head.js'
import { linearScore } from '../src/rewards/kinds/head.js'
import { meanAndStd } from '../src/statistics/metrics.js'
import { uniform } from '../src/statistics/random.js'

const { values: options } = parseArgs({
  options: {
    prompts: { type: 'string', default: 'reviews' },
    judge: { type: 'string', default: 'sentiment' },
    weight: { type: 'string', default: '-1' },
    limit: { type: 'string', default: '24' },
    candidates: { type: 'string', default: '64' },
    out: { type: 'string', default: 'fairlead-eval' },
    model: { type: 'string', default: 'smollm2-135m' },
    threads: { type: 'string', default: '2' }
  }
})
const [draws, pairsWanted, heads] = [20, 200, 5]
const [maxTokens, penalty] = [48, 1]

/** Answers to one prompt: what the judge says of each, and its state. */
interface Pool {
  readonly prompt: string,
  readonly judge: readonly number[],
  readonly states: readonly PrefixStates[],
  readonly lengths: readonly number[],
  readonly texts: readonly string[]
}

async function readPools (): Promise<{ pools: Pool[], training: Pool[] }> {
  const host = await loadServedModel(loadConfig({ model: options.model, threads: options.threads }),
    text => { console.error(text) })
  try {
    const never = new AbortController().signal
    const store = new AnswerStore(host, options.out, maxTokens)
    const prompts = loadPrompts(options.prompts)
    const limit = Number(options.limit)
    const drawAll = async (of: readonly string[], way: Parameters<AnswerStore['draw']>[0]): Promise<Draw[]> => {
      const drawn: Draw[] = []
      for (const prompt of of) {
        console.error(`${way.name} ${drawn.length}/${of.length}`)
        drawn.push(await store.draw(way, prompt, 0, never))
      }
      return drawn
    }
    const judge = loadJudge(options.judge)
    const sign = Number(options.weight) < 0 ? -1 : 1
    const policy = readablePolicy(host)
    const layer = Math.round(host.model.config.layers / 2)
    const withStates = async ({ prompt, answers }: Draw): Promise<Pool> => {
      const texts = answers.map(({ text }) => text).filter(text => text.trim() !== '')
      const items = texts.map(text => ({
        promptTokens: policy.promptTokens(messagesOf(prompt)), answerTokens: policy.answerTokens(text)
      }))
      const states = (await extractFeatures(policy, items,
        { layers: [layer], pooling: 'mean', cacheDirectory: join(host.config.cacheDir, 'features') })).get(layer)!
      return {
        prompt,
        judge: texts.map(text => sign * judge.score(text)),
        states,
        lengths: items.map(({ answerTokens }) => answerTokens.length),
        texts
      }
    }
    const read = async (drawn: readonly Draw[]): Promise<Pool[]> => {
      const pools: Pool[] = []
      for (const draw of drawn) pools.push(await withStates(draw))
      return pools
    }
    const plain = await drawAll(prompts.slice(0, limit), plainPool(Number(options.candidates)))
    const unseen = await drawAll(prompts.slice(limit, limit + trainingPrompts),
      { name: 'training', system: null, alignment: null, answers: trainingAnswers })
    return { pools: await read(plain), training: await read(unseen) }
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
      samples.push({
        answer: first + a,
        against: first + b,
        label: (judge[a]! > judge[b]!) === (random() >= flipped) ? 1 : -1,
        group: prompt
      })
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
function scored ({ weights, bias }: HeadFit['head'], pools: readonly Pool[]): number[][] {
  const raw = pools.map(({ states }) => states.map(state => linearScore(weights, bias, state.at(-1)!)))
  const { mean: centre, std } = meanAndStd(raw.flat())
  return raw.map(own => own.map(value => (value - centre) / std))
}

/**
 * How the judge's gain of one draw comes out under a way of choosing, prompt by prompt, and the answers that it draws.
 */
interface Chosen { readonly gain: readonly number[], readonly drawn: number }

const stop = { leader_probability: 0.9, every: 4 }
const orders = 20

/** Best-of-n that stops as `stop_when` does, over random orders of each pool. */
function adaptive (
  keys: ReadonlyArray<readonly number[]>, judge: ReadonlyArray<readonly number[]>, random: () => number
): Chosen {
  const counts: number[] = []
  const gain = keys.map((own, prompt) => mean(Array.from({ length: orders }, () => {
    const left = own.map((_, index) => index)
    const order = own.map(() => left.splice(Math.floor(random() * left.length), 1)[0]!)
    let count = stop.every
    while (count < order.length && !isEnough(stop, order.slice(0, count).map(index => own[index]!), [],
      order.length - count)) count = Math.min(order.length, count + stop.every)
    counts.push(count)
    const best = order.slice(0, count).reduce((a, b) => own[b]! > own[a]! ? b : a)
    return judge[prompt]![best]!
  })) - mean(judge[prompt]!))
  return { gain, drawn: mean(counts) }
}

const { pools, training } = await readPools()
const judgeScale = meanAndStd(pools.flatMap(({ judge }) => judge))
const judge = pools.map(pool => pool.judge.map(value => (value - judgeScale.mean) / judgeScale.std))
const size = Math.min(...judge.map(({ length }) => length))
const sizes = sizesUpTo(size)
const rules = ['single', 'mean', 'min', 'uwo', 'lcb'] as const
const soft = [0.5, 1, 2, 4, 8]

/** Mean judge's gain: [rule][n][draw]. */
const curves = new Map(rules.map(rule => [rule as string, sizes.map((): number[] => [])]))
const ways = new Map<string, Chosen[]>()
const oracle: number[] = []
const accuracies: number[] = []
const note = (name: string, chosen: Chosen): void => { ways.set(name, [...ways.get(name) ?? [], chosen]) }

for (let draw = 0; draw < draws; draw++) {
  console.error(`draw ${draw}/${draws}`)
  const random = uniform(100 + draw)
  const set = noisySet(training, random)
  const { head, lambda, gain: accuracy } = fitHead(set, false)
  const members = Array.from({ length: heads }, () =>
    scored(fitHead({ ...set, samples: resample(set.samples, random) }, false, lambda).head, pools))
  const proxies = new Map<string, number[][]>(rules.map(rule => [rule, rule === 'single'
    ? scored(head, pools)
    : judge.map((own, prompt) => own.map((_, answer) =>
      combine({ combine: rule as CombineRule, penalty }, members.map(one => one[prompt]![answer]!), 1).value))]))
  for (const rule of rules) {
    for (const [index, n] of sizes.entries()) curves.get(rule)![index]!.push(mean(gains(proxies.get(rule)!, judge, n)))
  }

  const single = proxies.get('single')!
  const weighed = (weigh: (own: readonly number[]) => readonly number[]): Chosen => ({
    gain: single.map((own, prompt) =>
      weigh(own).reduce((sum, weight, index) => sum + weight * judge[prompt]![index]!, 0) - mean(judge[prompt]!)),
    drawn: size
  })
  const best = (n: number, rule = 'single'): Chosen => ({ gain: gains(proxies.get(rule)!, judge, n), drawn: n })
  const plain: Chosen = { gain: pools.map(() => 0), drawn: 1 }
  const hard = [plain, ...sizes.slice(1).map(n => best(n))]
  const choices = [...hard, ...soft.map(strength => weighed(own => softmaxWeights(own, strength)))]
  oracle.push(Math.max(...choices.map(({ gain }) => mean(gain))))
  // The cross-validated accuracy of the fit, on labels as wrong as those it was fitted on, and its standard error.
  const telling = accuracy! - 0.5 > Math.sqrt(accuracy! * (1 - accuracy!) / set.samples.length)
  accuracies.push(accuracy!)
  note(`best of ${size}`, hard.at(-1)!)
  note(`best of ${size} by lcb`, best(size, 'lcb'))
  note(`best of ${size}, plain where accuracy is not one standard error above ½`, telling ? hard.at(-1)! : plain)
  note(`stop_when leader_probability ${stop.leader_probability}, every ${stop.every}`, adaptive(single, judge, random))
  for (const kl of [1, 2]) note(`softmax, strength 8, max_kl ${kl}`, weighed(own => softmaxWeightsWithin(own, 8, kl)))
}

/** Three decimals, without a sign before 0. */
const rounded = (value: number): string => (Number(value.toFixed(3)) + 0).toFixed(3)
const figure = (values: readonly number[]): string =>
  `${rounded(mean(values))} ± ${rounded(meanAndStd(values).std / Math.sqrt(values.length - 1))}`
const judged = sizes.map(n => mean(gains(judge, judge, n)))
const single = curves.get('single')!
console.log(`# Rewards from 200 pairs, a quarter of them labelled wrongly

${describeEnvironment(environmentOf('node dist/scripts/noisy-pairs.js', process.argv.slice(2)))}

Prompts ${options.prompts}, judge ${options.judge}, weight ${options.weight}: ${pools.length} prompts with ${size} plain answers each, 48 tokens at most; pairs of answers to ${training.length} other prompts, ${draws} draws of ${pairsWanted} pairs, errors and
bootstraps. A fit's cross-validated accuracy on its own wrong labels is ${figure(accuracies)}. Gains are the judge's, over plain answers, in standard deviations of plain answers; ± is one standard error over draws. uwo and lcb have penalty ${penalty}.

## One head against five

${markdownTable(['best of', ...sizes.map(String), `at ${size} over single`], [
  ...rules.map(rule => [rule, ...curves.get(rule)!.map(figure),
    rule === 'single' ? '–' : figure(curves.get(rule)!.at(-1)!.map((value, index) => value - single.at(-1)![index]!))]),
  ['oracle: the judge itself', ...judged.map(rounded), '–']
])}

## When to stop

The oracle knows the judge's mean over all prompts: for each draw it takes the best of n = ${sizes.join(', ')} and of softmax selection at strengths ${soft.join(', ')}, ${figure(oracle)}.

${markdownTable(['choice', 'gain', 'share of the oracle’s', 'answers drawn', 'draws clearly above plain', 'draws clearly below plain'], [...ways].map(([name, chosen]) => {
  const estimates = chosen.map(({ gain }) => meanOverPrompts(gain))
  const means = estimates.map(({ value }) => value)
  return [name, figure(means), `${(100 * mean(means) / mean(oracle)).toFixed(0)} %`,
    mean(chosen.map(({ drawn }) => drawn)).toFixed(1), String(estimates.filter(({ low }) => low > 0).length),
    String(estimates.filter(({ high }) => high < 0).length)]
}))}

Clearly: the 95 % interval over prompts does not hold 0.`)
