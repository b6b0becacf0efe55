/**
 * From examples to a reward: reads features through the policy, fits a linear head, measures it on held-out data and
 * standardises it on the policy's own answers. `fairlead fit` and the rewards in the box are made here. Knows neither
 * files of examples nor where the descriptor goes.
 */
import { RequestError } from '../errors.js'
import type { Members, RewardFit } from './descriptor-parts.js'
import { checkRewardName, type HeadDescriptor } from './descriptor.js'
import { evaluateScore, type StateScore, type StateSet } from './evaluate.js'
import { asPairs, splitSamples, toSamples, type Examples, type SampleAnswer, type SampleSet } from './examples.js'
import { extractFeatures, type FeatureItem, type PrefixStates } from './features.js'
import { fitHead, type HeadFit } from './fit-head.js'
import { linearScore, type Head } from './head.js'
import type { ReadablePolicy } from './policy.js'
import { pool, poolDescription, poolPrompts, referenceStatistics, samplePool } from './pool.js'

/** What a fit is busy with: answers read, layers fitted, or answers of the reference pool. */
export interface FitProgress { readonly phase: 'features' | 'fit' | 'pool', readonly done: number, readonly total: number }

export interface FitRequest {
  readonly name: string
  readonly description: string
  readonly policy: ReadablePolicy
  readonly train: Examples
  /** Held-out examples of the same kind, none of them in `train`. Default: a fifth of the training prompts is held out. */
  readonly test?: Examples
  /** Name, size and origin of the data, and the licence it comes under, for the card. */
  readonly data: { readonly name: string, readonly licence: string }
  /** Layers to try, 0..L; the best by cross-validation is taken. */
  readonly layers: readonly number[]
  readonly pooling: 'mean' | 'last'
  /** Fit on 25, 50, 75 and 100 % of each answer, for both members; else on whole answers, for the outcome member only. */
  readonly prefixes: boolean
  /** Longer answers are cut, and the descriptor says how many were. Default 256. */
  readonly maxAnswerTokens?: number
  /** Folder of the feature cache; null keeps no features. */
  readonly cacheDirectory: string | null
  readonly onProgress?: (progress: FitProgress) => void
  readonly signal?: AbortSignal
}

/** Fewer examples than this cannot be cross-validated and held out with any meaning. */
export const fewestExamples = 20

/** Everything a reward is made of once its states are read: the sets, the layer and λ that cross-validation chose, the reference pool. */
export interface FittedStates {
  readonly train: StateSet
  readonly test: StateSet
  readonly best: HeadFit & { readonly layer: number }
  readonly pool: { readonly states: readonly PrefixStates[], readonly description: string }
  readonly fit: RewardFit
  /** What the test set is. */
  readonly split: string
}

const objectives = { pairs: 'bradley_terry', labels: 'logistic', scores: 'regression' } as const

/** Reads states and fits a head at each layer; the best by cross-validation is taken. @throws as `fitReward` */
export async function fitStates (request: FitRequest): Promise<FittedStates> {
  check(request)
  const { policy, layers, onProgress = () => {}, signal, maxAnswerTokens = 256 } = request
  const { train, test } = sampleSets(request)
  const encoded = [...train.answers, ...test.answers].map(answer => encode(policy, answer, maxAnswerTokens))
  const items = encoded.map(({ promptTokens, answerTokens }) => ({ promptTokens, answerTokens: answerTokens.slice(0, maxAnswerTokens) }))
  const features = await extract(request, 'features', items, layers)
  const lengths = encoded.map(item => item.answerTokens.length)
  const candidates = []
  for (const layer of layers) {
    signal?.throwIfAborted()
    onProgress({ phase: 'fit', done: candidates.length, total: layers.length })
    candidates.push({ layer, ...fitHead(stateSet(train, features.get(layer)!, lengths, 0), request.prefixes) })
  }
  const best = candidates.reduce((a, b) => b.gain! > a.gain! ? b : a)
  const states = features.get(best.layer)!
  return {
    train: stateSet(train, states, lengths, 0),
    test: stateSet(test, states, lengths, train.answers.length),
    best,
    pool: await readPool(request, best.layer),
    fit: {
      objective: objectives[request.train.kind],
      data: request.data.name,
      licence: request.data.licence,
      examples: train.samples.length,
      regularization: best.lambda,
      maxAnswerTokens,
      cutAnswers: lengths.filter(length => length > maxAnswerTokens).length
    },
    split: request.test ? 'a separate test set' : 'a fifth of the data, by prompt'
  }
}

/**
 * Fits a head. Bradley–Terry for pairs, logistic for labels, least squares for scores, on standardised states with log-length as a weakly
 * penalised nuisance column that scoring leaves out.
 * @throws RequestError for a name, layer or data set that cannot work; the signal's reason when aborted
 */
export async function fitReward (request: FitRequest): Promise<HeadDescriptor> {
  const fitted = await fitStates(request)
  const { best: { head }, train, test, split } = fitted
  const metrics = evaluateScore(state => linearScore(head.weights, head.bias, state), train, test, split, train.kind !== 'scores')
  const { weights, ...fields } = headOf(request, fitted, head)
  return { name: request.name, description: request.description, ...fields, fit: fitted.fit, metrics, weights }
}

