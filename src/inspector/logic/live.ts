/** What a live run is doing, in one line. */
import type { Entry, Grown } from '../../journal/entries.js'
import type { Run } from '../../journal/fold.js'
import { count, plural, signed } from './formats.js'
import { inOrder } from './lineages.js'

/** Tokens a second are those of this last time, ms. */
const rateOverMs = 2000
/** A shorter time says nothing of a rate, ms. */
const leastMs = 250
/** A shorter wait is not told, ms. */
const leastWaitMs = 500

const tokensIn = ([, grown]: Grown): number => typeof grown === 'number' ? grown : grown.length

/**
 * Tokens that all candidates grew by in the last two seconds, a second; since the first ones came, where that is later.
 * @param now milliseconds of the run
 * @returns null before there is enough to tell
 */
export function recentRate (entries: readonly Entry[], now: number): number | null {
  const first = entries.find(entry => 'grow' in entry)
  if (!first) return null
  const began = Math.max(now - rateOverMs, first.t)
  if (now - began < leastMs) return null
  let tokens = 0
  for (let at = entries.length - 1; at >= 0; at--) {
    const entry = entries[at]!
    if (!('t' in entry) || entry.t <= began) break
    if ('grow' in entry) tokens += entry.grow.reduce((sum, one) => sum + tokensIn(one), 0)
  }
  return tokens / (now - began) * 1000
}

/**
 * @param waited how long the run has waited for its turn, ms; null where that is not known
 * @param rate tokens a second; null where that is not known
 */
export function doing (run: Run, waited: number | null, rate: number | null): string {
  if (run.start === null) {
    const what = run.queued === null || run.queued === 0
      ? 'Waiting for memory'
      : `Waiting behind ${plural(run.queued, 'request')}`
    return waited === null || waited < leastWaitMs ? what : `${what}: ${(waited / 1000).toFixed(1)} s`
  }
  const lineages = inOrder(run)
  if (lineages.every(({ tokens }) => tokens === 0)) return `Reading ${plural(run.start.prompt, 'token')}`
  const open = lineages.filter(({ ended, droppedAt }) => ended === null && droppedAt === null).length
  if (open === 0) return `Choosing among ${lineages.filter(({ droppedAt }) => droppedAt === null).length}`
  const best = Math.max(...lineages.map(({ reward }) => reward ?? -Infinity))
  return `${lineages.length - open} of ${lineages.length} answers finished` +
    `${best === -Infinity ? '' : ` · best ${signed(best)}`}${rate === null ? '' : ` · ${count(rate)} tokens/s`}`
}
