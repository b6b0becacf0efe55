/**
 * Bias and penalties: which tokens' logits change, and to what. Only the tokens touched are looked at. Formulas as
 * OpenAI documents them (frequency, presence, bias) and as vLLM applies them (repetition: over prompt and answer,
 * dividing positive logits and multiplying negative ones), in vLLM's order: repetition, frequency and presence, bias,
 * masks.
 */
import type { Distribution } from '../engine/sequence.js'
import type { SamplingParams } from './sampling-params.js'

/** Token id → logit in place of the model's. */
export type TouchedLogits = ReadonlyMap<number, number>

/** Tokens of an answer, counted as they come. */
export class TokenCounts {
  readonly #answer: Map<number, number>
  readonly #prompt: ReadonlySet<number>

  constructor (prompt: ReadonlySet<number>, answer = new Map<number, number>()) {
    this.#prompt = prompt
    this.#answer = answer
  }

  get answer (): ReadonlyMap<number, number> { return this.#answer }
  get prompt (): ReadonlySet<number> { return this.#prompt }

  add (token: number): void { this.#answer.set(token, (this.#answer.get(token) ?? 0) + 1) }
  fork (): TokenCounts { return new TokenCounts(this.#prompt, new Map(this.#answer)) }
}

const none: TouchedLogits = new Map()

/** Whether a request changes logits, wherever they rank. */
export const changesLogits = (
  { frequencyPenalty, presencePenalty, repetitionPenalty, logitBias, minTokens }: SamplingParams
): boolean => frequencyPenalty !== 0 || presencePenalty !== 0 || repetitionPenalty !== 1 || minTokens > 0 ||
  Object.keys(logitBias).length > 0

/**
 * The logits that a request changes.
 * @param masked tokens that may not be drawn
 */
export function touchedLogits (
  distribution: Distribution, sampling: SamplingParams, counts: TokenCounts, masked: readonly number[]
): TouchedLogits {
  const { frequencyPenalty, presencePenalty, repetitionPenalty, logitBias } = sampling
  const biased = Object.keys(logitBias)
  const penalised = frequencyPenalty !== 0 || presencePenalty !== 0
  if (repetitionPenalty === 1 && !penalised && biased.length === 0 && masked.length === 0) return none
  const { logits } = distribution
  const touched = new Map<number, number>()
  const value = (token: number): number => touched.get(token) ?? logits[token]!
  if (repetitionPenalty !== 1) {
    for (const token of new Set([...counts.prompt, ...counts.answer.keys()])) {
      touched.set(token, logits[token]! > 0 ? logits[token]! / repetitionPenalty : logits[token]! * repetitionPenalty)
    }
  }
  if (penalised) {
    for (const [token, count] of counts.answer) {
      touched.set(token, value(token) - frequencyPenalty * count - presencePenalty)
    }
  }
  for (const token of biased) touched.set(Number(token), value(Number(token)) + logitBias[Number(token)]!)
  for (const token of masked) touched.set(token, -Infinity)
  return touched
}
