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
import type { Candidate, Generation } from '../candidate.js'
import {
  byScore, candidatesFrom, eligible, endEvent, finishChoice, openPrompt, progress, retire, scoreAll, startGeneration,
  TextStream
} from '../generation.js'
import { conditionalOffspring, effectiveSize, logMeanExp, offspring } from './particles.js'
import type { Random, Strategy } from '../runtime.js'
import { agreedText, growSteps, Population } from './search.js'
import { selectSoftmax, softmaxWeights } from '../selection/selection-rules.js'
import type { ParametersOf } from './strategy-schemas.js'

type Params = ParametersOf<'particle_filter'>

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
  for (const candidate of dropped) population.drop(candidate, step)
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
  readonly #generation: Generation
  readonly #population: Population
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
    generation: Generation, population: Population, params: Params, random: Random, candidates: readonly Candidate[],
    retained: Candidate | null
  ) {
    this.#generation = generation
    this.#population = population
    this.#params = params
    this.#random = random
    this.#isConditional = retained !== null
    if (retained) candidates[0]!.follow(retained.tokenIds)
    this.particles =
      candidates.map(candidate => ({ candidate, ancestor: candidate.index, logWeight: 0, logPotential: 0 }))
  }

  get isDone (): boolean { return this.particles.every(({ candidate }) => candidate.isFinished) }

  /** One step of all particles that go on. @param number of the step @returns the candidates that were dropped */
  async step (number: number): Promise<Candidate[]> {
    const grown = this.particles.filter(({ candidate }) => !candidate.isFinished)
    const candidates = grown.map(particle => particle.candidate)
    await growSteps(this.#generation, candidates, this.#params.step)
    await scoreAll(this.#generation, candidates)
    for (const candidate of candidates) if (candidate.isFinished) retire(candidate)
    weigh(grown, this.#params)
    const unbegun = this.#dropUnbegun(number)
    return this.isDone ? unbegun : [...unbegun, ...this.#resample(number)]
  }

  /** Particles that were never begun stand for nothing. */
  #dropUnbegun (step: number): Candidate[] {
    const candidates = candidatesOf(this.particles)
    const able = eligible(candidates)
    this.particles = this.particles.filter(({ candidate }) => able.includes(candidate))
    const dropped = candidates.filter(candidate => !able.includes(candidate))
    for (const candidate of dropped) this.#population.drop(candidate, step)
    return dropped
  }

  #resample (step: number): Candidate[] {
    const weights = weightsOf(this.particles)
    const { ess_threshold: threshold, resampling } = this.#params
    if (effectiveSize(weights) >= threshold * weights.length) return []
    this.logZ += logMeanExp(this.particles.map(particle => particle.logWeight))
    this.resamplings++
    const counts = (this.#isConditional ? conditionalOffspring : offspring)(weights, resampling, this.#random)
    const { next, dropped } = resample(this.particles, counts, this.#population, step)
    this.particles = this.#isConditional ? shifted(next, counts[0]!, this.#random) : next
    return dropped
  }

  /**
   * ln of an estimate of the mean of the target's factor under the policy, unbiased before the logarithm where nothing
   * was retained.
   */
  get evidence (): number { return this.logZ + logMeanExp(this.particles.map(particle => particle.logWeight)) }
}

/**
 * Runs `num_particles` particles; returns one drawn by weight, or the best. With `num_iterations` above 1 the one drawn
 * is retained while the others are drawn anew, again and again. A pass that a budget cuts short is left out where an
 * answer was retained. Reports log Ẑ = ln of the mean of exp(strength · r) under the policy, of the first pass.
 */
export const particleFilter: Strategy<Params> = async function * (runtime, prompt, sampling, params) {
  const generation = startGeneration(runtime, prompt, sampling)
  const { num_particles: count, num_iterations: iterations } = params
  const population = new Population(generation, 0)
  const stream = new TextStream(0)
  const [resampling, selection] = [runtime.random('resampling'), runtime.random('selection')]
  const open = await openPrompt(generation)
  const ended: Candidate[] = []
  let chosen: Candidate | null = null
  let [steps, resamplings, moves, logZ] = [0, 0, 0, 0]
  let pass: Pass
  for (let iteration = 1; ; iteration++) {
    const last = iteration === iterations
    pass = new Pass(generation, population, params, resampling,
      candidatesFrom(generation, open, population.take(count), count, last), chosen)
    while (!pass.isDone) {
      const dropped = await pass.step(++steps)
      for (const candidate of dropped) yield { type: 'candidate', candidate: candidate.report() }
      if (params.return_progress) yield progress(steps, candidatesOf(pass.particles), dropped)
      const agreed = last ? stream.next(agreedText(candidatesOf(pass.particles)), []) : null
      if (agreed) yield agreed
    }
    resamplings += pass.resamplings
    if (iteration === 1) logZ = pass.evidence
    for (const candidate of candidatesOf(pass.particles)) yield { type: 'candidate', candidate: candidate.report() }
    ended.push(...candidatesOf(pass.particles))
    const isCut = generation.budget.stoppedBy !== null
    const ends = last || generation.budget.isSpent()
    if (!chosen || !isCut) {
      const next: Candidate =
        ends ? finalChoice(pass.particles, params, selection) : drawByWeight(pass.particles, selection)
      if (chosen && next !== pass.particles[0]!.candidate) moves++
      chosen = next
    }
    if (ends) break
  }
  open.root.close()
  const choice = chosen.choice()
  yield { type: 'selection', candidateIndices: [choice.candidateIndex] }
  yield * finishChoice(stream, 0, choice)
  const details = {
    log_z: logZ,
    effective_particles: effectiveSize(weightsOf(pass.particles)),
    unique_ancestors: new Set(pass.particles.map(particle => particle.ancestor)).size,
    resamplings,
    ...(iterations > 1 ? { moves } : {})
  }
  yield endEvent(generation, population.reports(ended), [choice], { value: null, kind: null }, { details })
}
