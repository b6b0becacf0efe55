/**
 * Runs a request on a toy to its end, and what all tests of strategies use: rewards, one request for every strategy.
 */
import assert from 'node:assert/strict'
import { parseAlignment } from '../../src/decoding/strategies/parse-alignment.js'
import type { DecodeEvent } from '../../src/decoding/events.js'
import type { DecodingRequest } from '../../src/decoding/request.js'
import type { DecodeResult } from '../../src/decoding/result.js'
import { hasViews } from '../../src/decoding/recorded.js'
import { decode } from '../../src/decoding/strategies/strategies.js'
import type { AlignmentRequest } from '../../src/decoding/strategies/strategy-schemas.js'
import { Recorder } from '../../src/journal/recorder.js'
import type { Scorer } from '../../src/rewards/scorer.js'
import { ToyPolicy, toyRequest, toyScorer, type ToyRequestOptions } from './toy-policy.js'

/** Any reward of an answer: letters at odd places count for, others against. */
export const oddity = (tokens: readonly number[]): number =>
  tokens.reduce((sum, token, index) => sum + (index % 2 === 1 ? token : -0.5 * token), 0)
export const oddities: Scorer = toyScorer(oddity)
export const indifferent: Scorer = toyScorer(() => 0)

/** A toy's text of some tokens. */
export const textOf = (tokens: readonly number[]): string =>
  tokens.map(token => String.fromCharCode(97 + token)).join('')

/** The tokens of a toy's text. */
export const tokensOf = (text: string): number[] => Array.from(text, letter => letter.charCodeAt(0) - 97)

/** A request for every strategy, and for every way that one works. */
export const everyStrategy: ReadonlyArray<Record<string, unknown>> = [
  { strategy: 'best_of_n', num_candidates: 5 },
  { strategy: 'best_of_n', num_candidates: 5, selection: 'softmax' },
  { strategy: 'best_of_n', num_candidates: 5, selection: 'pessimistic' },
  { strategy: 'best_of_n', num_candidates: 5, selection: 'threshold', min_reward: 100 },
  { strategy: 'best_of_n', num_candidates: 5, selection: 'kl_regularized' },
  { strategy: 'best_of_n', num_candidates: 5, selection: 'mbr_regularized' },
  { strategy: 'best_of_n', num_candidates: 5, selection: 'weighted_majority' },
  { strategy: 'best_of_n', num_candidates: 7, stop_when: { min_reward: 3, every: 2 } },
  { strategy: 'best_of_n', num_candidates: 7, stop_when: { min_reward: 3, every: 2, eager: true } },
  { strategy: 'best_of_n', poisson_mean: 2 },
  { strategy: 'speculative_rejection', num_candidates: 6, checkpoints: [1, 3] },
  { strategy: 'beam_search', num_beams: 2, num_children: 3, step: { tokens: 2 } },
  { strategy: 'beam_search', num_beams: 2, num_children: 2, step: { delimiter: 'b' }, keep: 'sample', score_every: 2 },
  { strategy: 'beam_search', num_beams: 2, num_children: 2, step: { tokens: 1 }, lookahead_tokens: 2, max_steps: 4 },
  { strategy: 'dvts', num_trees: 2, num_children: 3, step: { tokens: 2 } },
  { strategy: 'dvts', num_trees: 2, num_children: 2, step: { tokens: 1 }, lookahead_tokens: 1, selection: 'majority' },
  { strategy: 'rebase', width: 5, step: { tokens: 1 }, selection: 'mbr' },
  { strategy: 'particle_filter', num_particles: 4, step: { tokens: 1 } },
  {
    strategy: 'particle_filter',
    num_particles: 4,
    step: { tokens: 2 },
    weighting: 'product',
    resampling: 'multinomial',
    ess_threshold: 1,
    final_choice: 'argmax'
  },
  { strategy: 'particle_filter', num_particles: 3, step: { tokens: 1 }, num_iterations: 3 },
  { strategy: 'segment_rejection', segment: { tokens: 2 }, target_reward: 2, max_tries: 3 },
  { strategy: 'segment_rejection', segment: { entropy: 0.5 }, target_reward: 2 },
  { strategy: 'token_guidance', candidates: { top_k: 4 } },
  { strategy: 'token_guidance', candidates: { top_k: 2 }, transform: 'centered', outside: 'keep' },
  { strategy: 'token_guidance', source: 'next_token', candidates: { top_k: 3 } },
  { strategy: 'token_guidance', contrast: { toward: { prefix: 'x' }, away: {} }, candidates: { top_k: 0 }, strength: 2 }
]

/** Whether a request of `everyStrategy` can return two choices. */
export const canReturnTwo = (
  { strategy, selection, stop_when: stop, poisson_mean: mean }: Record<string, unknown>
): boolean =>
  strategy === 'segment_rejection' || strategy === 'token_guidance' || (strategy === 'best_of_n' &&
    (selection === undefined || selection === 'softmax') && stop === undefined && mean === undefined)

export interface ToyRun {
  readonly result: DecodeResult
  readonly events: readonly DecodeEvent[]
  readonly policy: ToyPolicy
  /** Streamed text by choice. */
  readonly texts: readonly string[]
}

/** A request's `alignment`, with a reward filled in where one is read. */
export const alignmentOf = (given: Record<string, unknown> | null): AlignmentRequest | null =>
  given && parseAlignment({ ...(given['contrast'] === undefined ? { reward: 'toy' } : {}), ...given })

/**
 * Runs a request.
 * @param alignment null is plain sampling
 * @param through another backend than this process's own
 */
export async function run (alignment: Record<string, unknown> | null, {
  policy = new ToyPolicy(), through = request => request, ...given
}: ToyRequestOptions & {
  policy?: ToyPolicy, through?: (request: ReturnType<typeof toyRequest>) => DecodingRequest
} = {}): Promise<ToyRun> {
  const checked = alignmentOf(alignment)
  const journal = hasViews(checked) ? new Recorder({ now: () => 0, everyToken: true }) : null
  const request = through(toyRequest(policy, { journal, ...given }))
  const events: DecodeEvent[] = []
  for await (const event of decode(request, checked)) events.push(event)
  const last = events.at(-1)!
  assert.ok(last.type === 'end')
  assert.equal(request.used.generatedTokens, last.result.generatedTokens)
  const texts = Array.from({ length: request.n }, (_, choice) =>
    events.map(event => event.type === 'text' && event.choice === choice ? event.text : '').join(''))
  return { result: last.result, events, policy, texts }
}
