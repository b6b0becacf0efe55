/**
 * Speculative rejection (Sun et al. 2024, arXiv 2410.20290): best-of-N that gives up on answers as soon as they look
 * bad. Checkpoints are counted in tokens, not by free memory as in the paper, so that the same request rejects the same
 * candidates everywhere.
 */
import type { Candidate } from '../candidate.js'
import {
  byScore, endEvent, finishChoice, openCandidates, progress, retire, scoreAll, startGeneration, TextStream
} from '../generation.js'
import type { Strategy } from '../runtime.js'
import { agreedText, Population } from './search.js'
import { after, growAll } from '../budget-split.js'
import type { ParametersOf } from './strategy-schemas.js'

/**
 * Draws `num_candidates` answers, rejects the worst at each checkpoint, returns the best of those that are left.
 * Answers that have ended stay in the running.
 */
export const speculativeRejection: Strategy<ParametersOf<'speculative_rejection'>> = async function * (
  runtime, prompt, sampling, params
) {
  const generation = startGeneration(runtime, prompt, sampling)
  const { num_candidates: count, reject_fraction: rejected, checkpoints } = params
  const population = new Population(generation, count)
  const stream = new TextStream(0)
  let left: Candidate[] = await openCandidates(generation, count)
  for (let round = 0; left.some(candidate => !candidate.isFinished); round++) {
    const live = left.filter(candidate => !candidate.isFinished)
    const tokens = (checkpoints[round] ?? Infinity) - (checkpoints[round - 1] ?? 0)
    await growAll(generation.budget, live, () => after(tokens))
    await scoreAll(generation, live)
    for (const candidate of live) if (candidate.isFinished) retire(candidate)
    const ranked = [...left].sort(byScore)
    left =
      round < checkpoints.length ? ranked.slice(0, Math.max(1, Math.round((1 - rejected) * ranked.length))) : ranked
    const dropped = ranked.slice(left.length)
    for (const candidate of dropped) {
      yield { type: 'candidate', candidate: population.drop(candidate, checkpoints[round]!) }
    }
    if (params.return_progress) yield progress(round + 1, left, dropped)
    const agreed = stream.next(agreedText(left), [])
    if (agreed) yield agreed
  }
  for (const candidate of left) yield { type: 'candidate', candidate: candidate.report() }
  const choice = left[0]!.choice()
  yield { type: 'selection', candidateIndices: [choice.candidateIndex] }
  yield * finishChoice(stream, 0, choice)
  // Which prefix goes on depends on the others: any of the answers begun may be returned.
  yield endEvent(generation, population.reports(left), [choice], { value: Math.log(count), kind: 'upper_bound' })
}
