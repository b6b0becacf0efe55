/**
 * Bootstrap ensembles: K heads, each fitted on prompts drawn anew with replacement, so that where they differ the data did not settle the
 * matter. Layer and λ are those that suit all the data. Knows states and samples, not how they were read.
 */
import { RequestError } from '../errors.js'
import type { Naming } from './descriptor.js'
import { combine, type CombineRule, type EnsembleDescriptor } from './ensemble.js'
import { evaluateScore, type StateScore, type StateSet } from './evaluate.js'
import { fitHead } from './fit-head.js'
import { fitStates, headOf, referenceMembers, type FitRequest, type FittedStates } from './fit-reward.js'
import { linearScore, type Head } from './head.js'
import { meanAndStd } from './metrics.js'
import { uniform } from './pool.js'
import type { Sample } from './examples.js'

export interface EnsembleOptions {
  /** Number of heads, 2 to 32. */
  readonly heads: number
  readonly combine: Exclude<CombineRule, 'weighted'>
  /** Of uwo and lcb. */
  readonly penalty: number
}

/** Heads are told to disagree on answers beyond what all but one in twenty of the pool's answers have. */
const disagreementQuantile = 0.95

/** The samples of as many groups as there are, drawn with replacement: samples of one prompt are not independent. */
export function resample (samples: readonly Sample[], random: () => number): Sample[] {
  const groups = new Map<string, Sample[]>()
  for (const sample of samples) groups.set(sample.group, [...groups.get(sample.group) ?? [], sample])
  const all = [...groups.values()]
  return all.flatMap(() => all[Math.floor(random() * all.length)]!)
}

function fitHeads (request: FitRequest, fitted: FittedStates, count: number): Head[] {
  const { train, best } = fitted
  return Array.from({ length: count }, (_, index) => {
    request.signal?.throwIfAborted()
    request.onProgress?.({ phase: 'fit', done: index, total: count })
    const own: StateSet = { ...train, samples: resample(train.samples, uniform(1000 + index)) }
    return headOf(request, fitted, fitHead(own, request.prefixes, best.lambda).head)
  })
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

/**
 * Fits an ensemble of heads.
 * @throws RequestError for a number of heads out of range, and as `fitReward`
 */
export async function fitEnsemble (request: FitRequest, { heads: count, combine: rule, penalty }: EnsembleOptions): Promise<Naming & EnsembleDescriptor> {
  if (!Number.isInteger(count) || count < 2 || count > 32) throw new RequestError('invalid_request', `an ensemble has 2 to 32 heads; got ${count}`, { param: 'ensemble' })
  const fitted = await fitStates(request)
  const heads = fitHeads(request, fitted, count)
  const scores = headScores(heads, request.prefixes)
  const how = { combine: rule, ...(rule === 'uwo' || rule === 'lcb' ? { penalty } : {}) }
  const score: StateScore = (state, whole) => combine(how, scores(state, whole), 1).value
  const spread = fitted.pool.states.map(states => meanAndStd(scores(states.at(-1)!, true)).std)
  return {
    name: request.name,
    description: request.description,
    kind: 'ensemble',
    ...how,
    members: referenceMembers(fitted.pool, request.prefixes, score),
    warnAboveStd: Number(quantile(spread, disagreementQuantile).toPrecision(3)),
    fit: fitted.fit,
    metrics: evaluateScore(score, fitted.train, fitted.test, fitted.split, false),
    scorers: heads
  }
}
