/** The ways of answering that an evaluation compares: plainly, by every strategy with about as many tokens as best-of-16, and asked for in words. */
import type { Way } from './drawing.js'

/** The tokens that searches are given, in answers of full length. */
const budget = 16

/**
 * The plain pool: what best-of-n of any smaller n is computed from.
 * @param answers size of the pool
 */
export const plainPool = (answers: number): Way => ({ name: 'plain', system: null, alignment: null, answers })

/** One strategy, under a name that the report shows. */
interface Steered { readonly label: string, readonly alignment: Readonly<Record<string, unknown>> }

/**
 * Strategies with parameters that make them draw about `budget` answers' worth of tokens, where they have one; token guidance draws one answer,
 * at two strengths.
 */
function strategies (maxTokens: number): Steered[] {
  const step = { tokens: Math.max(1, Math.round(maxTokens / 3)) }
  const checkpoints = [...new Set([1 / 6, 1 / 3, 2 / 3].map(share => Math.max(1, Math.round(share * maxTokens))))]
  // What a candidate costs on average, in answers: all to the first checkpoint, half of them to the second, …
  const perCandidate = [...checkpoints, maxTokens].reduce((sum, tokens, index) => sum + (tokens - (checkpoints[index - 1] ?? 0)) / 2 ** index, 0) / maxTokens
  return [
    { label: 'best_of_n 4', alignment: { strategy: 'best_of_n', num_candidates: 4 } },
    { label: 'best_of_n 16', alignment: { strategy: 'best_of_n', num_candidates: budget } },
    { label: 'speculative_rejection', alignment: { strategy: 'speculative_rejection', num_candidates: Math.round(budget / perCandidate), checkpoints } },
    { label: 'beam_search 4×4', alignment: { strategy: 'beam_search', num_beams: 4, num_children: 4, step } },
    { label: 'dvts 4×4', alignment: { strategy: 'dvts', num_trees: 4, num_children: 4, step } },
    { label: 'rebase 16', alignment: { strategy: 'rebase', width: budget, step } },
    { label: 'particle_filter 16', alignment: { strategy: 'particle_filter', num_particles: budget, strength: 5, step } },
    { label: 'segment_rejection', alignment: { strategy: 'segment_rejection', max_tries: budget, strength: 5, segment: step } },
    { label: 'token_guidance 5', alignment: { strategy: 'token_guidance', strength: 5 } },
    { label: 'token_guidance 20', alignment: { strategy: 'token_guidance', strength: 20 } }
  ]
}

/** A way that is compared: what the report calls it, and what it draws. */
export interface ComparedWay { readonly label: string, readonly way: Way }

/** The label of the way that nothing steers: the unit of time. */
export const plainLabel = 'plain'

/**
 * Everything that is compared.
 * @param folder where the files of this reward and weight go, relative to the store's
 * @param wish what a system message asks for in place of the reward; null for no prompted baseline
 */
export function comparedWays (folder: string, reward: { readonly name: string, readonly weight: number }, wish: string | null, maxTokens: number): ComparedWay[] {
  const steered = strategies(maxTokens).map(({ label, alignment }) => ({
    label, way: { name: `${folder}/${label.replaceAll(' ', '-').replaceAll('×', 'x')}`, system: null, alignment: { ...alignment, rewards: [reward] }, answers: 1 }
  }))
  return [
    { label: plainLabel, way: { name: 'plain-alone', system: null, alignment: null, answers: 1 } },
    ...steered,
    ...wish === null ? [] : [{ label: 'prompted', way: { name: `${folder}/prompted`, system: wish, alignment: null, answers: 1 } }]
  ]
}
