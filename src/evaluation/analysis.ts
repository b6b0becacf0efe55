/**
 * What an evaluation found, from answers, scores and times to figures with intervals over prompts; gains are on the
 * scale of `pools.ts`. Pure.
 */
import { bestOfNKl } from '../decoding/selection/selection-rules.js'
import type { Estimate } from '../reporting/estimate.js'
import { uniform } from '../statistics/random.js'
import { curveGain, softBest, type CurvePoint } from './equal-kl.js'
import { gains, nllOf, Pools, sizesUpTo, turningOf, type PlainPool, type ScoredAnswer, type Turning } from './pools.js'
import {
  correlation, distinctPairs, mean, meanOverPrompts, pooledKl, ratioOverPrompts, sizeAtKl
} from './statistics.js'
import { curves, frontierNats, plainLabel, type ComparedConfiguration } from './configurations.js'

/** One configuration's answers to one prompt, over seeds. */
export interface ConfigurationAnswers {
  readonly answers: readonly ScoredAnswer[]
  /** Of one request, averaged over seeds. */
  readonly generatedTokens: number
  readonly kl: number | null
  readonly klKind: string | null
}

/** A prompt on which everything was drawn and scored. */
export interface DonePrompt {
  readonly prompt: string
  readonly plain: PlainPool
  /** In the order of the configurations; null for those that come from the plain pool. */
  readonly configurations: ReadonlyArray<ConfigurationAnswers | null>
}

/** Milliseconds that each configuration took to answer one prompt, in order, alone on the machine, round-robin. */
export type TimedTurn = readonly number[]

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

export interface ConfigurationFigures extends Pick<ComparedConfiguration, 'label' | 'curve'> {
  readonly proxy: Estimate
  readonly judge: Estimate
  readonly nll: number
  readonly distinctPairs: number
  /** Mean tokens drawn for an answer, in plain answers. */
  readonly tokens: number
  /** Time of an answer, in plain answers to the same prompts; null where nothing was timed. */
  readonly time: Estimate | null
  readonly kl: number | null
  readonly klKind: string | null
  /**
   * Judge's gain less that of best-of-n with as many tokens, with as much time, and at the same KL; null where n would
   * be out of the pool.
   */
  readonly overBestOfN: {
    readonly tokens: Estimate | null, readonly time: Estimate | null, readonly kl: Estimate | null
  }
  /**
   * Judge's gain less that of guidance by look-ahead with the prefix-trained reward, at the same KL; null where that
   * has no such KL.
   */
  readonly overLookAhead: Estimate | null
  /** The judge's gain over that of best-of-16; null where the pool is smaller, or best-of-16's gain is not clear. */
  readonly shareOf16: Estimate | null
}

/** What soft best-of-n of the whole pool gains at a KL, and the share of it that Q-head guidance gets at no more. */
export interface Frontier {
  readonly nats: number
  readonly n: number
  /** λ of P(i) ∝ exp(λ · reward_i) that has this KL, pooled. */
  readonly strength: number
  readonly judge: Estimate
  readonly ways: ReadonlyArray<Pick<ConfigurationFigures, 'label' | 'kl' | 'judge' | 'time'> & {
    /** Null where soft best-of-n gains nothing clear. */
    readonly share: Estimate | null
  }>
}

/** A control: what choosing by something else than the reward is worth to the judge. */
export interface Control {
  readonly label: string, readonly judge: ReadonlyArray<{ readonly n: number, readonly gain: Estimate }>
}

export interface Analysis {
  readonly prompts: number
  /** Prompts on which configurations were timed. */
  readonly timedPrompts: number
  /** Correlation of reward and judge over the plain answers to one prompt. */
  readonly agreement: Estimate
  readonly bestOfN: readonly BestOfN[]
  readonly turning: Turning
  readonly ways: readonly ConfigurationFigures[]
  readonly frontier: Frontier | null
  readonly controls: readonly Control[]
}

/**
 * The n whose best-of-n takes a time, in plain answers: between the sizes that were timed on a straight line; null
 * beyond them.
 */
function sizeAtTime (timed: ReadonlyArray<{ readonly n: number, readonly time: number }>, time: number): number | null {
  if (timed.length === 0 || time <= timed[0]!.time) return 1
  const after = timed.findIndex(one => one.time >= time)
  if (after < 0) return null
  const [a, b] = [timed[after - 1]!, timed[after]!]
  return a.n + (b.n - a.n) * (time - a.time) / (b.time - a.time)
}

/** A configuration's figures before it is compared with others: gains prompt by prompt. */
interface Measured extends Omit<ConfigurationFigures, 'label' | 'curve' | 'proxy' | 'judge' | `over${string}`
  | 'shareOf16'> {
  readonly configuration: ComparedConfiguration
  readonly proxy: readonly number[]
  readonly judge: readonly number[]
}

/** Best-of-n as a configuration: everything but its time comes from the plain pool. */
function measurePooled (
  configuration: ComparedConfiguration, n: number, pools: Pools, time: Estimate | null
): Measured {
  return {
    configuration,
    proxy: gains(pools.proxy, pools.proxy, n),
    judge: pools.judged(n),
    nll: pools.atBest(pools.nll, n),
    distinctPairs: pools.atBest(pools.pairs, n),
    tokens: n,
    time,
    kl: bestOfNKl(n),
    klKind: n === 1 ? 'exact' : 'upper_bound'
  }
}

