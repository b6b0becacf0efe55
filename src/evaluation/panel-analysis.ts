/**
 * What proxies of the over-optimisation panel gain by their own account and by the judge's, as best-of-n presses them.
 * Pure.
 */
import type { Estimate } from '../reporting/estimate.js'
import { gains, sizesUpTo, standardized, turningOf, type Turning } from './pools.js'
import { meanOverPrompts, ratioOverPrompts } from './statistics.js'

/** A proxy of the over-optimisation panel: its scores of the plain pools. */
export interface PanelScores {
  readonly group: string, readonly label: string, readonly scores: ReadonlyArray<readonly number[]>
}

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
  const scaledJudge = standardized(judge)
  const size = Math.min(...judge.map(own => own.length))
  const sizes = sizesUpTo(size)
  const oracle = gains(scaledJudge, scaledJudge, size)
  return panel.map(({ group, label, scores }) => {
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
