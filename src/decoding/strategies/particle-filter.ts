/**
 * Particle filtering over answers: particles grow by steps, are weighted by their reward, and resampled where weight
 * gathers on few (Puri et al. 2025, arXiv 2502.01618). With ψ_t = exp(strength · r(y≤t)):
 * - twisted (Zhao et al. 2024, arXiv 2404.17546): a step multiplies the weight by ψ_t / ψ_t−1, which telescopes: the
 * target is π(y) · exp(strength · r(y)).
 * - product: a step multiplies it by ψ_t: the target is π(y) · Π ψ_t.
 * An answer that has ended is weighted no more, or its last factor would depend on how long the others go on.
 *
 * Particle Gibbs (Andrieu, Doucet and Holenstein 2010): one particle of a pass, drawn by weight, is retained in the
 * next, which all others are drawn anew for, given that it lives. Each pass leaves the target as it is, so that with
 * more passes few particles come as close to it as many.
 */
import type { Recorder } from '../../journal/recorder.js'
import type { Random } from '../../policies/random-stream.js'
import { byScore, eligible, type Candidate } from '../candidate.js'
import { unknownKl } from '../decoding.js'
import type { DecodeEvent } from '../events.js'
import type { Strategy } from '../request.js'
import { selectSoftmax, softmaxWeights } from '../selection/selection-rules.js'
import { reported } from '../streaming.js'
import { conditionalOffspring, effectiveSize, logMeanExp, offspring } from './particles.js'
import { closeFinished, growSteps, Search, type Population } from './search.js'
import type { ParametersOf } from './strategy-schemas.js'

type Params = ParametersOf<'particle_filter'>

/** What a step did beside growing particles. */
interface Stepped { readonly dropped: readonly Candidate[], readonly told: Parameters<Recorder['step']>[3] }

interface Particle {
  /** One that has ended may stand for several particles: nothing is drawn for it any more. */
  readonly candidate: Candidate
  /** The particle of the first step that it comes from. */
  readonly ancestor: number
  /** Since the last resampling. */
  logWeight: number
  /** ln ψ of its last step. */
  logPotential: number
}

/** Weights, normalised. */
const weightsOf = (particles: readonly Particle[]): number[] =>
  softmaxWeights(particles.map(particle => particle.logWeight), 1)

/** What each candidate's particles add up to. */
function byCandidate (particles: readonly Particle[], counts: readonly number[]): Array<[index: number, sum: number]> {
  const sums = new Map<number, number>()
  for (const [place, { candidate: { index } }] of particles.entries()) {
    sums.set(index, (sums.get(index) ?? 0) + counts[place]!)
  }
  return [...sums]
}

/** Weighs the particles that a step grew. */
function weigh (grown: readonly Particle[], { strength, weighting }: Params): void {
  for (const particle of grown) {
    const potential = strength * particle.candidate.score!.value
    particle.logWeight += weighting === 'twisted' ? potential - particle.logPotential : potential
    particle.logPotential = potential
  }
}

/**
 * Copies at the front that go on from the retained particle, some of them moved to the end: where among its copies it
 * stands is drawn, as systematic resampling asks.
 */
function shifted (next: readonly Particle[], copies: number, random: Random): Particle[] {
  const [retained, ...others] = next
  const moved = Math.floor(random.next() * copies)
  return [retained!, ...others.slice(moved), ...others.slice(0, moved)]
}

/** Draws the next generation. The dead are dropped before the living fork. */
function resample (
  particles: readonly Particle[], counts: readonly number[], population: Population, step: number
): { next: Particle[], dropped: Candidate[] } {
  const alive = new Set(particles.filter((_, index) => counts[index]! > 0).map(particle => particle.candidate))
  const dropped = [...new Set(particles.map(particle => particle.candidate))].filter(candidate => !alive.has(candidate))
  population.drop(dropped, step)
  const next = particles.flatMap((particle, index) => Array.from({ length: counts[index]! }, (_, copy) => ({
    ...particle,
    candidate: copy === 0 || particle.candidate.isFinished ? particle.candidate : population.fork(particle.candidate),
    logWeight: 0
  })))
  return { next, dropped }
}

const candidatesOf = (particles: readonly Particle[]): Candidate[] =>
  [...new Set(particles.map(particle => particle.candidate))]

function finalChoice (particles: readonly Particle[], params: Params, random: Random): Candidate {
  if (params.final_choice === 'argmax') {
    return candidatesOf(particles).reduce((best, one) => byScore(one, best) < 0 ? one : best)
  }
  return drawByWeight(particles, random)
}

const drawByWeight = (particles: readonly Particle[], random: Random): Candidate =>
  particles[selectSoftmax(weightsOf(particles), 1, random)[0]!]!.candidate

/** A run of all particles from the prompt to the end of their answers. */
class Pass {
  readonly #search: Search
  readonly #params: Params
  readonly #random: Random
  readonly #isConditional: boolean
  particles: Particle[]
  logZ = 0
  resamplings = 0

  /**
   * @param candidates one per particle
   * @param retained an answer that the first of them follows, and that is never lost; null for none
   */
  constructor (
    search: Search, params: Params, random: Random, candidates: readonly Candidate[], retained: Candidate | null
  ) {
    this.#search = search
    this.#params = params
    this.#random = random
    this.#isConditional = retained !== null
    if (retained) candidates[0]!.generation.follow(retained.generation.transcript)
    this.particles =
      candidates.map(candidate => ({ candidate, ancestor: candidate.index, logWeight: 0, logPotential: 0 }))
  }

