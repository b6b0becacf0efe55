/**
 * Draws a search in the terminal: a line per step while it runs, the tree of candidates when it has ended. Pure text;
 * knows no terminal.
 */
import type { DecodeEvent } from '../decoding/events.js'
import type { CandidateReport } from '../decoding/result.js'

/** Columns of text shown of a candidate. */
const width = 72

/** Text in one line, cut to a width. */
export function oneLine (text: string, length: number): string {
  const flat = text.replaceAll(/\s+/g, ' ')
  return flat.length > length ? `${flat.slice(0, length - 1)}…` : flat
}

/** A reward in six columns. */
export const figure = (reward: number | null | undefined): string =>
  (reward === null || reward === undefined ? '–' : reward.toFixed(2)).padStart(6)

/** One step in one line: the candidates kept and pruned, with their rewards. */
export function stepLine ({ step, candidates }: Extract<DecodeEvent, { type: 'progress' }>): string {
  const list = (kept: boolean): string => candidates.filter(one => one.kept === kept)
    .map(one => `${one.index}${one.finished ? '.' : ''} (${figure(one.reward).trim()})`).join(', ')
  const dropped = list(false)
  return `step ${step}: kept ${list(true)}${dropped === '' ? '' : `; pruned ${dropped}`}`
}

/** How much of a text is its parent's. */
function sharedLength (text: string, other: string): number {
  let at = 0
  while (at < Math.min(text.length, other.length) && text[at] === other[at]) at++
  return at
}

function label (
  { index, score, tokens, prunedAt, text }: CandidateReport, parent: CandidateReport | undefined,
  chosen: readonly number[]
): string {
  const shared = parent ? sharedLength(text, parent.text) : 0
  const own = `${shared > 0 ? '…' : ''}${oneLine(text.slice(shared), width)}`
  const fate = prunedAt === null ? '' : ` pruned at ${prunedAt}`
  return `${index} ${figure(score?.value)} ${String(tokens).padStart(4)} ` +
    `tokens${fate}${chosen.includes(index) ? ' ◀ chosen' : ''}  ${own}`
}

/**
 * The tree of candidates: children below the candidate they were forked from, each with its reward, length, fate and
 * the text that is its own.
 */
export function drawTree (candidates: readonly CandidateReport[], chosen: readonly number[]): string {
  const byIndex = new Map(candidates.map(one => [one.index, one]))
  const childrenOf = (index: number | null): CandidateReport[] => candidates.filter(one => one.parent === index ||
    (index === null && one.parent !== null && !byIndex.has(one.parent)))
  const lines = (index: number | null, indent: string): string[] => childrenOf(index).flatMap((one, place, all) => {
    const last = place === all.length - 1
    return [
      `${indent}${last ? '└─' : '├─'} ${label(one, one.parent === null ? undefined : byIndex.get(one.parent), chosen)}`,
      ...lines(one.index, `${indent}${last ? '   ' : '│  '}`)
    ]
  })
  return ['prompt', ...lines(null, '')].join('\n')
}
