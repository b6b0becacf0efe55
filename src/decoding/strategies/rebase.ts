/**
 * Reward-balanced search (Wu et al. 2024, arXiv 2408.00724): a tree of fixed width in which better prefixes get more
 * children.
 */
import type { Candidate } from '../candidate.js'
import type { Strategy } from '../request.js'
import { reported } from '../streaming.js'
import { growSteps, Search } from './search.js'
import type { ParametersOf } from './strategy-schemas.js'

/**
 * Children of each node, `width` in all: by reward descending (ties by position) a node gets ⌈W · e^(r/T) / S⌉, where W
 * is the width and S the mass of e^(r/T) that the nodes before left.
 */
export function allocate (rewards: readonly number[], width: number, temperature: number): number[] {
  const largest = Math.max(...rewards)
  const order = rewards.map((_, index) => index).sort((a, b) => rewards[b]! - rewards[a]! || a - b)
  const masses = order.map(index => Math.exp((rewards[index]! - largest) / temperature))
  // Summed from the small end, so that nothing is lost by subtraction.
  const left = masses.map(() => 0)
  for (let rank = masses.length - 1; rank >= 0; rank--) left[rank] = masses[rank]! + (left[rank + 1] ?? 0)
  const children = rewards.map(() => 0)
  let rest = width
  for (const [rank, index] of order.entries()) {
    if (rest === 0) break
    children[index] = Math.min(rest, Math.ceil(rest * masses[rank]! / left[rank]!))
    rest -= children[index]!
  }
  return children
}

/** Splits what answers that have ended leave of the width, step by step; then selects among the answers. */
export const rebase: Strategy<ParametersOf<'rebase'>> = async function * (request, params) {
  const search = new Search(request, params.width)
  const { decoding, population } = search
  const answers: Candidate[] = []
  let grown = await decoding.openCandidates(params.width)
  while (grown.length > 0) {
    search.steps++
    await growSteps(decoding, grown, params.step)
    await decoding.score(grown)
    const ended = grown.filter(candidate => candidate.isFinished)
    await decoding.embed(ended)
    for (const candidate of ended) candidate.close()
    answers.push(...ended)
    yield * reported(ended)
    const live = grown.filter(candidate => !candidate.isFinished)
    const children = live.length === 0
      ? []
      : allocate(live.map(candidate => candidate.score!.value), params.width - answers.length,
        params.allocation_temperature)
    const dropped = live.filter((_, index) => children[index] === 0)
    population.drop(dropped, search.steps)
    yield * search.endStep([...answers, ...live.filter((_, index) => children[index]! > 0)], dropped)
    grown =
      live.flatMap((candidate, index) => children[index]! > 0 ? population.expand(candidate, children[index]!) : [])
  }
  yield * search.endByChoosing(answers, params)
}
