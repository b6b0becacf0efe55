/**
 * Token-level guidance: each token is drawn from log π(v) + strength · g(value of v), over the policy's most probable
 * tokens. One operator for ARGS (arXiv 2402.01694), RAD (2310.09520), FUDGE (2104.05218), controlled decoding
 * (2310.17022) and VAS (2405.06639), which value tokens by a reward of prefixes, for Q-heads, which value them all at
 * once, and for DExperts (2105.03023), proxy-tuning (2401.08565) and GenARM (2410.08193), which value them by ratios of
 * probabilities. Temperature and filters of the request shape π; guidance comes after them. Knows no source of values
 * (`token-values.ts`).
 */
import type { NextTokens } from '../../policies/policy.js'
import type { RankedToken } from '../../policies/sampling-distribution.js'
import type { SamplingParams } from '../../policies/sampling-params.js'
import { splitBudget } from '../budget-split.js'
import type { Candidate } from '../candidate.js'
import { Decoding, unknownKl } from '../decoding.js'
import { contrastValues } from '../guidance/contrast-values.js'
import { guide, guideWithin, nucleus, stepKl, transforms, type Guided } from '../guidance/guided-distribution.js'
import { guidedToken, type GuidedStep } from '../guidance/guided-step.js'
import { guidedByBackend } from '../guidance/guided-by-backend.js'
import { nextTokenValues } from '../guidance/next-token-values.js'
import { prefixValues } from '../guidance/prefix-values.js'
import type { TokenValues } from '../guidance/token-values.js'
import type { DecodeEvent } from '../events.js'
import type { DecodingRequest, Strategy } from '../request.js'
import { eventsOf, TextStream } from '../streaming.js'
import type { ParametersOf } from './strategy-schemas.js'

type Params = ParametersOf<'token_guidance'>

/** Tokens that a list of the policy's most probable ones has, where it holds enough. */
const listed = 128

/** The next tokens that are looked at, in the order of drawing. */
function candidatesOf (
  distribution: NextTokens, { top_k: topK, top_p: topP }: Params['candidates']
): readonly RankedToken[] {
  if (topK > 0) return nucleus(distribution.ranked(topK), topP)
  if (topP >= 1) return distribution.all()
  const inside = nucleus(distribution.ranked(listed), topP)
  return inside.length < listed ? inside : nucleus(distribution.ranked(Infinity), topP)
}

/** What the policy gives to tokens that are not candidates. What is left by rounding alone is nothing. */
function probabilityOutside (distribution: NextTokens, candidates: readonly RankedToken[]): number {
  if (distribution.ranked(candidates.length + 1).length === candidates.length) return 0
  const outside = 1 - candidates.reduce((sum, { logProbability }) => sum + Math.exp(logProbability), 0)
  return outside > 1e-12 ? outside : 0
}

/** Whether the most probable token is taken rather than one drawn. */
const isGreedy = ({ temperature }: SamplingParams, { draw }: Params): boolean => temperature === 0 || draw === 'argmax'

/** The strength of the next token after `drawn` ones. */
const warmedUp = ({ strength, warmup_tokens: warmup }: Params, drawn: number): number =>
  warmup === null ? strength : strength * Math.min(1, (drawn + 1) / warmup)

class GuidedAnswer {
  readonly candidate: Candidate
  readonly #request: DecodingRequest
  readonly #params: Params
  readonly #values: TokenValues
  readonly #stream: TextStream
  /** Nats used along the path, where tokens are drawn. */
  kl = 0
  /** Whether the budget of KL ended guidance. */
  isKlUsedUp = false

  constructor (candidate: Candidate, request: DecodingRequest, params: Params, values: TokenValues) {
    this.candidate = candidate
    this.#request = request
    this.#params = params
    this.#values = values
    this.#stream = new TextStream(candidate.index)
  }

  /** Draws one token. @returns what there is to tell of it */
  async step (): Promise<Iterable<DecodeEvent>> {
    const distribution = await this.candidate.generation.tokenwise!.distribution()
    const chosen = this.#valued(candidatesOf(distribution, this.#params.candidates))
    const candidates = chosen.length > 0 ? chosen : this.#valued(distribution.all())
    const values = transforms[this.#params.transform](await this.#values.of(candidates))
    const step = this.#choose(distribution, candidates, values)
    await this.#values.accept(step.token)
    this.#record(step, candidates, values)
    return this.#stream.next(this.candidate.certainText, this.candidate.logprobs)
  }

  #record (step: GuidedStep, policy: readonly RankedToken[], values: readonly number[]): void {
    const { journal, scorer, pieceOf } = this.#request
    const { index, drawn, score } = this.candidate
    if (!journal) return
    const { alternatives } = journal
    journal.drew(this.candidate)
    const reward = scorer ? { reward: score?.value ?? null } : {}
    journal.token(guidedToken(step, { index, at: drawn - 1, policy, values, ...reward, alternatives, pieceOf }))
  }

