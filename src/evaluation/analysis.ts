/**
 * What an evaluation found, from answers and scores to figures with intervals over prompts. Rewards and judges are put on one scale: gains over
 * plain answers, in standard deviations of plain answers. Pure.
 */
import { uniform } from '../rewards/random.js'
import { distinctPairs, expectedAtBest, mean, meanOverPrompts, overPrompts, pooledKl, sizeAtKl, type Estimate } from './statistics.js'
import { plainLabel } from './ways.js'

/** An answer with its scores; both point the way that is wished for. */
export interface ScoredAnswer {
  readonly text: string
  readonly tokens: number
  readonly logprob: number
  readonly proxy: number
  readonly judge: number
}

/** The plain answers to one prompt. */
export type PlainPool = readonly ScoredAnswer[]

/** One way's answers to one prompt, over seeds. */
export interface WayAnswers {
  readonly answers: readonly ScoredAnswer[]
  /** Of one request, averaged over seeds. */
  readonly generatedTokens: number
  readonly forwardPasses: number
  readonly ms: number
  readonly kl: number | null
  readonly klKind: string | null
}

/** A prompt on which everything was drawn and scored. */
export interface DonePrompt {
  readonly prompt: string
  readonly plain: PlainPool
  /** In the order of the ways. */
  readonly ways: readonly WayAnswers[]
}

/** Best-of-n at one n. */
export interface BestOfN {
  readonly n: number
  readonly proxy: Estimate
  readonly judge: Estimate
  readonly kl: number
  readonly klBound: number
  /** Mean −ln π per token of the answers chosen. */
  readonly nll: number
  readonly distinctPairs: number
}

export interface WayFigures {
  readonly label: string
  readonly proxy: Estimate
  readonly judge: Estimate
  readonly nll: number
  readonly distinctPairs: number
  /** Mean tokens drawn for an answer, in plain answers. */
  readonly tokens: number
  /** Median time of an answer, in plain answers to the same prompt. */
  readonly time: number
  readonly kl: number | null
  readonly klKind: string | null
  /** Judge's gain less that of best-of-n with as many tokens, with as much time, and at the same KL; null where n would be out of the pool. */
  readonly overBestOfN: { readonly tokens: Estimate | null, readonly time: Estimate | null, readonly kl: Estimate | null }
}

/** A control: what choosing by something else than the reward is worth to the judge. */
export interface Control { readonly label: string, readonly judge: ReadonlyArray<{ readonly n: number, readonly gain: Estimate }> }

export interface Turning {
  /** Where the judge's gain is largest. */
  readonly bestN: number
  /** The judge's gain at the largest n less that at bestN. */
  readonly after: Estimate
}

export interface Analysis {
  readonly prompts: number
  readonly bestOfN: readonly BestOfN[]
  readonly turning: Turning
  readonly ways: readonly WayFigures[]
  readonly controls: readonly Control[]
}

/** Mean and spread of plain answers, by which scores are put on one scale. */
interface Scale { readonly mean: number, readonly std: number }

function scaleOf (values: readonly number[]): Scale {
  const centre = mean(values)
  return { mean: centre, std: Math.sqrt(mean(values.map(value => (value - centre) ** 2))) || 1 }
}

/** 1, 2, 4, … up to a number, and the number. */
export function sizesUpTo (most: number): number[] {
  const sizes = Array.from({ length: Math.floor(Math.log2(most)) + 1 }, (_, power) => 2 ** power)
  return sizes.includes(most) ? sizes : [...sizes, most]
}

const nllOf = ({ logprob, tokens }: ScoredAnswer): number => -logprob / Math.max(1, tokens)

/**
 * What best-of-n by some keys gains over plain answers, prompt by prompt.
 * @param keys what it goes by @param values what is asked of the answers chosen, of the same shape
 */
export function gains (keys: ReadonlyArray<readonly number[]>, values: ReadonlyArray<readonly number[]>, n: number): number[] {
  return keys.map((own, index) => expectedAtBest(own, values[index]!, n) - mean(values[index]!))
}

/** The largest gain of a curve, and what became of it. @param perPrompt gains by size, one list of prompts each */
export function turningOf (sizes: readonly number[], perPrompt: ReadonlyArray<readonly number[]>): Turning {
  const means = perPrompt.map(mean)
  const best = means.indexOf(Math.max(...means))
  return { bestN: sizes[best]!, after: meanOverPrompts(perPrompt.at(-1)!.map((gain, index) => gain - perPrompt[best]![index]!)) }
}

