/**
 * Diverse verifier tree search: independent trees, each a beam search with one beam, so that no tree drives out another
 * (Beeching, Tunstall and Rush 2024, Scaling test-time compute with open models). The siblings that a tree ends in are
 * all candidates.
 */
import type { Candidate } from '../candidate.js'
import { choose } from '../selection/choose.js'
import {
  byScore, eligible, embed, endEvent, finishChoice, openCandidates, progress, retire, startGeneration, TextStream
} from '../generation.js'
import { scoreAhead } from './look-ahead.js'
import type { CandidateReport, Strategy } from '../runtime.js'
import { agreedText, growSteps, Population } from './search.js'
import type { ParametersOf } from './strategy-schemas.js'

class Tree {
  readonly #population: Population
  /** The beam, in a tree that goes on. */
  beam: Candidate | null = null
  /** Siblings of the last step that ended, the beam among them, best first. */
  answers: Candidate[] = []
  /** Children of the step at hand. */
  children: Candidate[]

  constructor (population: Population, children: Candidate[]) {
    this.#population = population
    this.children = children
  }

  branch (count: number): Candidate[] {
    this.children = this.#population.expand(this.beam!, count)
    return this.children
  }

  /**
   * Keeps the best child. If it has ended, so has the tree: its siblings that ended, too, stay.
   * @returns reports of those dropped
   */
  keepBest (step: number): Array<{ candidate: Candidate, report: CandidateReport }> {
    const ranked = [...this.children].sort(byScore)
    const ends = ranked[0]!.isFinished
    this.beam = ends ? null : ranked[0]!
    this.answers = ends ? ranked.filter(child => child.isFinished) : []
    return ranked.filter(child => child !== this.beam && !this.answers.includes(child))
      .map(candidate => ({ candidate, report: this.#population.drop(candidate, step) }))
  }

  /** What may yet be returned of this tree, or become it. */
  get survivors (): readonly Candidate[] { return this.beam ? [this.beam] : this.answers }
}

/** Grows `num_trees` trees in the same steps, then selects among the answers. */
export const dvts: Strategy<ParametersOf<'dvts'>> = async function * (runtime, prompt, sampling, params) {
  const generation = startGeneration(runtime, prompt, sampling)
  const { num_trees: count, num_children: children, step } = params
  const first = await openCandidates(generation, count * children)
  const population = new Population(generation, first.length)
  const trees = Array.from({ length: count }, (_, tree) =>
    new Tree(population, first.slice(tree * children, (tree + 1) * children)))
  const stream = new TextStream(0)
  let live = trees
  for (let steps = 1; live.length > 0; steps++) {
    const grown = steps === 1 ? first : live.flatMap(tree => tree.branch(children))
    await growSteps(generation, grown, step)
    await scoreAhead(generation, grown, params.lookahead_tokens)
    const dropped = live.flatMap(tree => tree.keepBest(steps))
    const ended = live.flatMap(tree => tree.answers)
    await embed(generation, ended)
    for (const answer of ended) retire(answer)
    for (const { report } of dropped) yield { type: 'candidate', candidate: report }
    if (params.return_progress) {
      yield progress(steps, live.flatMap(tree => tree.survivors), dropped.map(one => one.candidate))
    }
    live = live.filter(tree => tree.beam)
    const agreed = stream.next(agreedText(trees.flatMap(tree => tree.survivors)), [])
    if (agreed) yield agreed
  }
  const candidates = trees.flatMap(tree => tree.answers).sort((a, b) => a.index - b.index)
  for (const candidate of candidates) yield { type: 'candidate', candidate: candidate.report() }
  const rivals = eligible(candidates)
  const chosen = choose(rivals, params, 1, runtime.random('selection'))
  const choice = rivals[chosen.positions[0]!]!.choice()
  yield { type: 'selection', candidateIndices: [choice.candidateIndex] }
  yield * finishChoice(stream, 0, choice)
  yield endEvent(generation, population.reports(candidates), [choice], { value: null, kind: null }, chosen)
}
