/**
 * Votes among answers: what an answer says is extracted and made canonical (`answers/`), equal ones are one group.
 * Knows no rewards but as numbers.
 */
import { canonical } from '../../answers/canonical.js'
import { lastBoxed, lastNumber } from '../../answers/extract.js'
import type { Extract } from '../strategies/strategy-schemas.js'

/** The part of an answer that is voted for; null where there is none. */
function extracted (text: string, extract: Extract): string | null {
  if (typeof extract === 'object') {
    const at = text.lastIndexOf(extract.after)
    return at < 0 ? null : text.slice(at + extract.after.length).trimStart().split('\n', 1)[0]!
  }
  switch (extract) {
    case 'boxed': return lastBoxed(text)
    case 'last_number': return lastNumber(text)
    case 'last_line': return text.trimEnd().split('\n').at(-1)!
    default: return text
  }
}

/** Answers that say the same. */
export interface VoteGroup {
  /** Canonical; null for those that say nothing that can be voted for. */
  readonly answer: string | null
  /** Indices of its answers, ascending. */
  readonly members: readonly number[]
}

/** Vote groups in the order in which they first appear. Equal texts are counted each. */
export function voteGroups (texts: readonly string[], extract: Extract): VoteGroup[] {
  const members = new Map<string | null, number[]>()
  for (const [index, text] of texts.entries()) {
    const part = extracted(text, extract)
    const answer = part === null || part.trim() === '' ? null : canonical(part)
    members.set(answer, [...members.get(answer) ?? [], index])
  }
  return [...members].map(([answer, indices]) => ({ answer, members: indices }))
}

/**
 * The group with the most votes, ties by first appearance; one that says nothing wins only where there is no other.
 * @param votes one per answer
 */
export function winner (groups: readonly VoteGroup[], votes: readonly number[]): VoteGroup {
  const speaking = groups.filter(group => group.answer !== null)
  const weigh = ({ members }: VoteGroup): number => members.reduce((sum, index) => sum + votes[index]!, 0)
  return (speaking.length > 0 ? speaking : groups).reduce((best, group) => weigh(group) > weigh(best) ? group : best)
}
