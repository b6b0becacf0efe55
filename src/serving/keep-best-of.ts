/** OpenAI's legacy `best_of`: of the answers drawn, the n with the highest mean token logprob. */
import type { Choice } from '../decoding/result.js'

/** An answer that got no tokens because the budget was used up ranks below any other. */
const meanLogprob = ({ logprob, completionTokens }: Choice): number =>
  completionTokens === 0 ? -Infinity : logprob / completionTokens

/** The n best choices, best first, ties by lower candidate index; all of them, as they are, where there are no more. */
export function keepBest (choices: readonly Choice[], n: number): readonly Choice[] {
  if (choices.length <= n) return choices
  return [...choices].sort((a, b) => meanLogprob(b) - meanLogprob(a) || a.candidateIndex - b.candidateIndex).slice(0, n)
}
