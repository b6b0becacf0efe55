/**
 * Reward-balanced search (Wu et al. 2024, arXiv 2408.00724): a tree of fixed width in which better prefixes get more
 * children.
 */
import type { Candidate } from '../candidate.js'
import { choose } from '../selection/choose.js'
import {
  eligible, embed, endEvent, finishChoice, openCandidates, progress, retire, scoreAll, startGeneration, TextStream
} from '../generation.js'
import type { Strategy } from '../runtime.js'
import { agreedText, growSteps, Population } from './search.js'
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

/** Shares out what answers that have ended leave of the width, step by step; then selects among the answers. */
export const rebase: Strategy<ParametersOf<'rebase'>> = async function * (runtime, prompt, sampling, params) {
  const generation = startGeneration(runtime, prompt, sampling)
  const population = new Population(generation, params.width)
  const stream = new TextStream(0)
  const answers: Candidate[] = []
  let grown = await openCandidates(generation, params.width)
  for (let steps = 1; grown.length > 0; steps++) {
    await growSteps(generation, grown, params.step)
    await scoreAll(generation, grown)
    const ended = grown.filter(one => one.isFinished)
    await embed(generation, ended)
    for (const candidate of ended) {
      retire(candidate)
      answers.push(candidate)
      yield { type: 'candidate', candidate: candidate.report() }
    }
    const live = grown.filter(candidate => !candidate.isFinished)
    const children = live.length === 0
      ? []
      : allocate(live.map(candidate => candidate.score!.value), params.width - answers.length,
        params.allocation_temperature)
    const kept = live.filter((_, index) => children[index]! > 0)
    const dropped = live.filter((_, index) => children[index] === 0)
    for (const candidate of dropped) yield { type: 'candidate', candidate: population.drop(candidate, steps) }
    if (params.return_progress) yield progress(steps, [...answers, ...kept], dropped)
    const agreed = stream.next(agreedText([...answers, ...kept]), [])
    if (agreed) yield agreed
    grown =
      live.flatMap((candidate, index) => children[index]! > 0 ? population.expand(candidate, children[index]!) : [])
  }
  answers.sort((a, b) => a.index - b.index)
  const rivals = eligible(answers)
  const chosen = choose(rivals, params, 1, runtime.random('selection'))
  const choice = rivals[chosen.positions[0]!]!.choice()
  yield { type: 'selection', candidateIndices: [choice.candidateIndex] }
  yield * finishChoice(stream, 0, choice)
  yield endEvent(generation, population.reports(answers), [choice], { value: null, kind: null }, chosen)
}
