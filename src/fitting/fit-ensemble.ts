/**
 * Ensembles of K heads that differ where the data leave them uncertain: bootstrap, each fitted on prompts resampled
 * with replacement; or Laplace, drawn from the approximate posterior of one head's weights, which needs one fit. Layer
 * and λ are chosen on all the data.
 */
import { combine, type EnsembleDescriptor } from '../rewards/kinds/ensemble.js'
import type { Sample } from './examples.js'
import { drawHeads, fitHead, type HeadFit } from './fit-head.js'
import { headOf, type EnsembleOptions, type FitProgress, type FittedStates, type FitTask } from './fit-task.js'
import { evaluateScore, type StateScore, type StateSet } from './held-out-figures.js'
import { referenceMembers } from './reference-pool.js'
import { linearScore, type Head } from '../rewards/kinds/head.js'
import { meanAndStd } from '../statistics/metrics.js'
import { normal, uniform } from '../statistics/random.js'

/** The ensemble warns of a spread beyond this quantile of the pool's answers. */
const disagreementQuantile = 0.95

/** The samples of as many groups as there are, drawn with replacement: samples of one prompt are not independent. */
export function resample (samples: readonly Sample[], random: () => number): Sample[] {
  const groups = new Map<string, Sample[]>()
  for (const sample of samples) groups.set(sample.group, [...groups.get(sample.group) ?? [], sample])
  const all = [...groups.values()]
  return all.flatMap(() => all[Math.floor(random() * all.length)]!)
}

function bootstrapHeads (
  task: FitTask, { train, best }: FittedStates, count: number, onProgress: (progress: FitProgress) => void
): Array<HeadFit['head']> {
  return Array.from({ length: count }, (_, index) => {
    onProgress({ phase: 'fit', done: index, total: count })
    const own: StateSet = { ...train, samples: resample(train.samples, uniform(1000 + index)) }
    return fitHead(own, task.prefixes, best.lambda).head
  })
}

function laplaceHeads (task: FitTask, { train, best }: FittedStates, count: number): Array<HeadFit['head']> {
  const random = uniform(1000)
  return drawHeads(train, task.prefixes, best.lambda, -best.gain!, count, () => normal(random))
}

/** Standardised scores of a state, by head. */
function headScores (heads: readonly Head[], prefixes: boolean): (state: Float32Array, whole: boolean) => number[] {
  const weights = heads.map(head => Float64Array.from(head.weights))
  return (state, whole) => heads.map(({ bias, members }, index) => {
    const { mean, std } = (whole || !prefixes ? members.outcome : members.prefix)!.normalization
    return (linearScore(weights[index]!, bias, state) - mean) / std
  })
}

/** The value below which a share of the values lies. */
function quantile (values: readonly number[], share: number): number {
  return values.toSorted((a, b) => a - b)[Math.floor(share * (values.length - 1))]!
}

/** An ensemble of heads, without its name. */
export function ensembleOf (
  task: FitTask, fitted: FittedStates, { heads: count, uncertainty, combine: rule, penalty }: EnsembleOptions,
  onProgress: (progress: FitProgress) => void
): EnsembleDescriptor {
  const fits =
    uncertainty === 'laplace' ? laplaceHeads(task, fitted, count) : bootstrapHeads(task, fitted, count, onProgress)
  const heads = fits.map(fit => headOf(task, fitted, fit))
  const scores = headScores(heads, task.prefixes)
  const how = { combine: rule, ...(rule === 'uwo' || rule === 'lcb' ? { penalty } : {}) }
  const score: StateScore = (state, whole) => combine(how, scores(state, whole), 1).value
  const spread = fitted.pool.states.map(states => meanAndStd(scores(states.at(-1)!, true)).std)
  return {
    kind: 'ensemble',
    ...how,
    members: referenceMembers(fitted.pool, task.prefixes, score),
    warnAboveStd: Number(quantile(spread, disagreementQuantile).toPrecision(3)),
    fit: { ...fitted.fit, uncertainty },
    metrics: evaluateScore(score, fitted.train, fitted.test, task.split, false),
    scorers: heads
  }
}
