/**
 * Reward-weighted beam search: beams grow by sampled steps, the prefixes that the reward ranks first are kept (Snell et
 * al. 2024, arXiv 2408.03314; with one beam, blockwise best-of-K, Mudgal et al. 2023, arXiv 2310.17022). With a step as
 * long as the answer it is best-of-N with N = num_beams · num_children. Several steps between scorings, the last of
 * which branches: VG-Search (Chen et al. 2025, arXiv 2505.11730).
 */
import type { Random } from '../../policies/random-stream.js'
import { byScore, eligible, type Candidate } from '../candidate.js'
import { unknownKl } from '../decoding.js'
import type { Strategy } from '../request.js'
import { bestOfNKl, selectSoftmax, softmaxKl, softmaxWeights } from '../selection/selection-rules.js'
import { reported } from '../streaming.js'
import { scoreAhead } from './look-ahead.js'
import { closeFinished, growSteps, Search } from './search.js'
import type { ParametersOf } from './strategy-schemas.js'

type Params = ParametersOf<'beam_search'>

/** The first beams' candidates, grown to the first scoring. */
async function growFirst (
  { decoding }: Search, { num_beams: beams, num_children: children, step, score_every: steps }: Params
): Promise<Candidate[]> {
  const grown = await decoding.openCandidates(beams * children)
  await growSteps(decoding, grown, step, steps)
  return grown
}

/** Children of the beams that go on, grown to the next scoring. A beam that ends on the way has none. */
async function growChildren (
  { decoding, population }: Search, beams: readonly Candidate[],
  { num_children: count, step, score_every: steps }: Params
): Promise<Candidate[]> {
  const live = beams.filter(beam => !beam.isFinished)
  if (steps > 1) await growSteps(decoding, live, step, steps - 1)
  const grown = live.flatMap(beam => beam.isFinished ? [beam] : population.expand(beam, count))
  await growSteps(decoding, grown, step)
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
export const beamSearch: Strategy<Params> = async function * (request, params) {
  const search = new Search(request, params.num_beams * params.num_children)
  const random = request.random('selection')
  let beams: Candidate[] = []
  let kl = 0
  while (search.steps === 0 || beams.some(beam => !beam.isFinished)) {
    search.steps++
    const grown = search.steps === 1 ? await growFirst(search, params) : await growChildren(search, beams, params)
    // What is ended before it is scored is scored as the answer it is.
    if (search.steps === params.max_steps) for (const candidate of grown) candidate.end()
    await scoreAhead(search.decoding, grown, params.lookahead_tokens)
    const rivals = [...beams.filter(beam => !grown.includes(beam)), ...grown]
    const able = eligible(rivals)
    beams = keep(able, params, random)
    kl += stepKl(able, params)
    const dropped = rivals.filter(candidate => !beams.includes(candidate))
    search.population.drop(dropped, search.steps)
    closeFinished(beams)
    yield * search.endStep(beams, dropped)
  }
  yield * reported(beams)
  yield * search.end(beams[0]!, beams, params.num_beams > 1
    ? unknownKl
    : { value: kl, kind: params.keep === 'top' ? 'upper_bound' : 'bound_estimate' })
}
