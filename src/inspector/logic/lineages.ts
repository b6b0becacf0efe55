/** What views read of a run's candidates: in words, in order, by token. */
import type { GuidedToken } from '../../journal/entries.js'
import type { Lineage, Run } from '../../journal/fold.js'
import { cut, oneLine, plural, signed } from './formats.js'

/** How a candidate stands. */
export type Fate = 'chosen' | 'dropped' | 'ended' | 'growing'

export const glyphs: Readonly<Record<Fate, string>> = { chosen: '★', dropped: '✕', ended: '●', growing: '◐' }

/** Candidates that the answer was chosen to be. */
export const chosenOf = (run: Run): readonly number[] => run.select?.chosen ?? []

export function fateOf (run: Run, { index, droppedAt, ended }: Lineage): Fate {
  if (chosenOf(run).includes(index)) return 'chosen'
  if (droppedAt !== null) return 'dropped'
  return ended !== null || run.done !== null || run.select !== null ? 'ended' : 'growing'
}

/** The step that dropped a candidate; null for none, or where no step says so. */
export const dropStep = (run: Run, index: number): number | null =>
  run.steps.find(({ dropped }) => dropped.some(([one]) => one === index))?.n ?? null

const reasons =
  { stop: 'ended by itself', length: 'cut at max tokens', budget: 'ended by the request’s limit' } as const

/** Its fate in words. */
export function fateText (run: Run, lineage: Lineage): string {
  const fate = fateOf(run, lineage)
  if (fate === 'growing') return 'growing'
  if (fate === 'dropped') {
    const step = dropStep(run, lineage.index)
    return step === null ? `dropped at ${lineage.droppedAt}` : `dropped at step ${step}`
  }
  const why = lineage.ended === null ? '' : reasons[lineage.ended]
  return fate === 'chosen' ? `chosen${why === '' ? '' : `, ${why}`}` : why || 'kept'
}

/** A candidate's name for screen readers. */
export function labelOf (run: Run, lineage: Lineage): string {
  const { index, reward, tokens, text } = lineage
  return `Candidate ${index}, ${fateText(run, lineage)}, reward ${signed(reward)}, ${plural(tokens, 'token')}, ` +
    cut(oneLine(text.slice(0, 200)), 80)
}

/** Candidates by index. */
export const inOrder = (run: Run): Lineage[] => [...run.candidates.values()].sort((a, b) => a.index - b.index)

/** Candidates by reward, best first; those without one last. */
export const byReward = (run: Run): Lineage[] =>
  inOrder(run).sort((a, b) => (b.reward ?? -Infinity) - (a.reward ?? -Infinity) || a.index - b.index)

/** The candidate to look at where none was selected: the chosen one, or the first. */
export const firstToSee = (run: Run): number | null =>
  chosenOf(run)[0] ?? [...run.candidates.keys()].sort((a, b) => a - b)[0] ?? null

/** Every score along a candidate, its ancestors' before the fork included. */
export function scoresAlong (run: Run, lineage: Lineage): ReadonlyArray<readonly [tokens: number, reward: number]> {
  const parent = lineage.parent === null ? undefined : run.candidates.get(lineage.parent)
  const before = parent ? scoresAlong(run, parent).filter(([tokens]) => tokens <= lineage.at) : []
  return [...before, ...lineage.scores]
}

/** A token of an answer, and what was recorded when it was drawn. */
export interface Token {
  readonly piece: string
  readonly lnPolicy: number | null
  readonly guided: GuidedToken | null
}

/** An answer's tokens, its ancestors' before the fork included; null where the journal has no pieces of them. */
export function tokensOf (run: Run, lineage: Lineage): Token[] | null {
  const parent = lineage.parent === null ? undefined : run.candidates.get(lineage.parent)
  const before = parent ? tokensOf(run, parent)?.slice(0, lineage.at) ?? null : []
  if (before === null || before.length < lineage.at) return null
  const own = lineage.tokens - lineage.at
  if (lineage.pieces.length === 0 && own > 0) return null
  const guided = new Map(lineage.guided.map(token => [token[1], token]))
  return [...before, ...lineage.pieces.map((piece, place) => ({
    piece, lnPolicy: lineage.pieceLnPolicy[place] ?? null, guided: guided.get(lineage.at + place) ?? null
  }))]
}

/** Strategies whose candidates are forked: they are drawn as a tree. */
const trees = ['beam_search', 'dvts', 'rebase', 'particle_filter', 'segment_rejection']
export const drawnAsTree = (strategy: string): boolean => trees.includes(strategy)

/** Tokens of all candidates so far, a fork's own ones counted once. */
export const tokensDrawn = (run: Run): number =>
  [...run.candidates.values()].reduce((sum, { tokens, at }) => sum + tokens - at, 0)