function measureDrawn (
  configuration: ComparedConfiguration, answered: readonly ConfigurationAnswers[], pools: Pools, time: Estimate | null
): Measured {
  const gain = (pick: (answer: ScoredAnswer) => number, plain: ReadonlyArray<readonly number[]>): number[] =>
    answered.map(({ answers }, at) => mean(answers.map(pick)) - mean(plain[at]!))
  const known = answered.flatMap(({ kl }) => kl ?? [])
  return {
    configuration,
    proxy: gain(pools.scaledProxy, pools.proxy),
    judge: gain(pools.scaledJudge, pools.judge),
    nll: mean(answered.flatMap(({ answers }) => answers.map(nllOf))),
    distinctPairs: mean(answered.flatMap(({ answers }) => answers.map(({ text }) => distinctPairs(text)))),
    tokens: mean(answered.map(({ generatedTokens }) => generatedTokens)) / mean(pools.lengths.flat()),
    time,
    kl: known.length === answered.length ? mean(known) : null,
    klKind: answered[0]!.klKind
  }
}

/**
 * Share of a gain, with an interval over prompts; null where that gain is not clearly above 0, and there is nothing to
 * share.
 */
function shareOf (part: readonly number[], whole: readonly number[]): Estimate | null {
  if (!(meanOverPrompts(whole).low > 0)) return null
  return ratioOverPrompts(part.map((own, index) => ({ own, all: whole[index]! })), ({ own }) => own, ({ all }) => all)
}

function compare (measured: readonly Measured[], pools: Pools): ConfigurationFigures[] {
  const timed = measured.flatMap(({ configuration: { pooled }, time }) =>
    pooled === null || time === null ? [] : [{ n: pooled, time: time.value }]).sort((a, b) => a.n - b.n)
  const lookAhead = measured.flatMap(({ configuration: { curve }, kl, judge }): CurvePoint[] =>
    curve?.name === curves.prefix && kl !== null ? [{ kl, gains: judge }] : [])
  return measured.map(({ configuration: { label, curve }, proxy, judge, ...figures }) => {
    const { tokens, time, kl } = figures
    const over = (other: readonly number[] | null): Estimate | null =>
      other && label !== plainLabel ? meanOverPrompts(judge.map((value, at) => value - other[at]!)) : null
    const overBest = (n: number | null): Estimate | null => n === null || n > pools.size ? null : over(pools.judged(n))
    return {
      label,
      curve,
      proxy: meanOverPrompts(proxy),
      judge: meanOverPrompts(judge),
      ...figures,
      overBestOfN: {
        tokens: overBest(Math.max(1, tokens)),
        time: time && timed.length > 1 ? overBest(sizeAtTime(timed, time.value)) : null,
        kl: kl === null || kl > bestOfNKl(pools.size) ? null : overBest(sizeAtKl(Math.max(0, kl), pools.size))
      },
      overLookAhead: kl === null || curve === null || curve.name === curves.prefix
        ? null
        : over(curveGain(lookAhead, kl)),
      shareOf16: pools.size < 16 ? null : shareOf(judge, pools.judged(16))
    }
  })
}

/** Q-head guidance at few nats against the best that any choice among as many answers as the pool has can do there. */
function frontierOf (measured: readonly Measured[], pools: Pools): Frontier | null {
  const { strength, gains: soft } = softBest(pools.proxy, pools.judge, frontierNats)
  const near = measured.filter(({ configuration: { label }, kl }) =>
    label.startsWith(curves.qHead) && kl !== null && kl <= frontierNats)
  if (near.length === 0) return null
  return {
    nats: frontierNats,
    n: pools.size,
    strength,
    judge: meanOverPrompts(soft),
    ways: near.map(({ configuration: { label }, judge, kl, time }) => ({
      label, kl, judge: meanOverPrompts(judge), time, share: shareOf(judge, soft)
    }))
  }
}

/**
 * @param configurations the plain one first
 * @param done at least one prompt
 * @param turns in which configurations were timed; empty where nothing was
 */
export function analyse (
  configurations: readonly ComparedConfiguration[], done: readonly DonePrompt[], turns: readonly TimedTurn[]
): Analysis {
  const pools = new Pools(done)
  const sizes = sizesUpTo(pools.size)
  const random = uniform(7)
  const controls: ReadonlyArray<readonly [string, ReadonlyArray<readonly number[]>]> = [
    ['random', pools.judge.map(own => own.map(() => random()))],
    ['length only', pools.lengths],
    ['logprob per token', pools.nll.map(own => own.map(value => -value))],
    ['oracle: the judge itself', pools.judge]
  ]
  const plainIndex = configurations.findIndex(({ label }) => label === plainLabel)
  const timeOf = (index: number): Estimate | null =>
    turns.length === 0 ? null : ratioOverPrompts(turns, turn => turn[index]!, turn => turn[plainIndex]!)
  const measured = configurations.map((configuration, index) => configuration.pooled === null
    ? measureDrawn(configuration, done.map(one => one.configurations[index]!), pools, timeOf(index))
    : measurePooled(configuration, configuration.pooled, pools, timeOf(index)))
  return {
    prompts: done.length,
    timedPrompts: turns.length,
    agreement: meanOverPrompts(pools.proxy.map((own, index) => correlation(own, pools.judge[index]!))),
    bestOfN: sizes.map(n => ({
      n,
      proxy: meanOverPrompts(gains(pools.proxy, pools.proxy, n)),
      judge: meanOverPrompts(pools.judged(n)),
      kl: mean(pools.proxy.map(keys => pooledKl(keys, n))),
      klBound: bestOfNKl(n),
      nll: pools.atBest(pools.nll, n),
      distinctPairs: pools.atBest(pools.pairs, n)
    })),
    turning: turningOf(sizes, sizes.map(n => pools.judged(n))),
    ways: compare(measured, pools),
    frontier: frontierOf(measured, pools),
    controls: controls.map(([label, keys]) => ({
      label, judge: sizes.map(n => ({ n, gain: meanOverPrompts(gains(keys, pools.judge, n)) }))
    }))
  }
}
