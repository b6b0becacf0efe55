/**
 * Token-level guidance: each token is drawn from log π(v) + strength · g(value of v), over the policy's most probable
 * tokens. One operator for ARGS (arXiv 2402.01694), RAD (2310.09520), FUDGE (2104.05218), controlled decoding
 * (2310.17022) and VAS (2405.06639), which value tokens by a reward of prefixes, for Q-heads, which value them all at
 * once, and for DExperts (2105.03023), proxy-tuning (2401.08565) and GenARM (2410.08193), which value them by ratios of
 * probabilities. Temperature and filters of the request shape π; guidance comes after them. Knows no source of values
 * (`token-values.ts`).
 */
import type { Candidate, Generation } from '../candidate.js'
import { contrastValues } from '../guidance/contrast-values.js'
import type { RankedToken, SamplingDistribution } from '../sampling/distribution.js'
import { EventQueue } from '../event-queue.js'
import {
  endEvent, finishChoice, openCandidates, progress, retire, scoreAll, startGeneration, TextStream
} from '../generation.js'
import { guide, guideWithin, nucleus, stepKl, transforms, type Guided } from '../guidance/guided-distribution.js'
import { NextTokenValues } from '../guidance/next-token-values.js'
import { PrefixValues } from '../guidance/prefix-values.js'
import type { DecodeEvent, KlReport, SamplingParams, Strategy, Warning } from '../runtime.js'
import { shareOut } from '../budget-split.js'
import type { ParametersOf } from './strategy-schemas.js'
import type { TokenValues } from '../guidance/token-values.js'

type Params = ParametersOf<'token_guidance'>

/** Tokens that a list of the policy's most probable ones has, where it holds enough. */
const listed = 128

/** The next tokens that are looked at, in the order of drawing. */
function candidatesOf (
  distribution: SamplingDistribution, { top_k: topK, top_p: topP }: Params['candidates']
): readonly RankedToken[] {
  if (topK > 0) return nucleus(distribution.ranked(topK), topP)
  if (topP >= 1) return distribution.all()
  const inside = nucleus(distribution.ranked(listed), topP)
  return inside.length < listed ? inside : nucleus(distribution.ranked(Infinity), topP)
}

/** What the policy gives to tokens that are not candidates. What is left by rounding alone is nothing. */
function probabilityOutside (distribution: SamplingDistribution, candidates: readonly RankedToken[]): number {
  if (distribution.ranked(candidates.length + 1).length === candidates.length) return 0
  const outside = 1 - candidates.reduce((sum, { logProbability }) => sum + Math.exp(logProbability), 0)
  return outside > 1e-12 ? outside : 0
}

/** Whether the most probable token is taken rather than one drawn. */
const isGreedy = ({ temperature }: SamplingParams, { draw }: Params): boolean => temperature === 0 || draw === 'argmax'

class GuidedAnswer {
  readonly #generation: Generation
  readonly #candidate: Candidate
  readonly #params: Params
  readonly #values: TokenValues
  /** Nats spent along the path, where tokens are drawn. */
  kl = 0
  /** Whether the budget of KL ended guidance. */
  spent = false

  constructor (generation: Generation, candidate: Candidate, params: Params, values: TokenValues) {
    this.#generation = generation
    this.#candidate = candidate
    this.#params = params
    this.#values = values
  }

