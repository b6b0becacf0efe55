/** A journal as it is sent and kept: figures rounded, no larger than its size, a JSON object a line. */
import type { Ended, Entry, Grown, GuidedToken, Scored, ScorePart, Step } from './entries.js'

/** Digits enough to read: three decimals, or three significant digits where that is finer. */
export function rounded (value: number): number {
  return Math.abs(value) < 0.1 ? Number(value.toPrecision(3)) : Math.round(value * 1000) / 1000
}

/** Nats: two decimals. */
const nats = (value: number): number => Math.round(value * 100) / 100

/** Shares and probabilities: three significant digits. */
const share = (value: number): number => Number(value.toPrecision(3))

const roundedPart = ([raw, standardized, std, steps]: ScorePart): ScorePart => {
  const part = [rounded(raw), rounded(standardized)] as const
  if (steps) return [...part, typeof std === 'number' ? rounded(std) : null, steps.map(rounded)]
  return typeof std === 'number' ? [...part, rounded(std)] : part
}
const roundedScore = ([index, reward, parts]: Scored): Scored => [index, rounded(reward), parts.map(roundedPart)]
const roundedGrowth = (grown: Grown): Grown =>
  typeof grown[1] === 'number' ? grown : [grown[0], grown[1], (grown[2] as readonly number[]).map(nats)]
const roundedEnd = ([index, reason, lnPolicy, at]: Ended): Ended =>
  at === undefined ? [index, reason, nats(lnPolicy)] : [index, reason, nats(lnPolicy), at]
const roundedToken = ([index, at, piece, taken, kl, left, rest, choices, reward]: GuidedToken): GuidedToken => [
  index, at, piece, taken, kl === null ? null : rounded(kl), share(left), share(rest),
  choices.map(([text, lnPolicy, value, lnGuided]) => [text, nats(lnPolicy), rounded(value), nats(lnGuided)]),
  ...reward === undefined ? [] as const : [reward === null ? null : rounded(reward)] as const
]
const roundedStep = (step: Step['step']): Step['step'] =>
  step.bound === undefined ? step : { ...step, bound: rounded(step.bound) }

/** An entry with its figures rounded. */
export function roundedEntry (entry: Entry): Entry {
  if ('grow' in entry) return { ...entry, grow: entry.grow.map(roundedGrowth) }
  if ('score' in entry) return { ...entry, score: entry.score.map(roundedScore) }
  if ('end' in entry) return { ...entry, end: entry.end.map(roundedEnd) }
  if ('token' in entry) return { ...entry, token: roundedToken(entry.token) }
  if ('weigh' in entry) {
    return { ...entry, weigh: entry.weigh.map(([index, weight]) => [index, share(weight)]), ess: rounded(entry.ess) }
  }
  return 'step' in entry ? { ...entry, step: roundedStep(entry.step) } : entry
}

/** Most characters that a journal's entries may have as JSON, and how many of them guided tokens may fill. */
export const journalLimits = { characters: 4 << 20, withTokens: 3 << 20 }

/** Lines that a journal has even where it is full: what came of the run. */
const isVital = (entry: Entry): boolean =>
  'journal' in entry || 'start' in entry || 'select' in entry || 'end' in entry || 'done' in entry || 'fail' in entry

/** Rounds a run's entries and leaves out what goes beyond its size, which a `gap` tells. */
export class JournalWriter {
  readonly #limits: typeof journalLimits
  #characters = 0
  #missing = 0

  constructor (limits = journalLimits) { this.#limits = limits }

  /** What is sent of some entries. */
  write (entries: readonly Entry[]): Entry[] {
    return entries.flatMap(entry => this.#take(roundedEntry(entry)))
  }

  #take (entry: Entry): Entry[] {
    const length = JSON.stringify(entry).length
    const { characters, withTokens } = this.#limits
    const most = 'token' in entry ? withTokens : characters
    // One that is full stays so, or what comes later would be read as if nothing were missing.
    if (this.#characters + length > most && !isVital(entry)) {
      if (!('token' in entry)) this.#characters = Infinity
      this.#missing++
      return []
    }
    this.#characters += length
    const gap = this.#missing > 0 && 't' in entry ? [{ t: entry.t, gap: this.#missing }] : []
    this.#missing = 0
    return [...gap, entry]
  }
}

/** A line of a file. */
export const lineOf = (entry: Entry): string => `${JSON.stringify(entry)}\n`

/** A file. */
export const linesOf = (entries: readonly Entry[]): string => entries.map(lineOf).join('')
