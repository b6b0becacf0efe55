/**
 * From examples to a reward: checks them, reads the states of their answers and of the reference pool through the
 * policy, and hands all that to a thread of its own that fits and measures (`fit-task.ts`). `fairlead fit`, `POST
 * /v1/rewards/fit` and the built-in rewards are made here. Knows neither where examples come from nor where the
 * descriptor goes.
 */
import { RequestError } from '../errors.js'
import { checkRewardName, type HeadDescriptor, type Naming } from '../rewards/descriptor.js'
import type { EnsembleDescriptor } from '../rewards/kinds/ensemble.js'
import type { Examples, SampleAnswer, SampleSet } from './examples.js'
import { extractFeatures, type FeatureItem } from './features.js'
import { checkQHead, withQHead } from './fit-q-head.js'
import {
  packStates, type EnsembleOptions, type FitChoices, type FitProgress, type FitTask, type FittedDescriptor
} from './fit-task.js'
import { runFitTask } from './fit-thread.js'
import type { ReadablePolicy } from '../rewards/readable-policy.js'
import { pool, poolDescription, poolPrompts, referencePool } from './reference-pool.js'
import { checkSets, minExamples, sampleSets, withoutEqual } from './sample-sets.js'

/** A fit and what it is done with. */
export interface FitRequest extends FitChoices {
  readonly policy: ReadablePolicy
  /** Folder of the feature cache; null keeps no features. */
  readonly cacheDirectory: string | null
  readonly onProgress?: (progress: FitProgress) => void
  readonly signal?: AbortSignal
}

/**
 * Fits a head, or an ensemble of them. Bradley–Terry for pairs, logistic for labels, least squares for scores, on
 * standardised states with log-length as a weakly penalised nuisance column that scoring leaves out.
 * @throws RequestError for a name, layer or data set that cannot work, before anything is read; storage_failed; the
 * signal's reason when aborted
 */
export async function fitReward (request: FitRequest & { readonly ensemble: EnsembleOptions }): Promise<Naming
  & EnsembleDescriptor>
export async function fitReward (request: FitRequest & { readonly ensemble?: never }): Promise<HeadDescriptor>
export async function fitReward (request: FitRequest): Promise<FittedDescriptor>
export async function fitReward (request: FitRequest): Promise<FittedDescriptor> {
  const { policy, maxAnswerTokens = 256, layers = layersToTry(policy.layers), signal, onProgress } = request
  check(request, layers)
  const all = sampleSets(request)
  const encoded = await encodeAll(policy, [...all.train.answers, ...all.test.answers], maxAnswerTokens, signal)
  const items = encoded.map(({ promptTokens, answerTokens }) => ({
    promptTokens, answerTokens: answerTokens.slice(0, maxAnswerTokens)
  }))
  const sets = withoutEqual(all, items)
  checkSets(sets, request, maxAnswerTokens)
  const { train, test, equalPairs } = sets
  const features = await extract(request, 'features', items, layers)
  onProgress?.({ phase: 'pool', done: 0, total: poolPrompts().length * pool.answersPerPrompt })
  const poolItems = await referencePool(policy, request.cacheDirectory, signal)
  const poolFeatures = await extract(request, 'pool', poolItems, layers)
  const lengths = encoded.map(item => item.answerTokens.length)
  const { name, description, data, pooling, prefixes, directions, ensemble } = request
  const task: FitTask = {
    name,
    description,
    data,
    pooling,
    prefixes,
    ...(directions === undefined ? {} : { directions }),
    ensemble: ensemble ?? null,
    policy: { id: policy.id, weightsSha256: policy.weightsSha256, format: policy.format },
    train: textsOnly(train),
    test: textsOnly(test),
    equalPairs,
    lengths,
    split: request.test ? 'a separate test set' : 'a fifth of the data, by prompt',
    maxAnswerTokens,
    layers: layers.map(layer => ({
      layer, states: packStates(features.get(layer)!), pool: packStates(poolFeatures.get(layer)!)
    })),
    poolDescription: poolDescription(policy, poolItems.length)
  }
  const descriptor = await runFitTask(task, { signal, onProgress })
  checkLearnt(descriptor)
  return request.qHead && descriptor.kind === 'head' ? await addQHead(descriptor, request) : descriptor
}

/** @throws RequestError for heads of zeros: pairs that contradict each other, or states that are all alike */
function checkLearnt (descriptor: FittedDescriptor): void {
  const heads = descriptor.kind === 'head' ? [descriptor] : descriptor.scorers as unknown as HeadDescriptor[]
  if (heads.every(({ weights }) => weights.every(weight => weight === 0))) {
    throw new RequestError('invalid_request',
      'the examples must say something that the model can tell apart; they contradict each other, and the fit is all ' +
      'zeros', { param: 'examples' })
  }
}

