/**
 * A user's own reward from a decomposed one and a few pairs, and which pairs to label next. Reads the answers through
 * the policy; how they are weighed is `adapt.ts` and `active-learning.ts`. Knows neither where pairs come from nor
 * where the descriptor goes.
 */
import { RequestError } from '../errors.js'
import { suggestPairs, type Candidate, type Suggestion } from './active-learning.js'
import {
  withOpposites, leaveOneOut, mixHeads, pairAccuracy, randomHeads, type LinearHead, type StatePair
} from './adapt-weights.js'
import { checkRewardName, type HeadDescriptor, type RewardFamily } from '../rewards/descriptor.js'
import type { Pair, SampleAnswer } from './examples.js'
import { extractFeatures } from './features.js'
import { columnScale } from '../statistics/linear-fit.js'
import { rounded, significant } from '../statistics/metrics.js'
import { linearScore } from '../rewards/kinds/head.js'
import type { ReadablePolicy } from '../rewards/readable-policy.js'
import { poolDescription, referenceMembers, referencePool } from './reference-pool.js'

/** How answers are read. */
export interface ReadOptions {
  readonly policy: ReadablePolicy
  /** Folder of the feature cache; null keeps no features. */
  readonly cacheDirectory: string | null
  readonly signal?: AbortSignal | undefined
}

/** The family's descriptor, if it is a head. @throws RequestError */
function headOf ({ name, descriptor }: RewardFamily): HeadDescriptor {
  if (descriptor.kind !== 'head') {
    throw new RequestError('invalid_request', `reward "${name}" must be a head; it is of kind ${descriptor.kind}`,
      { param: 'id' })
  }
  return descriptor
}

/** States of whole answers, in their order, where the head reads them. */
async function readStates (
  { layer, pooling, fit }: HeadDescriptor, answers: readonly SampleAnswer[], { policy, signal }: ReadOptions
): Promise<Float32Array[]> {
  const maxTokens = fit?.maxAnswerTokens ?? 256
  const items = (await policy.tokens(answers, signal)).map(({ promptTokens, answerTokens }) =>
    ({ promptTokens, answerTokens: answerTokens.slice(0, maxTokens) }))
  const long = items.findIndex(({ promptTokens, answerTokens }) =>
    promptTokens.length + answerTokens.length + 1 > policy.contextLength)
  if (long >= 0) {
    throw new RequestError('context_length_exceeded', 'prompt, answer and end token must fit the context ' +
      `of ${policy.contextLength} tokens; too long: ${JSON.stringify(answers[long]!.text.slice(0, 60))}…`)
  }
  const read = await extractFeatures(policy, items, { layers: [layer], pooling, cacheDirectory: null, signal })
  return read.get(layer)!.map(states => states.at(-1)!)
}

async function readPairs (head: HeadDescriptor, pairs: readonly Pair[], options: ReadOptions): Promise<StatePair[]> {
  const states = await readStates(head, pairs.flatMap(({ messages, chosen, rejected }) =>
    [{ messages, text: chosen }, { messages, text: rejected }]), options)
  return pairs.map((_, index) => ({ chosen: states[2 * index]!, rejected: states[2 * index + 1]! }))
}

/** A reward of one user, as it is asked for. */
export interface AdaptChoices {
  readonly name: string
  readonly description: string
  /** What the user prefers, at least one pair. */
  readonly pairs: readonly Pair[]
}

/** Pairs that a user's reward is made from, at most: with more, a fit of its own knows better. */
export const maxAdaptPairs = 100

/** How many draws of random heads are averaged. */
const randomDraws = 20

const linear = (weights: ArrayLike<number>, bias: number): LinearHead => ({ weights: Float64Array.from(weights), bias })

/**
 * Leave-one-out accuracy of the adapted head, beside the original head's and that of adapting random heads.
 * @param pairs at least two
 */
