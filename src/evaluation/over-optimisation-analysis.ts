/**
 * What the proxies of the over-optimisation study gain by their own scores and by the judge's, under best-of-n.
 * Pure.
 */
import type { Estimate } from '../reporting/estimate.js'
import { gains, sizesUpTo, standardized, turningOf, type Turning } from './pools.js'
import { meanOverPrompts, ratioOverPrompts } from './statistics.js'

/** A proxy of the over-optimisation study: its scores of the plain pools. */
export interface ProxyScores {
  readonly group: string, readonly label: string, readonly scores: ReadonlyArray<readonly number[]>
}

/** What one proxy gains by its own scores and by the judge's. */
export interface ProxyCurve {
  readonly group: string
  readonly label: string
  readonly curve: ReadonlyArray<{ readonly n: number, readonly proxy: Estimate, readonly judge: Estimate }>
  readonly turning: Turning
  /** The share of the oracle's gain at the largest n that it gets there. */
  readonly shareOfOracle: Estimate
}

/** @param judge scores of the plain pools by the judge, one list a prompt */
export function analyseOverOptimisation (
  proxies: readonly ProxyScores[], judge: ReadonlyArray<readonly number[]>
): ProxyCurve[] {
  const scaledJudge = standardized(judge)
  const size = Math.min(...judge.map(own => own.length))
  const sizes = sizesUpTo(size)
  const oracle = gains(scaledJudge, scaledJudge, size)
  return proxies.map(({ group, label, scores }) => {
    const own = standardized(scores)
    const judged = sizes.map(n => gains(own, scaledJudge, n))
    const pairs = judged.at(-1)!.map((gain, index) => ({ gain, oracle: oracle[index]! }))
    return {
      group,
      label,
      curve: sizes.map((n, index) => ({
        n, proxy: meanOverPrompts(gains(own, own, n)), judge: meanOverPrompts(judged[index]!)
      })),
      turning: turningOf(sizes, judged),
      shareOfOracle: ratioOverPrompts(pairs, ({ gain }) => gain, one => one.oracle)
    }
  })
}
