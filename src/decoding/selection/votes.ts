/**
 * Votes among answers: what an answer says is extracted and made canonical, equal ones are one group. Knows no rewards
 * but as numbers.
 */
import type { Extract } from '../strategies/strategy-schemas.js'

/** What braces hold, from the one that opens at `open`; null if they do not close. */
function braced (text: string, open: number): string | null {
  let depth = 0
  for (let at = open; at < text.length; at++) {
    if (text[at] === '{') depth++
    else if (text[at] === '}' && --depth === 0) return text.slice(open + 1, at)
  }
  return null
}

function lastBoxed (text: string): string | null {
  const at = text.lastIndexOf('\\boxed{')
  return at < 0 ? null : braced(text, at + '\\boxed'.length)
}

const numberPattern = /(?<!\w)[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|(?<!\w)[-+]?\.\d+/g

/** The part of an answer that is voted for; null where there is none. */
function extracted (text: string, extract: Extract): string | null {
  if (typeof extract === 'object') {
    const at = text.lastIndexOf(extract.after)
    return at < 0 ? null : text.slice(at + extract.after.length).trimStart().split('\n', 1)[0]!
  }
  switch (extract) {
    case 'boxed': return lastBoxed(text)
    case 'last_number': return text.match(numberPattern)?.at(-1) ?? null
    case 'last_line': return text.trimEnd().split('\n').at(-1)!
    default: return text
  }
}

/** LaTeX that only sets type, taken off. */
const withoutTypesetting = (text: string): string => text
  .replaceAll(/\\(?:left|right|displaystyle|,|;|!)(?![a-zA-Z])/g, '')
  .replaceAll(/\\(?:text|mathrm|mathbf|textbf)\{([^{}]*)\}/g, '$1')
  .replaceAll(/\\[dt]?frac\{([^{}]+)\}\{([^{}]+)\}/g, '$1/$2')
  .replaceAll(/\\[$%]/g, symbol => symbol.slice(1))

/** One spelling for equal answers: case, spaces, closing marks, LaTeX, and numbers (1,000.0 is 1000; 1/2 is 0.5). */
export function canonical (text: string): string {
  const plain = withoutTypesetting(text).trim().toLowerCase().replaceAll(/\s+/g, ' ').replace(/^\$+|[$.!]+$/g, '')
    .trim()
  const digits = plain.replaceAll(/,(?=\d{3}(?!\d))/g, '').replace(/^\$|%$/g, '')
  const fraction = /^([-+]?\d+(?:\.\d+)?) ?\/ ?(\d+(?:\.\d+)?)$/.exec(digits)
  const value = fraction
    ? Number(fraction[1]) / Number(fraction[2])
    : /^[-+]?(?:\d+\.?\d*|\.\d+)$/.test(digits) ? Number(digits) : NaN
  if (!Number.isFinite(value)) return plain
  return plain.endsWith('%') ? `${value}%` : String(value)
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
