/**
 * Fits a Q-head to what the policy's most probable tokens add to a head's score in answers of its own, and measures how
 * it ranks them in answers to prompts that it was not fitted on. The arithmetic is in `fit-token-form.ts`.
 */
import { RequestError } from '../errors.js'
import type { HeadDescriptor } from '../rewards/descriptor.js'
import type { Head } from '../rewards/kinds/head.js'
import { TokenForm, type QHead } from '../rewards/kinds/q-head.js'
import type { ReadablePolicy } from '../rewards/readable-policy.js'
import type { ChatMessage } from '../rewards/scorer.js'
import { clusteredMean, rankCorrelation, rounded } from '../statistics/metrics.js'
import { refuse } from '../validation.js'
import { drawing, drawPositions, type DrawOptions, type Position } from './draw-positions.js'
import { distinctPrompts } from './examples.js'
import type { FitChoices } from './fit-task.js'
import { runFormTask } from './fit-thread.js'
import { formSettings } from './fit-token-form.js'

/** What a Q-head is fitted for and on. */
export interface QHeadRequest {
  readonly policy: ReadablePolicy
  /** Mean-pooled, with a prefix member. */
  readonly head: Head
  /** Prompts to draw answers to, at least ten; a fifth of them is held out unless `test` is given. */
  readonly prompts: ReadonlyArray<readonly ChatMessage[]>
  readonly test?: ReadonlyArray<readonly ChatMessage[]>
  /** What the held-out prompts are, for the card. */
  readonly split?: string
  readonly answersPerPrompt: number
  readonly onProgress?: (done: number, total: number) => void
  readonly signal?: AbortSignal
}

/** Prompts to draw answers to. */
const minPrompts = 10
/** Answers to each held-out prompt. */
const heldOutAnswers = 2

/**
 * Fits the next-token member of a head.
 * @throws RequestError for a head that cannot have one, or too few prompts; the signal's reason when aborted
 */
export async function fitQHead (request: QHeadRequest): Promise<QHead> {
  const { policy, head, answersPerPrompt, onProgress, signal } = request
  if (head.pooling !== 'mean' || !head.members.prefix) {
    throw new RequestError('invalid_request', 'a Q-head requires a head with pooling mean that was fitted on prefixes')
  }
  const { train, test, split } = splitPrompts(request)
  const layer = head.layer
  const [drawn, heldOut] = [train.length * answersPerPrompt, test.length * heldOutAnswers]
  const options = (answers: number, from: number): DrawOptions => ({
    layer,
    answersPerPrompt: answers,
    signal,
    ...(onProgress && { onProgress: (done: number) => { onProgress(from + done, drawn + heldOut) } })
  })
  const positions = await drawPositions(policy, head, train, options(answersPerPrompt, 0))
  const held = await drawPositions(policy, head, test, options(heldOutAnswers, drawn))
  const tokens = new Set(positions.flatMap(position => position.tokens))
  const embeddings = new Map([...tokens].map(token => [token, policy.embedding(token)]))
  const form = await runFormTask({ positions, embeddings }, signal)
  return {
    layer,
    ...form,
    fit: {
      prompts: train.length,
      positions: positions.length,
      values: positions.reduce((sum, { tokens }) => sum + tokens.length, 0),
      regularization: formSettings.regularization
    },
    metrics: {
      ...rankMetrics(new TokenForm(form, head.weights.length), held, token => policy.embedding(token)),
      candidates: drawing.candidates,
      split
    }
  }
}

function splitPrompts (
  { prompts, test, split = 'a separate set of prompts' }: QHeadRequest
): { train: QHeadRequest['prompts'], test: QHeadRequest['prompts'], split: string } {
  if (prompts.length < minPrompts) {
    throw new RequestError('invalid_request',
      `a Q-head requires at least ${minPrompts} prompts to sample answers for; got ${prompts.length}`)
  }
  if (test) return { train: prompts, test, split }
  return {
    train: prompts.filter((_, index) => index % 5 !== 4),
    test: prompts.filter((_, index) => index % 5 === 4),
    split: 'a fifth of the prompts'
  }
}

function rankMetrics (
  form: TokenForm, held: readonly Position[], embedding: (token: number) => Float32Array
): Pick<QHead['metrics'], 'rankCorrelation' | 'standardError' | 'positions' | 'prompts'> {
  const ranked = held.filter(({ tokens }) => tokens.length > 1)
  const correlations = ranked.map(({ state, tokens, added }) =>
    rankCorrelation(form.contributions(state, tokens, embedding), added))
  const { value, standardError } = clusteredMean(correlations, ranked.map(({ prompt }) => String(prompt)))
  return {
    rankCorrelation: rounded(value),
    standardError: rounded(standardError),
    positions: ranked.length,
    prompts: new Set(ranked.map(({ prompt }) => prompt)).size
  }
}

/**
 * Whether a fit can have a Q-head: it belongs to one head of means that scores prefixes.
 * @throws RequestError
 */
export function checkQHead ({ train, ensemble, pooling, prefixes }: FitChoices): void {
  const field = 'q_head'
  if (ensemble) throw refuse(field, 'requires a single head; it cannot be combined with an ensemble', true)
  if (pooling !== 'mean') throw refuse(field, 'requires pooling mean', pooling)
  if (!prefixes) throw refuse(field, 'requires prefixes', prefixes)
  const { length } = distinctPrompts(train)
  if (length < minPrompts) {
    throw refuse(field,
      `requires examples with at least ${minPrompts} distinct prompts, for which it samples answers`, length)
  }
}

/** Answers that the Q-head of a fit is fitted on, and prompts that they are drawn to, at most. */
const maxDrawn = 180

/** A fitted head with a Q-head, fitted on answers to the prompts of the training data. @throws as `fitQHead` */
export async function withQHead (
  { weights, ...head }: HeadDescriptor, { train, ...options }: Pick<FitChoices, 'train'>
    & Pick<QHeadRequest, 'policy' | 'onProgress' | 'signal'>
): Promise<HeadDescriptor> {
  const prompts = distinctPrompts(train).slice(0, maxDrawn)
  const nextToken = await fitQHead({
    ...options, head: { ...head, weights }, prompts, answersPerPrompt: Math.ceil(maxDrawn / prompts.length)
  })
  return { ...head, nextToken, weights }
}