  /** Those among tokens that have a value. */
  #valued (tokens: readonly RankedToken[]): readonly RankedToken[] {
    return this.#values.values ? tokens.filter(({ token }) => this.#values.values!(token)) : tokens
  }

  /** Ends the answer and scores it, where there is a reward. */
  async end (decoding: Decoding): Promise<Iterable<DecodeEvent>> {
    this.candidate.end()
    this.close()
    if (decoding.request.scorer) await decoding.score([this.candidate])
    this.candidate.close()
    return this.#stream.finish(this.candidate.choice())
  }

  /** Frees what valuing took, however the answer ended. */
  close (): void { this.#values.close() }

  #choose (distribution: NextTokens, policy: readonly RankedToken[], values: readonly number[]): GuidedStep {
    const { max_kl: maxKl, guidance_before_temperature: before } = this.#params
    const { sampling } = this.#request
    const { temperature } = sampling
    const strength = warmedUp(this.#params, this.candidate.drawn)
    // (ln π + strength · g) / temperature is guidance of the tempered policy with strength / temperature.
    const scaled = before && temperature > 0 ? strength / temperature : strength
    const outside = this.#params.outside === 'keep' ? probabilityOutside(distribution, policy) : 0
    if (isGreedy(sampling, this.#params)) {
      const guided = guide(policy, values, scaled, outside)
      return { token: mostProbable(guided), guided, kl: null, share: 1 }
    }
    const within = guideWithin(policy, values, scaled, maxKl === null ? Infinity : maxKl - this.kl, outside)
    if (!within) {
      this.isKlUsedUp = true
      return { token: distribution.draw(this.candidate.random.next()), guided: null, kl: 0, share: 0 }
    }
    const { guided, share } = within
    const kl = stepKl(guided, policy, outside)
    this.kl += kl
    return { token: this.#draw(guided, distribution, outside), guided, kl, share }
  }

  /** @param outside what the policy gives to other tokens that may be drawn */
  #draw ({ ranked }: Guided, distribution: NextTokens, outside: number): number {
    const u = this.candidate.random.next()
    let mass = 0
    for (const { token, logProbability } of ranked) {
      mass += Math.exp(logProbability)
      if (u < mass) return token
    }
    if (outside === 0) return ranked.at(-1)!.token
    // Candidates come first in the policy's own order of drawing, so that what is beyond their probability is, as a
    // rule, another token.
    let token = distribution.draw(Math.min(1 - (1 - u) / (1 - mass) * outside, 1 - Number.EPSILON))
    while (ranked.some(one => one.token === token)) token = distribution.draw(this.candidate.random.next())
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
  decoding: Decoding, candidates: readonly Candidate[], source: Params['source']
): TokenValues[] | Promise<TokenValues[]> {
  switch (source) {
    case 'next_token': return candidates.map(candidate => nextTokenValues(decoding, candidate))
    case 'contrast': return contrastValues(decoding, candidates)
    default: return candidates.map(candidate => prefixValues(decoding, candidate))
  }
}

/** Draws all answers side by side. */
function drawAll (decoding: Decoding, answers: readonly GuidedAnswer[]): AsyncIterable<DecodeEvent> {
  const { budget, request: { signal } } = decoding
  return eventsOf(tell => {
    const finish = async (answer: GuidedAnswer): Promise<void> => { tell(await answer.end(decoding)) }
    return splitBudget(budget, answers, ({ candidate }) => !candidate.isFinished, async (answer, max) => {
      for (let drawn = 0; drawn < max && !answer.candidate.isFinished && !budget.isUsedUp(); drawn++) {
        signal.throwIfAborted()
        budget.use()
        tell(await answer.step())
      }
      if (answer.candidate.isFinished) await finish(answer)
    }, finish).finally(() => { for (const answer of answers) answer.close() })
  })
}

/** Draws n answers token by token under guidance, side by side. */
export const tokenGuidance: Strategy<Params> = async function * (request, params) {
  if (params.source === 'next_token' && request.policy.capabilities.qHeads === 'backend') {
    return yield * guidedByBackend(request, isGreedy(request.sampling, params))
  }
  const decoding = new Decoding(request)
  const { n, sampling } = request
  const candidates = await decoding.openCandidates(n)
  const values = await valuesOf(decoding, candidates, params.source)
  const answers = candidates.map((candidate, index) => new GuidedAnswer(candidate, request, params, values[index]!))
  yield * drawAll(decoding, answers)
  const warnings = answers.some(answer => answer.isKlUsedUp)
    ? [{
        code: 'kl_budget_spent',
        message: `max_kl of ${params.max_kl} nats was spent; the rest was drawn from the policy`
      }]
    : []
  yield decoding.end(candidates.map(candidate => candidate.report()),
    candidates.map(candidate => candidate.choice()),
    // The KL of a step is the guided distribution's, of which the most probable token is no draw.
    isGreedy(sampling, params)
      ? unknownKl
      : { value: answers.reduce((sum, answer) => sum + answer.kl, 0) / n, kind: 'exact_sampled' }, { warnings })
}