/** Time of best-of-n by n, in plain answers: between the sizes that were timed on a straight line. */
function sizeAtTime (timed: ReadonlyArray<{ readonly n: number, readonly time: number }>, time: number): number | null {
  if (timed.length === 0 || time <= timed[0]!.time) return 1
  const after = timed.findIndex(one => one.time >= time)
  if (after < 0) return null
  const [a, b] = [timed[after - 1]!, timed[after]!]
  return a.n + (b.n - a.n) * (time - a.time) / (b.time - a.time)
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!

/**
 * @param labels of the ways, the plain one first; `best_of_n N` are those that say how long best-of-n takes
 * @param done at least one prompt
 */
export function analyse (labels: readonly string[], done: readonly DonePrompt[]): Analysis {
  const column = (pick: (answer: ScoredAnswer) => number): number[][] => done.map(({ plain }) => plain.map(pick))
  const proxyScale = scaleOf(column(({ proxy }) => proxy).flat())
  const judgeScale = scaleOf(column(({ judge }) => judge).flat())
  const scaledProxy = ({ proxy }: ScoredAnswer): number => (proxy - proxyScale.mean) / proxyScale.std
  const scaledJudge = ({ judge }: ScoredAnswer): number => (judge - judgeScale.mean) / judgeScale.std
  const [proxy, judge] = [column(scaledProxy), column(scaledJudge)]
  const [nll, pairs] = [column(nllOf), column(({ text }) => distinctPairs(text))]
  const size = Math.min(...done.map(({ plain }) => plain.length))
  const sizes = sizesUpTo(size)
  const atBest = (values: ReadonlyArray<readonly number[]>, n: number): number => mean(proxy.map((keys, index) => expectedAtBest(keys, values[index]!, n)))

  const random = uniform(7)
  const controls: ReadonlyArray<readonly [string, ReadonlyArray<readonly number[]>]> = [
    ['random', column(() => random())],
    ['length only', column(({ tokens }) => tokens)],
    ['logprob per token', column(answer => -nllOf(answer))],
    ['oracle: the judge itself', judge]
  ]

  const plainTokens = mean(column(({ tokens }) => tokens).flat())
  const plainIndex = labels.indexOf(plainLabel)
  const timeOf = (index: number): number => median(done.map(({ ways }) => ways[index]!.ms / ways[plainIndex]!.ms))
  const timed = labels.flatMap((label, index) => {
    const n = label === plainLabel ? 1 : Number(/^best_of_n (\d+)$/.exec(label)?.[1])
    return Number.isInteger(n) ? [{ n, time: timeOf(index) }] : []
  }).sort((a, b) => a.n - b.n)

  function figuresOf (label: string, index: number): WayFigures {
    const ways = done.map(({ ways }) => ways[index]!)
    const gain = (pick: (answer: ScoredAnswer) => number, plain: ReadonlyArray<readonly number[]>): number[] => ways.map(({ answers }, at) => mean(answers.map(pick)) - mean(plain[at]!))
    const judged = gain(scaledJudge, judge)
    const over = (n: number | null): Estimate | null => {
      if (n === null || n > size) return null
      const best = gains(proxy, judge, n)
      return meanOverPrompts(judged.map((value, at) => value - best[at]!))
    }
    const tokens = mean(ways.map(({ generatedTokens }) => generatedTokens)) / plainTokens
    const time = timeOf(index)
    const known = ways.flatMap(({ kl }) => kl ?? [])
    const kl = known.length === ways.length ? mean(known) : null
    return {
      label,
      proxy: meanOverPrompts(gain(scaledProxy, proxy)),
      judge: meanOverPrompts(judged),
      nll: mean(ways.flatMap(({ answers }) => answers.map(nllOf))),
      distinctPairs: mean(ways.flatMap(({ answers }) => answers.map(({ text }) => distinctPairs(text)))),
      tokens,
      time,
      kl,
      klKind: ways[0]!.klKind,
      overBestOfN: { tokens: over(Math.max(1, tokens)), time: over(sizeAtTime(timed, time)), kl: kl === null || kl > Math.log(size) - (size - 1) / size ? null : over(sizeAtKl(Math.max(0, kl), size)) }
    }
  }

  return {
    prompts: done.length,
    bestOfN: sizes.map(n => ({
      n,
      proxy: meanOverPrompts(gains(proxy, proxy, n)),
      judge: meanOverPrompts(gains(proxy, judge, n)),
      kl: mean(proxy.map(keys => pooledKl(keys, n))),
      klBound: Math.log(n) - (n - 1) / n,
      nll: atBest(nll, n),
      distinctPairs: atBest(pairs, n)
    })),
    turning: turningOf(sizes, sizes.map(n => gains(proxy, judge, n))),
    ways: labels.map(figuresOf),
    controls: controls.map(([label, keys]) => ({ label, judge: sizes.map(n => ({ n, gain: meanOverPrompts(gains(keys, judge, n)) })) }))
  }
}

/** A proxy of the over-optimisation panel: its scores of the plain pools. */
export interface PanelScores { readonly group: string, readonly label: string, readonly scores: ReadonlyArray<readonly number[]> }

/** What one proxy of the panel gains by its own account and by the judge's. */
export interface PanelCurve {
  readonly group: string
  readonly label: string
  readonly curve: ReadonlyArray<{ readonly n: number, readonly proxy: Estimate, readonly judge: Estimate }>
  readonly turning: Turning
  /** The share of the oracle's gain at the largest n that it gets there. */
  readonly shareOfOracle: Estimate
}

/** @param judge scores of the plain pools by the judge, one list a prompt */
export function analysePanel (panel: readonly PanelScores[], judge: ReadonlyArray<readonly number[]>): PanelCurve[] {
  const judgeScale = scaleOf(judge.flat())
  const scaledJudge = judge.map(own => own.map(value => (value - judgeScale.mean) / judgeScale.std))
  const size = Math.min(...judge.map(own => own.length))
  const sizes = sizesUpTo(size)
  const oracle = gains(scaledJudge, scaledJudge, size)
  return panel.map(({ group, label, scores }) => {
    const scale = scaleOf(scores.flat())
    const own = scores.map(values => values.map(value => (value - scale.mean) / scale.std))
    const judged = sizes.map(n => gains(own, scaledJudge, n))
    const pairs = judged.at(-1)!.map((gain, index) => ({ gain, oracle: oracle[index]! }))
    return {
      group,
      label,
      curve: sizes.map((n, index) => ({ n, proxy: meanOverPrompts(gains(own, own, n)), judge: meanOverPrompts(judged[index]!) })),
      turning: turningOf(sizes, judged),
      shareOfOracle: overPrompts(pairs, items => mean(items.map(({ gain }) => gain)) / mean(items.map(one => one.oracle)))
    }
  })
}
