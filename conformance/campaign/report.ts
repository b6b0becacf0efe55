/** What a campaign found: a row for each attack, and every bound that was broken. */
import { join } from 'node:path'
import type { Environment } from '../../src/reporting/environment.js'
import { headOf, tableOf, writeReport } from '../../src/reporting/report.js'
import type { Attack } from './attack.js'
import { fileLimits, type FileResult } from './files/try-files.js'
import { kept, type Outcome, type Waits } from './run-attack.js'

/** What must hold for every other caller while one attacks. */
export interface Bounds {
  /** p99 of /health, ms. */
  readonly healthMs: number
  /** p99 of a stream's gaps, as a multiple of the canary's alone; and what is no gap to speak of, ms. */
  readonly gapRatio: number
  readonly gapMs: number
  /** Longest silence of a stream, its first piece included, ms. */
  readonly silenceMs: number
}

/**
 * On a machine that has nothing else to do, beside single requests and beside a flood of them; and where others
 * compute, too, for what hangs and what crashes.
 */
const bounds = {
  single: { healthMs: 50, gapRatio: 3, gapMs: 30, silenceMs: 10_000 },
  flood: { healthMs: 250, gapRatio: 10, gapMs: 30, silenceMs: 10_000 },
  short: { healthMs: 10_000, gapRatio: Infinity, gapMs: Infinity, silenceMs: 45_000 }
} as const satisfies Record<string, Bounds>

/** The bounds of an attack. */
export const boundsOf = ({ isFlood }: Pick<Attack, 'isFlood'>, form: 'full' | 'short'): Bounds =>
  bounds[form === 'short' ? 'short' : isFlood ? 'flood' : 'single']

/** Bytes that a whole attack may make the server send. */
const mostBytes = 64 << 20

const ms = (value: number): string => value >= 1000 ? `${(value / 1000).toFixed(1)} s` : `${value.toFixed(0)} ms`
const megabytes = (value: number | null): string => value === null ? '?' : `${(value / 2 ** 20).toFixed(0)}`
const seconds = (value: number | null): string => value === null ? 'never' : `${value.toFixed(0)} s`

/** Whether more gaps than one in a hundred are longer than another caller has to put up with. */
const gapsBroken = ({ gaps }: Waits, solo: Waits, { gapRatio, gapMs }: Bounds): boolean =>
  gaps.p99 > Math.max(gapRatio * solo.gaps.p99, gapMs)

/** The bounds that an attack broke, in words. */
export function brokenBounds (outcome: Outcome, solo: Waits, limits: Bounds): string[] {
  const { waits, tally, isAlive, recovered } = outcome
  const silence = Math.max(waits.firstToken, Number.isNaN(waits.gaps.longest) ? 0 : waits.gaps.longest)
  return [
    ...isAlive ? [] : ['the server is gone'],
    ...waits.health.p99 > limits.healthMs ? [`/health p99 ${ms(waits.health.p99)}`] : [],
    ...gapsBroken(waits, solo, limits) ? [`stream gap p99 ${ms(waits.gaps.p99)}, alone ${ms(solo.gaps.p99)}`] : [],
    ...silence > limits.silenceMs ? [`a stream was silent for ${ms(silence)}`] : [],
    ...waits.refused.length > 0 ? [`another caller was refused: ${waits.refused[0]}`] : [],
    ...tally.bytes > mostBytes ? [`${megabytes(tally.bytes)} MB were sent`] : [],
    ...isAlive && recovered === null
      ? [`not as before after a minute: ${megabytes(outcome.after.resident)} MB resident, ` +
        `${megabytes(outcome.after.heap)} MB of heap (more by ${megabytes(kept.resident)} and ` +
        `${megabytes(kept.heap)} is let pass)`]
      : [],
    ...[...new Set(tally.faults)].slice(0, 5)
  ]
}

/** Statuses and how often they came. */
const statusesOf = ({ tally }: Outcome): string =>
  Object.entries(tally.statuses).map(([status, times]) => `${status === '0' ? 'none' : status}×${times}`).join(' ')