function leaveOneOutFigures (
  heads: readonly LinearHead[], pairs: readonly StatePair[]
): { adapted: number, single: number, randomHeads: number } {
  const random = Array.from({ length: randomDraws }, (_, seed) =>
    leaveOneOut(randomHeads(heads.length, pairs, seed), pairs))
  return {
    adapted: rounded(leaveOneOut(heads, pairs)),
    single: rounded(pairAccuracy(heads[0]!, pairs)),
    randomHeads: rounded(random.reduce((sum, one) => sum + one, 0) / randomDraws)
  }
}

/**
 * A head for one user, standardised on the pool like any other.
 * @throws RequestError for a reward without directions, a name, or a number of pairs that cannot work; the signal's
 * reason when aborted
 */
export async function adaptReward (
  family: RewardFamily, { name, description, pairs }: AdaptChoices, options: ReadOptions
): Promise<HeadDescriptor> {
  const head = headOf(family)
  const { directions, layer, pooling, members } = head
  checkRewardName(name)
  if (!directions) {
    throw new RequestError('invalid_request',
      `reward "${family.name}" has no directions to adapt; fit it with directions`, { param: 'id' })
  }
  if (pairs.length === 0 || pairs.length > maxAdaptPairs) {
    throw new RequestError('invalid_request',
      `examples must have 1 to ${maxAdaptPairs} pairs; got ${pairs.length}`, { param: 'examples' })
  }
  const { policy, cacheDirectory, signal } = options
  const read = await readPairs(head, pairs, options)
  const states = read.filter(({ chosen, rejected }) => chosen.some((value, index) => value !== rejected[index]))
  const equalPairs = read.length - states.length
  if (states.length === 0) {
    throw new RequestError('invalid_request',
      `examples must have pairs whose answers differ as they are read; all ${read.length} are equal`,
      { param: 'examples' })
  }
  const heads = [linear(head.weights, head.bias), ...withOpposites(directions.map(one => Float64Array.from(one)))]
  const { weights, bias } = mixHeads(heads, states).head
  const poolItems = await referencePool(policy, cacheDirectory, signal)
  const pool =
    (await extractFeatures(policy, poolItems, { layers: [layer], pooling, cacheDirectory, signal })).get(layer)!
  return {
    name,
    description,
    kind: 'head',
    members: referenceMembers({ states: pool, description: poolDescription(policy, poolItems.length) },
      members.prefix !== undefined, state => linearScore(weights, bias, state)),
    policy: { id: policy.id, weightsSha256: policy.weightsSha256, format: policy.format },
    layer,
    pooling,
    bias: significant(bias),
    adaptation: {
      from: family.name,
      version: family.version,
      pairs: states.length,
      ...(equalPairs > 0 ? { equalPairs } : {}),
      ...(states.length > 1 ? { leaveOneOut: leaveOneOutFigures(heads, states) } : {})
    },
    weights: Array.from(weights, significant)
  }
}

/** Two answers that nobody has compared yet. */
export interface OpenPair { readonly messages: Pair['messages'], readonly answers: readonly [string, string] }

/**
 * The pairs that would teach a head most, best first.
 * @param labelled pairs whose label is known, none of them among the candidates
 * @throws RequestError for a reward that is no head; the signal's reason when aborted
 */
export async function suggestFor (
  family: RewardFamily, candidates: readonly OpenPair[], labelled: readonly Pair[], count: number, options: ReadOptions
): Promise<Suggestion[]> {
  const head = headOf(family)
  const open = candidates.map(({ messages, answers: [chosen, rejected] }) => ({ messages, chosen, rejected }))
  const pairs = await readPairs(head, [...open, ...labelled], options)
  const { std } = columnScale(pairs.flatMap(({ chosen, rejected }) => [chosen, rejected]))
  const all = pairs.map(({ chosen, rejected }): Candidate => ({
    difference: std.map((one, i) => (chosen[i]! - rejected[i]!) / one),
    margin: linearScore(head.weights, 0, chosen) - linearScore(head.weights, 0, rejected)
  }))
  return suggestPairs(all.slice(0, open.length), all.slice(open.length), count)
}
