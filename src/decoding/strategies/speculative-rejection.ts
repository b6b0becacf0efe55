/**
 * Speculative rejection (Sun et al. 2024, arXiv 2410.20290): best-of-N that gives up on answers as soon as they look
 * bad. Checkpoints are counted in tokens, not by free memory as in the paper, so that the same request rejects the same
 * candidates everywhere.
 */
import { growAll } from '../budget-split.js'
import { byScore } from '../candidate.js'
import type { Strategy } from '../request.js'
import { reported } from '../streaming.js'
import { closeFinished, Search } from './search.js'
import type { ParametersOf } from './strategy-schemas.js'

/**
 * Draws `num_candidates` answers, rejects the worst at each checkpoint, returns the best of those that are left.
 * Answers that have ended stay in the running.
 */
export const speculativeRejection: Strategy<ParametersOf<'speculative_rejection'>> = async function * (
  request, params
) {
  const { num_candidates: count, reject_fraction: rejected, checkpoints } = params
  const search = new Search(request, count)
  const { decoding, population } = search
  let left = await decoding.openCandidates(count)
  while (left.some(candidate => !candidate.isFinished)) {
    const live = left.filter(candidate => !candidate.isFinished)
    const [from = 0, to = Infinity] = [checkpoints[search.steps - 1], checkpoints[search.steps]]
    await growAll(decoding.budget, live, { tokens: to - from })
    await decoding.score(live)
    closeFinished(live)
    const ranked = [...left].sort(byScore)
    left = to < Infinity ? ranked.slice(0, Math.max(1, Math.round((1 - rejected) * ranked.length))) : ranked
    const dropped = ranked.slice(left.length)
    population.drop(dropped, to)
    search.steps++
    yield * search.endStep(left, dropped)
  }
  yield * reported(left)
  // Which prefix goes on depends on the others: any of the answers begun may be returned.
  yield * search.end(left[0]!, left, { value: Math.log(count), kind: 'upper_bound' })
}