function addQHead (
  descriptor: HeadDescriptor, { policy, train, signal, onProgress }: FitRequest
): Promise<HeadDescriptor> {
  return withQHead(descriptor, {
    policy,
    train,
    ...(signal && { signal }),
    ...(onProgress && { onProgress: (done, total) => { onProgress({ phase: 'next_token', done, total }) } })
  })
}

function layersToTry (count: number): number[] {
  return [...new Set([Math.round(count / 3), Math.round(count / 2), Math.round(2 * count / 3)])]
}

/** Directions kept beside a head, at most. */
export const maxDirections = 64

/** What can be refused before hours of reading. */
function check (request: FitRequest, layers: readonly number[]): void {
  const { name, policy, train, test, ensemble, directions } = request
  checkRewardName(name)
  if (request.qHead) checkQHead(request)
  if (layers.length === 0) {
    throw new RequestError('invalid_request', 'layers must name at least one layer; got none', { param: 'layers' })
  }
  for (const layer of layers) {
    if (!Number.isInteger(layer) || layer < 0 || layer > policy.layers) {
      throw new RequestError('invalid_request', `layers must be from 0 to ${policy.layers}; got ${layer}`,
        { param: 'layers' })
    }
  }
  const count = countOf(train)
  if (count < minExamples) {
    throw new RequestError('invalid_request', `a fit requires at least ${minExamples} examples; got ${count}`,
      { param: 'examples' })
  }
  if (test && test.kind !== train.kind) {
    throw new RequestError('invalid_request',
      `test data must be of the same kind as the training data, ${train.kind}; got ${test.kind}`, { param: 'test' })
  }
  if (directions !== undefined) {
    if (!(Number.isInteger(directions) && directions >= 1 && directions <= maxDirections)) {
      throw new RequestError('invalid_request', `directions must be from 1 to ${maxDirections}; got ${directions}`,
        { param: 'directions' })
    }
    if (train.kind !== 'pairs' || ensemble) {
      throw new RequestError('invalid_request',
        `directions require pairs and a single head; got ${ensemble ? 'an ensemble' : train.kind}`,
        { param: 'directions' })
    }
  }
  if (ensemble && !(Number.isInteger(ensemble.heads) && ensemble.heads >= 2 && ensemble.heads <= 32)) {
    throw new RequestError('invalid_request', `an ensemble must have 2 to 32 heads; got ${ensemble.heads}`,
      { param: 'ensemble' })
  }
}

function countOf (examples: Examples): number {
  switch (examples.kind) {
    case 'pairs': return examples.pairs.length
    case 'labels': return examples.labelled.length
    case 'scores': return examples.scored.length
  }
}

/** Fitting looks at the texts of answers, for a control, and never at their prompts. */
function textsOnly ({ kind, answers, samples }: SampleSet): SampleSet {
  return { kind, answers: answers.map(({ text }) => ({ messages: [], text })), samples }
}

/** Answers in tokens, those of none and those that do not fit the context refused. */
async function encodeAll (
  policy: ReadablePolicy, answers: readonly SampleAnswer[], maxAnswerTokens: number, signal: AbortSignal | undefined
): Promise<FeatureItem[]> {
  const encoded = await policy.tokens(answers, signal)
  for (const [index, { promptTokens, answerTokens }] of encoded.entries()) {
    const { text } = answers[index]!
    if (answerTokens.length === 0) {
      throw new RequestError('invalid_request',
        `an answer must be at least one token; got none for ${JSON.stringify(text)}`, { param: 'examples' })
    }
    const needed = promptTokens.length + Math.min(answerTokens.length, maxAnswerTokens) + 1
    if (needed > policy.contextLength) {
      throw new RequestError('context_length_exceeded', 'prompt, answer and end token must fit the context ' +
        `of ${policy.contextLength} tokens; got ${needed} for the answer ${JSON.stringify(text.slice(0, 60))}…`,
      { param: 'examples' })
    }
  }
  return encoded
}

function extract (
  { policy, pooling, cacheDirectory, onProgress, signal }: FitRequest, phase: FitProgress['phase'],
  items: readonly FeatureItem[], layers: readonly number[]
): ReturnType<typeof extractFeatures> {
  return extractFeatures(policy, items, {
    layers,
    pooling,
    cacheDirectory,
    signal,
    onProgress: onProgress && ((done, total) => { onProgress({ phase, done, total }) })
  })
}
