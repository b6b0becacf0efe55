/**
 * Token-level guidance: each token is drawn from log π(v) + strength · g(value of the prefix with v), over the policy's most probable tokens.
 * One operator for ARGS (arXiv 2402.01694), RAD (2310.09520) and controlled decoding (2310.17022) with a value read by
 * look-ahead: k forks, one token each, one batch. The fork of the token drawn becomes the sequence; nothing is recomputed.
 */
import type { Output, Sequence } from '../engine/sequence.js'
import type { Candidate, Generation } from './candidate.js'
import { drawRanked, SamplingDistribution, type RankedToken } from './distribution.js'
import { EventQueue } from './event-queue.js'
import { endEvent, finishChoice, openCandidates, retire, scoreAll, startGeneration, TextStream } from './generation.js'
import type { TokenGuidanceParams } from './parameters.js'
import type { DecodeEvent, Strategy, Warning } from './runtime.js'

interface Probe { readonly sequence: Sequence, readonly output: Output }

/** g, over the values of the candidates. */
export const transforms: Readonly<Record<TokenGuidanceParams['transform'], (values: readonly number[]) => number[]>> = {
  identity: values => [...values],
  centered: values => {
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length
    return values.map(value => value - mean)
  },
  minmax: values => {
    const [least, largest] = [Math.min(...values), Math.max(...values)]
    return values.map(value => largest === least ? 0 : (value - least) / (largest - least))
  },
  log_sigmoid: values => values.map(value => value > 0 ? -Math.log1p(Math.exp(-value)) : value - Math.log1p(Math.exp(value))),
  clip01: values => values.map(value => Math.min(1, Math.max(0, value)))
}

/** The guided distribution over candidates, by rank of the policy. */
export function guide (policy: readonly RankedToken[], values: readonly number[], strength: number): RankedToken[] {
  const scores = policy.map(({ logProbability }, index) => logProbability + strength * values[index]!)
  const largest = Math.max(...scores)
  const logSum = largest + Math.log(scores.reduce((sum, score) => sum + Math.exp(score - largest), 0))
  return policy.map(({ token }, index) => ({ token, logProbability: scores[index]! - logSum }))
}

/** KL of the guided distribution to the policy, nats: Σ over the candidates of π′ (ln π′ − ln π). */
export function stepKl (guided: readonly RankedToken[], policy: readonly RankedToken[]): number {
  return guided.reduce((sum, { logProbability }, index) => sum + Math.exp(logProbability) * (logProbability - policy[index]!.logProbability), 0)
}

/** The fewest of the most probable tokens that have probability `topP` of what `ranked` holds. */
function nucleus (ranked: readonly RankedToken[], topP: number): readonly RankedToken[] {
  if (topP >= 1) return ranked
  let mass = 0
  const count = ranked.findIndex(({ logProbability }) => (mass += Math.exp(logProbability)) >= topP)
  return count < 0 ? ranked : ranked.slice(0, count + 1)
}

/** Guidance as far as a budget of KL allows: the strength is scaled down, by bisection, until the step costs no more than is left. */
export function guideWithin (policy: readonly RankedToken[], values: readonly number[], strength: number, left: number): RankedToken[] | null {
  const whole = guide(policy, values, strength)
  if (stepKl(whole, policy) <= left) return whole
  if (stepKl(guide(policy, values, 0), policy) > left) return null
  let [low, high] = [0, 1]
  for (let i = 0; i < 40; i++) {
    const middle = (low + high) / 2
    if (stepKl(guide(policy, values, strength * middle), policy) <= left) low = middle
    else high = middle
  }
  return guide(policy, values, strength * low)
}

class GuidedAnswer {
  readonly #generation: Generation
  readonly #candidate: Candidate
  readonly #params: TokenGuidanceParams
  /** Nats spent along the path. */
  kl = 0
  /** Whether the budget of KL ended guidance. */
  spent = false

  constructor (generation: Generation, candidate: Candidate, params: TokenGuidanceParams) {
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
      const values = await this.#values(policy, probes)
      const token = this.#choose(distribution, policy, values)
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

  async #values (policy: readonly RankedToken[], probes: ReadonlyMap<number, Probe>): Promise<number[]> {
    const { runtime, prompt } = this.#generation
    const unfed = { sequence: this.#candidate.sequence, output: this.#candidate.output }
    const answers = policy.map(({ token }) => this.#candidate.extended(token, probes.get(token) ?? unfed))
    const scores = await runtime.scorer!.score(prompt, answers)
    return transforms[this.#params.transform](scores.map(score => score.value))
  }

  #choose (distribution: SamplingDistribution, policy: readonly RankedToken[], values: readonly number[]): number {
    const { strength, max_kl: maxKl } = this.#params
    const guided = guideWithin(policy, values, strength, maxKl === null ? Infinity : maxKl - this.kl)
    const greedy = this.#generation.sampling.temperature === 0
    if (!guided) {
      this.spent = true
      return greedy ? distribution.argmax() : distribution.draw(this.#candidate.random.next())
    }
    this.kl += stepKl(guided, policy)
    if (!greedy) return drawRanked(guided, this.#candidate.random.next())
    return guided.reduce((best, one) => one.logProbability > best.logProbability ? one : best).token
  }
}

/** Draws n answers token by token under guidance, side by side. */
export const tokenGuidance: Strategy<TokenGuidanceParams> = async function * (runtime, prompt, sampling, params, n) {
  const generation = startGeneration(runtime, prompt, sampling)
  const candidates = await openCandidates(generation, n, n * (params.candidates.top_k + 1))
  const answers = candidates.map(candidate => new GuidedAnswer(generation, candidate, params))
  const events = new EventQueue<DecodeEvent>()
  events.endWith(Promise.all(candidates.map(async (candidate, index) => {
    const stream = new TextStream(index)
    while (!candidate.isFinished) {
      runtime.signal.throwIfAborted()
      if (generation.budget.take()) await answers[index]!.step()
      else candidate.end()
      const event = stream.next(candidate.certainText, candidate.logprobs)
      if (event) events.push(event)
    }
    await scoreAll(generation, [candidate])
    retire(candidate)
    for (const event of finishChoice(stream, index, candidate.choice())) events.push(event)
  })))
  yield * events
  const warnings: Warning[] = answers.some(answer => answer.spent) ? [{ code: 'kl_budget_spent', message: `max_kl of ${params.max_kl} nats was spent; the rest was drawn from the policy` }] : []
  yield endEvent(generation, candidates, candidates.map(candidate => candidate.choice()), { value: answers.reduce((sum, answer) => sum + answer.kl, 0) / n, kind: 'exact_sampled' }, warnings)
}
