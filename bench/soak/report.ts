/** What a soak found, and whether it passed. */
import type { Environment } from '../../src/reporting/environment.js'
import { headOf, tableOf, writeReport } from '../../src/reporting/report.js'
import type { EngineState } from '../harness/server-process.js'
import { memoryGrowth, tolerated, type Growth, type MemorySample } from './memory.js'
import type { SoakKind } from './requests.js'

/** What became of the requests of one kind. */
export interface Tally { answered: number, aborted: number, refused: number }

export interface Soak {
  readonly environment: Environment
  readonly tallies: ReadonlyMap<SoakKind, Tally>
  /** Messages of errors that were not asked for. */
  readonly unasked: readonly string[]
  readonly memory: readonly MemorySample[]
  /** The engine after the load; null where it did not answer. */
  readonly left: EngineState | null
  readonly seconds: number
}

export const limits = {
  /** Prompts are all different: a cache of the usual size would still be filling, and memory growing, at the end. */
  prefixCacheBytes: 32 << 20,
  /**
   * Slots of KV keep the memory that their largest user took, up to an eighth of this: enough for what `crowd` takes.
   */
  kvCacheBytes: 2 ** 33,
  /** The server collects its garbage so often, seconds: what is used of V8's heap is then what is needed. */
  collectEvery: 5
} as const

/**
 * More sequences than there are slots, in requests too narrow to store their prompt once, and longer than any that
 * follows.
 */
export const crowd = { requests: 3, choices: 64, moreTokens: 16 } as const

/** What did not hold, in words; nothing where the soak passed. */
export function failuresOf ({ unasked, memory, left, tallies }: Soak): string[] {
  const growth = memoryGrowth(memory)
  const answered = [...tallies.values()].reduce((sum, tally) => sum + tally.answered, 0)
  return [
    ...answered === 0 ? ['no request was answered'] : [],
    ...unasked.length > 0 ? [`${unasked.length} errors that were not asked for, such as ${unasked[0]!}`] : [],
    ...growth && growth.leaks
      ? [`memory grew by ${growth.megabytesPerMinute.toFixed(1)} ± ${growth.standardError.toFixed(1)} MB a minute`]
      : [],
    ...left === null ? ['the server did not answer after the load'] : [],
    ...left && (left.sequences > 0 || left.kvTokens > 0 || left.runningRequests > 0)
      ? [`after the load ${left.runningRequests} requests, ${left.sequences} sequences and ${left.kvTokens} tokens ` +
        'of KV were left']
      : []
  ]
}

const grown = (growth: Growth | null): string => growth
  ? `, second half: ${growth.megabytesPerMinute.toFixed(2)} ± ${growth.standardError.toFixed(2)} MB a minute (slope ` +
    `and its standard error; more than ${tolerated} beyond two standard errors is a leak)`
  : ' was not watched long enough to tell'

function describeSoak (soak: Soak, failures: readonly string[]): string {
  const kinds = tableOf([...soak.tallies].sort(([a], [b]) => a < b ? -1 : 1), [
    ['kind', ([kind]) => kind], ['answered', ([, { answered }]) => String(answered)],
    ['aborted', ([, { aborted }]) => String(aborted)], ['refused, as asked for', ([, { refused }]) => String(refused)]
  ])
  return `${headOf(`Soak: ${(soak.seconds / 60).toFixed(1)} minutes of mixed load with random aborts`, soak.environment,
    null)}

${failures.length === 0 ? '**Passed**' : `**Failed**: ${failures.join('; ')}`}

${kinds}

Errors that were not asked for: ${soak.unasked.length}. What the server may keep is full from the start: its prefix cache is limited to ${limits.prefixCacheBytes >> 20} MiB, and ${crowd.requests * crowd.choices} answers at once took KV before the clock ran. It collects its garbage every ${limits.collectEvery} seconds. Memory, less what V8 has reserved and does not use${grown(memoryGrowth(soak.memory))}. After the load: ${soak.left ? `${soak.left.sequences} sequences, ${soak.left.kvTokens} tokens of KV held by them` : 'no answer'}.

![memory](plots/memory.svg)
`
}

/** Writes report.json, REPORT.md and plots/. @returns the report's path */
export function writeSoak (folder: string, soak: Soak): Promise<string> {
  const failures = failuresOf(soak)
  const figures = { ...soak, tallies: Object.fromEntries(soak.tallies), growth: memoryGrowth(soak.memory), failures }
  const points = soak.memory.map(({ seconds, bytes }) => ({ x: seconds / 60, y: bytes / 1e6 }))
  return writeReport(folder, describeSoak(soak, failures), figures, {
    memory: {
      title: 'Memory of the server',
      x: { label: 'minutes' },
      y: { label: 'MB' },
      series: [{ name: 'resident, less what V8 does not use', kind: 'line', points }]
    }
  })
}
