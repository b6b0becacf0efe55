/** What a checked request will take: sequences, tokens that are looked at, answers. */
import { strategyFacts } from './strategy-facts.js'
import type { AlignmentRequest } from './strategy-schemas.js'

/** Whether candidates are compared by their hidden states. */
export const comparesAnswers = (alignment: AlignmentRequest | null): boolean =>
  alignment !== null && 'selection' in alignment &&
    (alignment.selection === 'mbr' || alignment.selection === 'mbr_regularized')

/** For one choice, or for all where they share candidates. */
function times (alignment: AlignmentRequest | null, n: number, count: 'fanOut' | 'grown'): number {
  if (!alignment) return n
  const facts = strategyFacts[alignment.strategy]
  const one = facts[count](alignment as never)
  return facts.sharesChoices ? one : one * n
}

/** Sequences that a request holds at the same time, at most. @param n choices */
export const fanOut = (alignment: AlignmentRequest | null, n: number): number => times(alignment, n, 'fanOut')

/** Tokens that may come next in a sequence and are looked at together, at most. */
export const probed = (alignment: AlignmentRequest | null): number =>
  alignment ? strategyFacts[alignment.strategy].probed?.(alignment as never) ?? 0 : 0

/** Answers that a request lets grow to full length, at most: what the operator's ceiling counts. @param n choices */
export const answersGrown = (alignment: AlignmentRequest | null, n: number): number => times(alignment, n, 'grown')
