/**
 * Pools of plain answers: scores on one scale, and what best-of-n by the reward or by something else would gain, by
 * order statistics. Gains are over plain answers, in standard deviations of plain answers. Pure.
 */
import type { Estimate } from '../reporting/estimate.js'
import { meanAndStd } from '../statistics/metrics.js'
import { distinctPairs, expectedAtBest, mean, meanOverPrompts } from './statistics.js'

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

export interface Turning {
  /** Where the judge's gain is largest. */
  readonly bestN: number
  /** The judge's gain at the largest n less that at bestN. */
  readonly after: Estimate
}

/** Puts scores on the scale of some, by their mean and standard deviation. */
export function standardizer (values: readonly number[]): (value: number) => number {
  const { mean: centre, std } = meanAndStd(values)
  return value => (value - centre) / (std || 1)
}

/** Lists on the scale of all their values. */
export function standardized (lists: ReadonlyArray<readonly number[]>): number[][] {
  const scaled = standardizer(lists.flat())
  return lists.map(own => own.map(scaled))
}

/** 1, 2, 4, … up to a number, and the number. */
export function sizesUpTo (most: number): number[] {
  const sizes = Array.from({ length: Math.floor(Math.log2(most)) + 1 }, (_, power) => 2 ** power)
  return sizes.includes(most) ? sizes : [...sizes, most]
}

/** −ln π per token. */
export const nllOf = ({ logprob, tokens }: ScoredAnswer): number => -logprob / Math.max(1, tokens)

/**
 * What best-of-n by some keys gains over plain answers, prompt by prompt.
 * @param keys what it goes by @param values what is asked of the answers chosen, of the same shape
 */
export function gains (
  keys: ReadonlyArray<readonly number[]>, values: ReadonlyArray<readonly number[]>, n: number
): number[] {
  return keys.map((own, index) => expectedAtBest(own, values[index]!, n) - mean(values[index]!))
}

/** The largest gain of a curve, and what became of it. @param perPrompt gains by size, one list of prompts each */
export function turningOf (sizes: readonly number[], perPrompt: ReadonlyArray<readonly number[]>): Turning {
  const means = perPrompt.map(mean)
  const best = means.indexOf(Math.max(...means))
  return {
    bestN: sizes[best]!, after: meanOverPrompts(perPrompt.at(-1)!.map((gain, index) => gain - perPrompt[best]![index]!))
  }
}

/** Everything of plain answers that is asked for, one list a prompt; scores on the scale of plain answers. */
export class Pools {
  readonly proxy: ReadonlyArray<readonly number[]>
  readonly judge: ReadonlyArray<readonly number[]>
  readonly nll: ReadonlyArray<readonly number[]>
  readonly pairs: ReadonlyArray<readonly number[]>
  readonly lengths: ReadonlyArray<readonly number[]>
  /** Answers of the smallest pool. */
  readonly size: number
  readonly scaledProxy: (answer: ScoredAnswer) => number
  readonly scaledJudge: (answer: ScoredAnswer) => number

  /** @param done at least one prompt */
  constructor (done: ReadonlyArray<{ readonly plain: PlainPool }>) {
    const column = (pick: (answer: ScoredAnswer) => number): number[][] => done.map(({ plain }) => plain.map(pick))
    const scaled = (pick: (answer: ScoredAnswer) => number): (answer: ScoredAnswer) => number => {
      const scale = standardizer(column(pick).flat())
      return answer => scale(pick(answer))
    }
    this.scaledProxy = scaled(({ proxy }) => proxy)
    this.scaledJudge = scaled(({ judge }) => judge)
    this.proxy = column(this.scaledProxy)
    this.judge = column(this.scaledJudge)
    this.nll = column(nllOf)
    this.pairs = column(({ text }) => distinctPairs(text))
    this.lengths = column(({ tokens }) => tokens)
    this.size = Math.min(...done.map(({ plain }) => plain.length))
  }

  /** The mean of values at what best-of-n by the reward chooses. */
  atBest (values: ReadonlyArray<readonly number[]>, n: number): number {
    return mean(this.proxy.map((keys, index) => expectedAtBest(keys, values[index]!, n)))
  }

  /** The judge's gain of best-of-n, prompt by prompt. */
  judged (n: number): number[] { return gains(this.proxy, this.judge, n) }
}
