/**
 * Token-level guidance: each token is drawn from log π(v) + strength · g(value of the prefix with v), over the policy's most probable tokens.
 * One operator for ARGS (arXiv 2402.01694), RAD (2310.09520), FUDGE (2104.05218) and controlled decoding (2310.17022) with a value read by
 * look-ahead: k forks, one token each, one batch. The fork of the token drawn becomes the sequence; nothing is recomputed. Temperature and
 * filters of the request shape π; guidance comes after them.
 */
import type { Output, Sequence } from '../engine/sequence.js'
import type { Score } from '../rewards/scorer.js'
import type { Candidate, Generation } from './candidate.js'
import type { RankedToken, SamplingDistribution } from './distribution.js'
import { EventQueue } from './event-queue.js'
import { endEvent, finishChoice, openCandidates, progress, retire, scoreAll, startGeneration, TextStream } from './generation.js'
import { guideWithin, nucleus, stepKl, transforms, type Guided } from './guidance.js'
import type { DecodeEvent, Strategy, Warning } from './runtime.js'
import type { ParametersOf } from './strategy-schemas.js'

type Params = ParametersOf<'token_guidance'>

interface Probe { readonly sequence: Sequence, readonly output: Output }

class GuidedAnswer {
  readonly #generation: Generation
  readonly #candidate: Candidate
  readonly #params: Params
  /** Nats spent along the path. */
  kl = 0
  /** Whether the budget of KL ended guidance. */
  spent = false

  constructor (generation: Generation, candidate: Candidate, params: Params) {
    this.#generation = generation
    this.#candidate = candidate
    this.#params = params
  }

  /** One token. */
  async step (): Promise<void> {
    const candidate = this.#candidate
    const distribution = candidate.distribution()
    const { top_k: topK, top_p: topP } = this.#params.candidates
    const policy = nucleus(distribution.ranked(topK), topP)
    const probes = await this.#probe(policy)
    try {
      const scores = await this.#scores(policy, probes)
      const token = this.#choose(distribution, policy, transforms[this.#params.transform](scores.map(score => score.value)))
      // Of the prefix with the token; null for one that was not looked at.
      candidate.score = scores[policy.findIndex(one => one.token === token)] ?? null
      const probe = probes.get(token)
      const goesOn = candidate.accept(token)
      if (probe) {
        probes.delete(token)
        candidate.adopt(probe)
      } else if (goesOn) await candidate.feed()
    } finally {
      for (const { sequence } of probes.values()) sequence.close()
    }
  }

  /** Forks that have fed one candidate token each, in one batch. End tokens are scored without. */
  async #probe (policy: readonly RankedToken[]): Promise<Map<number, Probe>> {
    const candidate = this.#candidate
    const fed = policy.filter(({ token }) => !candidate.isEnd(token))
    const sequences = fed.map(({ token }) => {
      const sequence = candidate.sequence.fork()
      sequence.append(token)
      return { token, sequence }
    })
    this.#generation.rewardTokens += Math.max(0, fed.length - 1)
    return new Map(await Promise.all(sequences.map(async ({ token, sequence }) => [token, { sequence, output: await sequence.output() }] as const)))
  }

  async #scores (policy: readonly RankedToken[], probes: ReadonlyMap<number, Probe>): Promise<Score[]> {
    const { runtime, prompt } = this.#generation
    const unfed = { sequence: this.#candidate.sequence, output: this.#candidate.output }
    const answers = policy.map(({ token }) => this.#candidate.extended(token, probes.get(token) ?? unfed))
    return runtime.scorer!.score(prompt, answers)
  }

  #choose (distribution: SamplingDistribution, policy: readonly RankedToken[], values: readonly number[]): number {
    const { strength, max_kl: maxKl, guidance_before_temperature: before, draw } = this.#params
    const { temperature } = this.#generation.sampling
    const greedy = temperature === 0 || draw === 'argmax'
    // (ln π + strength · g) / temperature is guidance of the tempered policy with strength / temperature.
    const scaled = before && temperature > 0 ? strength / temperature : strength
    const inside = policy.reduce((sum, { logProbability }) => sum + Math.exp(logProbability), 0)
    const others = this.#params.outside === 'keep' && distribution.ranked(policy.length + 1).length > policy.length
    // What is left by rounding alone is nothing.
    const outside = others && 1 - inside > 1e-12 ? 1 - inside : 0
    const guided = guideWithin(policy, values, scaled, maxKl === null ? Infinity : maxKl - this.kl, outside)
    if (!guided) {
      this.spent = true
      return greedy ? distribution.argmax() : distribution.draw(this.#candidate.random.next())
    }
    this.kl += stepKl(guided, policy, outside)
    return greedy ? mostProbable(guided) : this.#draw(guided, distribution, outside)
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
    // Candidates come first in the policy's own order of drawing, so that what is beyond their probability is, as a rule, another token.
    let token = distribution.draw(Math.min(1 - (1 - u) / (1 - mass) * outside, 1 - Number.EPSILON))
    while (ranked.some(one => one.token === token)) token = distribution.draw(random.next())
    return token
  }
}

/** The most probable token under guidance, ties by the policy's rank. Centred values lower no candidate without raising another, so that none outside is more probable. */
const mostProbable = ({ ranked }: Guided): number => ranked.reduce((one, other) => other.logProbability > one.logProbability ? other : one).token

/** Draws n answers token by token under guidance, side by side. */
export const tokenGuidance: Strategy<Params> = async function * (runtime, prompt, sampling, params, n) {
  const generation = startGeneration(runtime, prompt, sampling)
  const candidates = await openCandidates(generation, n)
  const answers = candidates.map(candidate => new GuidedAnswer(generation, candidate, params))
  const events = new EventQueue<DecodeEvent>()
  events.endWith(Promise.all(candidates.map(async (candidate, index) => {
    const stream = new TextStream(index)
    while (!candidate.isFinished) {
      runtime.signal.throwIfAborted()
      if (generation.budget.take()) {
        await answers[index]!.step()
        if (params.return_progress) events.push(progress(candidate.drawn, [candidate], []))
      } else candidate.end()
      const event = stream.next(candidate.certainText, candidate.logprobs)
      if (event) events.push(event)
    }
    await scoreAll(generation, [candidate])
    retire(candidate)
    for (const event of finishChoice(stream, index, candidate.choice())) events.push(event)
  })))
  yield * events
  const warnings: Warning[] = answers.some(answer => answer.spent) ? [{ code: 'kl_budget_spent', message: `max_kl of ${params.max_kl} nats was spent; the rest was drawn from the policy` }] : []
  yield endEvent(generation, candidates.map(candidate => candidate.report()), candidates.map(candidate => candidate.choice()), { value: answers.reduce((sum, answer) => sum + answer.kl, 0) / n, kind: 'exact_sampled' }, { warnings })
}
