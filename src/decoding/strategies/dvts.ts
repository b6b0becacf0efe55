/**
 * Diverse verifier tree search: independent trees, each a beam search with one beam, so that no tree drives out another
 * (Beeching, Tunstall and Rush 2024, Scaling test-time compute with open models). The siblings that a tree ends in are
 * all candidates.
 */
import { byScore, type Candidate } from '../candidate.js'
import type { Strategy } from '../request.js'
import { reported } from '../streaming.js'
import { scoreAhead } from './look-ahead.js'
import { growSteps, Search, type Population } from './search.js'
import type { ParametersOf } from './strategy-schemas.js'

class Tree {
  /** The beam, in a tree that goes on. */
  beam: Candidate | null = null
  /** Siblings of the last step that ended, the beam among them, best first. */
  answers: Candidate[] = []
  /** Children of the step at hand. */
  children: Candidate[]

  constructor (children: Candidate[]) { this.children = children }

  branch (population: Population, count: number): Candidate[] {
    this.children = population.expand(this.beam!, count)
    return this.children
  }

  /** Keeps the best child. If it has ended, so has the tree: its siblings that ended, too, stay. @returns the others */
  keepBest (): Candidate[] {
    const ranked = [...this.children].sort(byScore)
    const ends = ranked[0]!.isFinished
    this.beam = ends ? null : ranked[0]!
    this.answers = ends ? ranked.filter(child => child.isFinished) : []
    return ranked.filter(child => !this.survivors.includes(child))
  }

  /** What may yet be returned of this tree, or become it. */
  get survivors (): readonly Candidate[] { return this.beam ? [this.beam] : this.answers }
}

/** Grows `num_trees` trees in the same steps, then selects among the answers. */
export const dvts: Strategy<ParametersOf<'dvts'>> = async function * (request, params) {
  const { num_trees: count, num_children: children, step } = params
  const search = new Search(request, count * children)
  const { decoding, population } = search
  const first = await decoding.openCandidates(count * children, index => Math.floor(index / children))
  const trees =
    Array.from({ length: count }, (_, tree) => new Tree(first.slice(tree * children, (tree + 1) * children)))
  for (let live = trees; live.length > 0; live = live.filter(tree => tree.beam)) {
    search.steps++
    const grown = search.steps === 1 ? first : live.flatMap(tree => tree.branch(population, children))
    await growSteps(decoding, grown, step)
    await scoreAhead(decoding, grown, params.lookahead_tokens)
    const dropped = live.flatMap(tree => tree.keepBest())
    population.drop(dropped, search.steps)
    const ended = live.flatMap(tree => tree.answers)
    await decoding.embed(ended)
    for (const answer of ended) answer.close()
    yield * search.endStep(live.flatMap(tree => tree.survivors), dropped, trees.flatMap(tree => tree.survivors))
  }
  const answers = trees.flatMap(tree => tree.answers).sort((a, b) => a.index - b.index)
  yield * reported(answers)
  yield * search.endByChoosing(answers, params)
}
