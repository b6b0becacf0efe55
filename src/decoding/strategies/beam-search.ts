/**
 * Reward-weighted beam search: beams grow by sampled steps, the prefixes that the reward ranks first are kept (Snell et
 * al. 2024, arXiv 2408.03314; with one beam, blockwise best-of-K, Mudgal et al. 2023, arXiv 2310.17022). With a step as
 * long as the answer it is best-of-N with N = num_beams · num_children. Several steps between scorings, the last of
 * which branches: VG-Search (Chen et al. 2025, arXiv 2505.11730).
 */
import type { Candidate, Generation } from '../candidate.js'
import {
  byScore, eligible, endEvent, finishChoice, openCandidates, progress, retire, startGeneration, TextStream
} from '../generation.js'
import { scoreAhead } from './look-ahead.js'
import type { KlReport, Random, Strategy } from '../runtime.js'
import { agreedText, growSteps, Population } from './search.js'
import { bestOfNKl, selectSoftmax, softmaxKl, softmaxWeights } from '../selection/selection-rules.js'
import type { ParametersOf } from './strategy-schemas.js'

type Params = ParametersOf<'beam_search'>

/** Children of the beams that go on, grown to the next scoring. A beam that ends on the way has none. */
async function growChildren (
  generation: Generation, population: Population, beams: readonly Candidate[],
  { num_children: count, step, score_every: steps }: Params
): Promise<Candidate[]> {
  const live = beams.filter(beam => !beam.isFinished)
  if (steps > 1) await growSteps(generation, live, step, steps - 1)
  const grown = live.flatMap(beam => beam.isFinished ? [beam] : population.expand(beam, count))
  await growSteps(generation, grown, step)
  return grown
}

/** The best, or a draw without replacement ∝ exp(strength · score). @returns what is kept, best first */
function keep (candidates: readonly Candidate[], params: Params, random: Random): Candidate[] {
  const count = Math.min(params.num_beams, candidates.length)
  const kept = params.keep === 'top'
    ? [...candidates].sort(byScore).slice(0, count)
    : selectSoftmax(weightsOf(candidates, params), count, random).map(index => candidates[index]!)
  return kept.sort(byScore)
}

const weightsOf = (candidates: readonly Candidate[], { strength }: Params): number[] =>
  softmaxWeights(candidates.map(candidate => candidate.score!.value), strength)

/** What one selection costs. The bounds add up over steps for a single beam; wider beams claim none. */
function stepKl (candidates: readonly Candidate[], params: Params): number {
  return params.keep === 'top' ? bestOfNKl(candidates.length) : softmaxKl(weightsOf(candidates, params)).value!
}

/**
 * Keeps `num_beams` prefixes after each step; returns the best. One choice only: beams share tokens, so several would
 * count some twice.
 */
export const beamSearch: Strategy<Params> = async function * (runtime, prompt, sampling, params) {
  const generation = startGeneration(runtime, prompt, sampling)
  const width = params.num_beams * params.num_children
  const population = new Population(generation, width)
  const stream = new TextStream(0)
  const random = runtime.random('selection')
  let beams: Candidate[] = []
  let kl = 0
  let steps = 0
  while (steps === 0 || beams.some(beam => !beam.isFinished)) {
    const first = ++steps === 1
    const grown =
      first ? await openCandidates(generation, width) : await growChildren(generation, population, beams, params)
    if (first) await growSteps(generation, grown, params.step, params.score_every)
    // What is ended before it is scored is scored as the answer it is.
    if (steps === params.max_steps) for (const candidate of grown) candidate.end()
    await scoreAhead(generation, grown, params.lookahead_tokens)
    const rivals = [...beams.filter(beam => !grown.includes(beam)), ...grown]
    const able = eligible(rivals)
    beams = keep(able, params, random)
    kl += stepKl(able, params)
    const dropped = rivals.filter(candidate => !beams.includes(candidate))
    for (const candidate of dropped) yield { type: 'candidate', candidate: population.drop(candidate, steps) }
    for (const beam of beams) if (beam.isFinished) retire(beam)
    if (params.return_progress) yield progress(steps, beams, dropped)
    const agreed = stream.next(agreedText(beams), [])
    if (agreed) yield agreed
  }
  for (const beam of beams) yield { type: 'candidate', candidate: beam.report() }
  const choice = beams[0]!.choice()
  yield { type: 'selection', candidateIndices: [choice.candidateIndex] }
  yield * finishChoice(stream, 0, choice)
  const report: KlReport = params.num_beams > 1
    ? { value: null, kind: null }
    : { value: kl, kind: params.keep === 'top' ? 'upper_bound' : 'bound_estimate' }
  yield endEvent(generation, population.reports(beams), [choice], report)
}