/** A row for each attack. */
export function tableOfOutcomes (outcomes: readonly Outcome[], solo: Waits): string {
  return tableOf(outcomes, [
    ['attack', ({ name }) => name],
    ['took', outcome => `${outcome.seconds.toFixed(0)} s`],
    ['answers', statusesOf],
    ['MB sent', ({ tally }) => megabytes(tally.bytes)],
    ['/health p50', ({ waits }) => ms(waits.health.p50)],
    ['p99', ({ waits }) => ms(waits.health.p99)],
    ['longest', ({ waits }) => ms(waits.health.longest)],
    ['gap p99', ({ waits }) => ms(waits.gaps.p99)],
    ['÷ alone', ({ waits }) => (waits.gaps.p99 / solo.gaps.p99).toFixed(1)],
    ['longest', ({ waits }) => ms(waits.gaps.longest)],
    ['first piece', ({ waits }) => ms(waits.firstToken)],
    ['MB most', ({ most }) => megabytes(most)],
    ['MB after', ({ after }) => megabytes(after.resident)],
    ['heap after', ({ after }) => megabytes(after.heap)],
    ['recovered', ({ recovered }) => seconds(recovered)]
  ])
}

export interface Campaign {
  readonly environment: Environment
  /** Null where nothing was sent. */
  readonly solo: Waits | null
  readonly outcomes: readonly Outcome[]
  readonly files: readonly FileResult[]
  /** Broken bounds by attack. */
  readonly broken: ReadonlyMap<string, readonly string[]>
  readonly attacks: readonly Attack[]
  readonly seed: number
}

function describeFiles (files: readonly FileResult[]): string[] {
  if (files.length === 0) return []
  const { heapMegabytes, mostBytes, fileMs } = fileLimits
  return [`Files with something odd in them, read in processes with a heap of ${heapMegabytes} MB; each may take ` +
    `${ms(fileMs)}, the process have ${megabytes(mostBytes)} MB.`, tableOf(files, [
    ['files', ({ kind }) => `file-${kind}`],
    ['loaded', ({ loaded }) => String(loaded)],
    ['refused', ({ refused }) => String(refused)],
    ['slowest', ({ longestMs }) => ms(longestMs)],
    ['MB most', ({ mostBytes: most }) => megabytes(most)],
    ['faults', ({ faults }) => String(faults.length)]
  ])]
}

function describeOutcomes ({ solo, outcomes }: Campaign): string[] {
  if (!solo) return []
  return [`The canary alone: /health p50 ${ms(solo.health.p50)}, p99 ${ms(solo.health.p99)}; gaps of a stream p50 ` +
    `${ms(solo.gaps.p50)}, p99 ${ms(solo.gaps.p99)}, first piece ${ms(solo.firstToken)}.`,
  tableOfOutcomes(outcomes, solo)]
}

/** What is said of a campaign, in Markdown. */
export function describeCampaign (campaign: Campaign): string {
  const { environment, files, broken, attacks, seed } = campaign
  const what = tableOf(attacks, [['attack', ({ name }) => name], ['what is sent', ({ what }) => what],
    ['/health p99 up to', attack => ms(boundsOf(attack, 'full').healthMs)],
    ['gap p99 ÷ alone up to', attack => String(boundsOf(attack, 'full').gapRatio)]])
  const failures = [...broken].flatMap(([name, faults]) => faults.map(fault => `- ${name}: ${fault}`))
  return [
    headOf('Campaign of hostile requests and files', environment, null),
    `Seed ${seed}.`,
    ...describeOutcomes(campaign),
    ...describeFiles(files),
    failures.length === 0 ? 'No bound was broken.' : `Bounds that were broken:\n\n${failures.join('\n')}`,
    what
  ].join('\n\n')
}

/** Writes REPORT.md and report.json. @returns the report's path */
export const writeCampaign = (folder: string, campaign: Campaign): Promise<string> =>
  writeReport(join(folder), `${describeCampaign(campaign)}\n`,
    { ...campaign, broken: Object.fromEntries(campaign.broken), attacks: campaign.attacks.map(({ name }) => name) }, {})
