/**
 * Where a tree of candidates is drawn: a row each, a fork below its parent, later forks nearer, so that nothing
 * crosses.
 */
import type { Lineage, Run } from '../../journal/fold.js'
import { inOrder } from './lineages.js'

/** A candidate's place. */
export interface Placed { readonly lineage: Lineage, readonly row: number, readonly parentRow: number | null }

/** Candidates from top to bottom. Trees of dvts and passes of particle Gibbs come one after another. */
export function placed (run: Run, shown: (lineage: Lineage) => boolean = () => true): Placed[] {
  const children = new Map<number | null, Lineage[]>()
  for (const lineage of inOrder(run)) {
    const parent = lineage.parent !== null && run.candidates.has(lineage.parent) ? lineage.parent : null
    children.set(parent, [...children.get(parent) ?? [], lineage])
  }
  const rows: Placed[] = []
  const place = (lineage: Lineage, parentRow: number | null): void => {
    const row = rows.length
    if (shown(lineage)) rows.push({ lineage, row, parentRow })
    const inner = (children.get(lineage.index) ?? []).sort((a, b) => b.at - a.at || a.index - b.index)
    for (const child of inner) place(child, shown(lineage) ? row : parentRow)
  }
  const roots = (children.get(null) ?? []).sort((a, b) => (a.group ?? 0) - (b.group ?? 0) || a.index - b.index)
  for (const root of roots) place(root, null)
  return rows
}

/** Round numbers along an axis: at most `most` of them, from 0 or below to `end`. */
export function ticks (start: number, end: number, most: number): number[] {
  const span = Math.max(end - start, 1e-9)
  const rough = span / most
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = [1, 2, 5, 10].map(factor => factor * power).find(one => one >= rough)!
  const first = Math.ceil(start / step)
  const last = Math.floor(end / step + 1e-9)
  return Array.from({ length: last - first + 1 }, (_, index) => Number(((first + index) * step).toPrecision(12)))
}

/** The largest reward, at least 1, that colours run to. */
export function rewardScale (run: Run): number {
  let largest = 1
  for (const { scores } of run.candidates.values()) {
    for (const [, reward] of scores) largest = Math.max(largest, Math.abs(reward))
  }
  return largest
}

/** Which of seven colours a value has: −3 to 3. */
export const shade = (value: number, scale: number): number =>
  Math.max(-3, Math.min(3, Math.round(3.49 * value / scale)))

/** That as a class's name: `s-3` … `s0` … `s3`; none for no value. */
export const shadeClass = (value: number | null, scale: number): string =>
  value === null ? 's-none' : `s${shade(value, scale)}`