  get candidates (): Candidate[] { return candidatesOf(this.particles) }
  get isDone (): boolean { return this.particles.every(({ candidate }) => candidate.isFinished) }

  /** Runs to the end. @param isShown whether its answer is the one that is returned */
  async * run (isShown: boolean): AsyncGenerator<DecodeEvent> {
    while (!this.isDone) {
      this.#search.steps++
      const { dropped, told } = await this.#step()
      yield * this.#search.endStep(this.candidates, dropped, isShown ? this.candidates : null, told)
    }
    yield * reported(this.candidates)
  }

  /** One step of all particles that go on. */
  async #step (): Promise<Stepped> {
    const { decoding } = this.#search
    const grown = this.particles.filter(({ candidate }) => !candidate.isFinished)
    const candidates = grown.map(particle => particle.candidate)
    await growSteps(decoding, candidates, this.#params.step)
    await decoding.score(candidates)
    closeFinished(candidates)
    weigh(grown, this.#params)
    const unbegun = this.#dropUnbegun()
    const weights = weightsOf(this.particles)
    decoding.request.journal?.weigh(byCandidate(this.particles, weights), effectiveSize(weights))
    if (this.isDone) return { dropped: unbegun, told: {} }
    const { dropped, told } = this.#resample(weights)
    return { dropped: [...unbegun, ...dropped], told }
  }

  /** Particles that were never begun stand for nothing. */
  #dropUnbegun (): Candidate[] {
    const { candidates } = this
    const able = eligible(candidates)
    this.particles = this.particles.filter(({ candidate }) => able.includes(candidate))
    const dropped = candidates.filter(candidate => !able.includes(candidate))
    this.#search.population.drop(dropped, this.#search.steps)
    return dropped
  }

  #resample (weights: readonly number[]): Stepped {
    const { ess_threshold: threshold, resampling } = this.#params
    const bound = threshold * weights.length
    if (effectiveSize(weights) >= bound) return { dropped: [], told: { bound } }
    this.logZ += logMeanExp(this.particles.map(particle => particle.logWeight))
    this.resamplings++
    const counts = (this.#isConditional ? conditionalOffspring : offspring)(weights, resampling, this.#random)
    const { next, dropped } = resample(this.particles, counts, this.#search.population, this.#search.steps)
    const resampled = this.#search.decoding.request.journal && byCandidate(this.particles, counts)
    this.particles = this.#isConditional ? shifted(next, counts[0]!, this.#random) : next
    return { dropped, told: resampled ? { bound, resampled } : {} }
  }

  /**
   * ln of an estimate of the mean of the target's factor under the policy, unbiased before the logarithm where nothing
   * was retained.
   */
  get evidence (): number { return this.logZ + logMeanExp(this.particles.map(particle => particle.logWeight)) }
}

/** What the passes so far came to. */
class Chain {
  /** The answer that is retained, or returned. */
  chosen: Candidate | null = null
  readonly ended: Candidate[] = []
  resamplings = 0
  /** How often the answer changed. */
  moves = 0
  logZ = 0

  /**
   * Adds a pass that has ended and draws its answer. One that a budget cut short is left out where an answer was
   * retained.
   */
  add (pass: Pass, isCut: boolean, draw: (particles: readonly Particle[]) => Candidate): void {
    if (!this.chosen) this.logZ = pass.evidence
    this.resamplings += pass.resamplings
    this.ended.push(...pass.candidates)
    if (this.chosen && isCut) return
    const next = draw(pass.particles)
    if (this.chosen && next !== pass.particles[0]!.candidate) this.moves++
    this.chosen = next
  }
}

/**
 * Runs `num_particles` particles; returns one drawn by weight, or the best. With `num_iterations` above 1 the one drawn
 * is retained while the others are drawn anew, again and again. Reports log Ẑ = ln of the mean of exp(strength · r)
 * under the policy, of the first pass.
 */
export const particleFilter: Strategy<Params> = async function * (request, params) {
  const { num_particles: count, num_iterations: iterations } = params
  const search = new Search(request, 0)
  const { decoding, population } = search
  const [resampling, selection] = [request.random('resampling'), request.random('selection')]
  const prompt = await decoding.openPrompt()
  const chain = new Chain()
  let pass: Pass
  for (let iteration = 1, isLast = false; !isLast; iteration++) {
    const isShown = iteration === iterations
    const candidates = decoding.begin(prompt, population.take(count), count, isShown,
      iterations > 1 ? () => iteration - 1 : undefined)
    pass = new Pass(search, params, resampling, candidates, chain.chosen)
    yield * pass.run(isShown)
    const isCut = decoding.budget.stoppedBy !== null
    isLast = isShown || decoding.budget.isUsedUp()
    chain.add(pass, isCut, particles =>
      isLast ? finalChoice(particles, params, selection) : drawByWeight(particles, selection))
  }
  prompt.close()
  yield * search.end(chain.chosen!, chain.ended, unknownKl, {
    details: {
      log_z: chain.logZ,
      effective_particles: effectiveSize(weightsOf(pass!.particles)),
      unique_ancestors: new Set(pass!.particles.map(particle => particle.ancestor)).size,
      resamplings: chain.resamplings,
      ...(iterations > 1 ? { moves: chain.moves } : {})
    }
  })
}