/** Weights on raw states as a head that the server can use, standardised on the pool. */
export function headOf ({ policy, pooling, prefixes }: FitRequest, { best, pool }: FittedStates, { weights, bias }: HeadFit['head']): Head {
  return {
    kind: 'head',
    members: referenceMembers(pool, prefixes, state => linearScore(weights, bias, state)),
    policy: { id: policy.id, weightsSha256: policy.weightsSha256, format: policy.format },
    layer: best.layer,
    pooling,
    bias: significant(bias),
    weights: Array.from(weights, significant)
  }
}

/** What can be refused before hours of reading. */
function check ({ name, policy, train, test, layers }: FitRequest): void {
  checkRewardName(name)
  if (layers.length === 0) throw new RequestError('invalid_request', 'layers must name at least one layer; got none', { param: 'layers' })
  for (const layer of layers) {
    if (!Number.isInteger(layer) || layer < 0 || layer > policy.layers) throw new RequestError('invalid_request', `layers must be from 0 to ${policy.layers}; got ${layer}`, { param: 'layers' })
  }
  const count = countOf(train)
  if (count < fewestExamples) throw new RequestError('invalid_request', `a fit needs at least ${fewestExamples} examples; got ${count}`, { param: 'train' })
  if (test && test.kind !== train.kind) throw new RequestError('invalid_request', `test data must be ${train.kind} as the training data are; got ${test.kind}`, { param: 'test' })
}

function countOf (examples: Examples): number {
  switch (examples.kind) {
    case 'pairs': return examples.pairs.length
    case 'labels': return examples.labelled.length
    case 'scores': return examples.scored.length
  }
}

function sampleSets ({ train, test }: FitRequest): { train: SampleSet, test: SampleSet } {
  const sets = test ? { train: toSamples(train), test: toSamples(test) } : splitSamples(toSamples(train))
  for (const [name, set] of Object.entries(sets)) {
    const { samples } = set
    if (samples.length === 0) throw new RequestError('invalid_request', `the ${name} data must hold at least one example; got none`, { param: name })
    if (train.kind === 'labels' && new Set(samples.map(sample => sample.label)).size < 2) {
      throw new RequestError('invalid_request', `the ${name} data must hold both labels; got only ${samples[0]!.label === 1 ? 1 : 0}`, { param: name })
    }
    if (train.kind === 'scores' && asPairs(set).samples.length === 0) throw new RequestError('invalid_request', `the ${name} data must hold answers to one prompt with different scores; there are none`, { param: name })
  }
  return sets
}

function encode (policy: ReadablePolicy, { messages, text }: SampleAnswer, maxAnswerTokens: number): FeatureItem {
  const [promptTokens, answerTokens] = [policy.promptTokens(messages), policy.answerTokens(text)]
  const needed = promptTokens.length + Math.min(answerTokens.length, maxAnswerTokens) + 1
  if (needed > policy.contextLength) {
    throw new RequestError('context_length_exceeded', `prompt, answer and end token must fit ${policy.contextLength} tokens; got ${needed} for the answer ${JSON.stringify(text.slice(0, 60))}…`, { param: 'train' })
  }
  return { promptTokens, answerTokens }
}

function extract ({ policy, pooling, cacheDirectory, onProgress, signal }: FitRequest, phase: FitProgress['phase'], items: readonly FeatureItem[], layers: readonly number[]): Promise<Map<number, PrefixStates[]>> {
  return extractFeatures(policy, items, {
    layers, pooling, cacheDirectory, ...(signal && { signal }), ...(onProgress && { onProgress: (done: number, total: number) => { onProgress({ phase, done, total }) } })
  })
}

/** A sample set with the states of its answers, which start at `offset` of all answers read. */
function stateSet (set: SampleSet, states: readonly PrefixStates[], lengths: readonly number[], offset: number): StateSet {
  const end = offset + set.answers.length
  return { ...set, states: states.slice(offset, end), lengths: lengths.slice(offset, end) }
}

/** States of the policy's own answers to the pool prompts. */
async function readPool (request: FitRequest, layer: number): Promise<FittedStates['pool']> {
  const { policy, onProgress, signal } = request
  const prompts = poolPrompts()
  onProgress?.({ phase: 'pool', done: 0, total: prompts.length * pool.answersPerPrompt })
  const items = await samplePool(policy, prompts, signal)
  const states = (await extract(request, 'pool', items, [layer])).get(layer)!
  return { states, description: poolDescription(policy, items.length) }
}

/** Members with the statistics of a score on the pool: whole answers, and (for the prefix member) all four prefixes. */
export function referenceMembers ({ states, description }: FittedStates['pool'], prefixes: boolean, score: StateScore): Members {
  const whole = states.map(answer => score(answer.at(-1)!, true))
  const outcome = { normalization: referenceStatistics(whole, description) }
  if (!prefixes) return { outcome }
  const parts = states.flatMap(answer => answer.map(state => score(state, false)))
  return { outcome, prefix: { normalization: referenceStatistics(parts, `25, 50, 75 and 100 % of ${description}`) } }
}

/** Seven significant digits: what float32 states are known to. */
function significant (value: number): number {
  return Number(value.toPrecision(7))
}
