/**
 * Particle filtering over answers: particles grow by steps, are weighted by their reward, and resampled where weight gathers on few (Puri et al. 2025,
 * arXiv 2502.01618). With ψ_t = exp(strength · r(y≤t)):
 * - twisted (Zhao et al. 2024, arXiv 2404.17546): a step multiplies the weight by ψ_t / ψ_t−1, which telescopes: the target is π(y) · exp(strength · r(y)).
 * - product: a step multiplies it by ψ_t: the target is π(y) · Π ψ_t.
 * An answer that has ended is weighted no more, or its last factor would depend on how long the others go on.
 */
import type { Candidate } from './candidate.js'
import { byScore, endEvent, finishChoice, openCandidates, progress, retire, scoreAll, startGeneration, TextStream } from './generation.js'
import { effectiveSize, logMeanExp, offspring } from './particles.js'
import type { Random, Strategy } from './runtime.js'
import { agreedText, growSteps, Population } from './search.js'
import { selectSoftmax, softmaxWeights } from './selection.js'
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
const weightsOf = (particles: readonly Particle[]): number[] => softmaxWeights(particles.map(particle => particle.logWeight), 1)

/** Weighs the particles that a step grew. */
function weigh (grown: readonly Particle[], { strength, weighting }: Params): void {
  for (const particle of grown) {
    const potential = strength * particle.candidate.score!.value
    particle.logWeight += weighting === 'twisted' ? potential - particle.logPotential : potential
    particle.logPotential = potential
  }
}

/** Draws the next generation. The dead are dropped before the living fork. */
function resample (particles: readonly Particle[], counts: readonly number[], population: Population, step: number): { next: Particle[], dropped: Candidate[] } {
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

function finalChoice (particles: readonly Particle[], weights: readonly number[], params: Params, random: Random): Candidate {
  if (params.final_choice === 'argmax') return particles.map(particle => particle.candidate).reduce((best, one) => byScore(one, best) < 0 ? one : best)
  return particles[selectSoftmax(weights, 1, random)[0]!]!.candidate
}

/** Runs `num_particles` particles; returns one drawn by weight, or the best. Reports log Ẑ = ln of the mean of exp(strength · r) under the policy, unbiased before the logarithm. */
export const particleFilter: Strategy<Params> = async function * (runtime, prompt, sampling, params) {
  const generation = startGeneration(runtime, prompt, sampling)
  const count = params.num_particles
  const population = new Population(generation, count)
  const stream = new TextStream(0)
  const random = runtime.random('resampling')
  let particles: Particle[] = (await openCandidates(generation, count)).map(candidate => ({ candidate, ancestor: candidate.index, logWeight: 0, logPotential: 0 }))
  let [logZ, resamplings] = [0, 0]
  for (let steps = 1; particles.some(({ candidate }) => !candidate.isFinished); steps++) {
    const grown = particles.filter(({ candidate }) => !candidate.isFinished)
    const candidates = grown.map(particle => particle.candidate)
    await growSteps(generation, candidates, params.step)
    await scoreAll(generation, candidates)
    for (const candidate of candidates) if (candidate.isFinished) retire(candidate)
    weigh(grown, params)
    const weights = weightsOf(particles)
    let dropped: Candidate[] = []
    if (effectiveSize(weights) < params.ess_threshold * count && candidates.some(candidate => !candidate.isFinished)) {
      logZ += logMeanExp(particles.map(particle => particle.logWeight))
      resamplings++
      ;({ next: particles, dropped } = resample(particles, offspring(weights, params.resampling, random), population, steps))
      for (const candidate of dropped) yield { type: 'candidate', candidate: candidate.report() }
    }
    if (params.return_progress) yield progress(steps, [...new Set(particles.map(particle => particle.candidate))], dropped)
    const agreed = stream.next(agreedText(particles.map(particle => particle.candidate)), [])
    if (agreed) yield agreed
  }
  const kept = [...new Set(particles.map(particle => particle.candidate))]
  for (const candidate of kept) yield { type: 'candidate', candidate: candidate.report() }
  const weights = weightsOf(particles)
  const choice = finalChoice(particles, weights, params, runtime.random('selection')).choice()
  yield { type: 'selection', candidateIndices: [choice.candidateIndex] }
  yield * finishChoice(stream, 0, choice)
  const details = {
    log_z: logZ + logMeanExp(particles.map(particle => particle.logWeight)),
    effective_particles: effectiveSize(weights),
    unique_ancestors: new Set(particles.map(particle => particle.ancestor)).size,
    resamplings
  }
  yield endEvent(generation, population.reports(kept), [choice], { value: null, kind: null }, { details })
}