  /** One token. */
  async step (): Promise<void> {
    const distribution = await this.#candidate.distribution()
    const candidates = candidatesOf(distribution, this.#params.candidates)
    const values = transforms[this.#params.transform](await this.#values.of(candidates))
    await this.#values.accept(this.#choose(distribution, candidates, values))
  }

  /** Gives back what valuing took, however the answer ended. */
  close (): void { this.#values.close() }

  #choose (distribution: SamplingDistribution, policy: readonly RankedToken[], values: readonly number[]): number {
    const { strength, max_kl: maxKl, guidance_before_temperature: before } = this.#params
    const { sampling } = this.#generation
    const { temperature } = sampling
    // (ln π + strength · g) / temperature is guidance of the tempered policy with strength / temperature.
    const scaled = before && temperature > 0 ? strength / temperature : strength
    const outside = this.#params.outside === 'keep' ? probabilityOutside(distribution, policy) : 0
    if (isGreedy(sampling, this.#params)) return mostProbable(guide(policy, values, scaled, outside))
    const guided = guideWithin(policy, values, scaled, maxKl === null ? Infinity : maxKl - this.kl, outside)
    if (!guided) {
      this.spent = true
      return distribution.draw(this.#candidate.random.next())
    }
    this.kl += stepKl(guided, policy, outside)
    return this.#draw(guided, distribution, outside)
  }

  /** @param outside what the policy gives to other tokens that may be drawn */
  #draw ({ ranked }: Guided, distribution: SamplingDistribution, outside: number): number {
    const { random } = this.#candidate
    const u = random.next()
    let mass = 0
    for (const { token, logProbability } of ranked) {
      mass += Math.exp(logProbability)
      if (u < mass) return token
    }
    if (outside === 0) return ranked.at(-1)!.token
    // Candidates come first in the policy's own order of drawing, so that what is beyond their probability is, as a
    // rule, another token.
    let token = distribution.draw(Math.min(1 - (1 - u) / (1 - mass) * outside, 1 - Number.EPSILON))
    while (ranked.some(one => one.token === token)) token = distribution.draw(random.next())
    return token
  }
}

/**
 * The most probable token under guidance, ties by the policy's rank. Centred values lower no candidate without raising
 * another, so that none outside is more probable.
 */
const mostProbable = ({ ranked }: Guided): number =>
  ranked.reduce((one, other) => other.logProbability > one.logProbability ? other : one).token

function valuesOf (
  generation: Generation, candidates: readonly Candidate[], source: 'prefix' | 'next_token' | 'contrast'
): TokenValues[] | Promise<TokenValues[]> {
  switch (source) {
    case 'prefix': return candidates.map(candidate => new PrefixValues(generation, candidate))
    case 'next_token': return candidates.map(candidate => new NextTokenValues(generation, candidate))
    case 'contrast': return contrastValues(generation, candidates)
  }
}

/** Draws n answers token by token under guidance, side by side. */
export const tokenGuidance: Strategy<Params> = async function * (runtime, prompt, sampling, params, n) {
  const generation = startGeneration(runtime, prompt, sampling)
  const candidates = await openCandidates(generation, n)
  const values = await valuesOf(generation, candidates, params.source as 'prefix' | 'next_token' | 'contrast')
  const answers = candidates.map((candidate, index) => new GuidedAnswer(generation, candidate, params, values[index]!))
  const events = new EventQueue<DecodeEvent>()
  const streams = candidates.map(candidate => new TextStream(candidate.index))
  const finish = async (candidate: Candidate): Promise<void> => {
    candidate.end()
    answers[candidate.index]!.close()
    if (runtime.scorer) await scoreAll(generation, [candidate])
    retire(candidate)
    for (const event of finishChoice(streams[candidate.index]!, candidate.index, candidate.choice())) events.push(event)
  }
  events.endWith(shareOut(generation.budget, candidates, candidate =>
    !candidate.isFinished, async (candidate, most) => {
    for (let drawn = 0; drawn < most && !candidate.isFinished && generation.budget.take(); drawn++) {
      runtime.signal.throwIfAborted()
      await answers[candidate.index]!.step()
      if (params.return_progress) events.push(progress(candidate.drawn, [candidate], []))
      const event = streams[candidate.index]!.next(candidate.certainText, candidate.logprobs)
      if (event) events.push(event)
    }
    if (candidate.isFinished) await finish(candidate)
  }, finish).finally(() => { for (const answer of answers) answer.close() }))
  yield * events
  const warnings: Warning[] = answers.some(answer => answer.spent)
    ? [{
        code: 'kl_budget_spent',
        message: `max_kl of ${params.max_kl} nats was spent; the rest was drawn from the policy`
      }]
    : []
  // The KL of a step is the guided distribution's, of which the most probable token is no draw.
  const kl: KlReport = isGreedy(sampling, params)
    ? { value: null, kind: null }
    : { value: answers.reduce((sum, answer) => sum + answer.kl, 0) / n, kind: 'exact_sampled' }
  yield endEvent(generation, candidates.map(candidate => candidate.report()),
    candidates.map(candidate => candidate.choice()), kl, { warnings })
}
