/** What figures were taken on and with: written into every report, since none means anything without it. */
import { execFileSync } from 'node:child_process'
import { cpus, loadavg, totalmem } from 'node:os'
import { packageRoot, packageVersion } from '../package-root.js'
import { describeInstructionSet } from '../runtime/instruction-set.js'

/** What figures depend on beside the code. */
export interface Environment {
  /** The command line, as it was typed. */
  readonly command: string
  readonly version: string
  /** Of the checkout; null where there is none. */
  readonly commit: string | null
  /** Its name and the instructions it has. */
  readonly cpu: string
  readonly cores: number
  readonly memoryBytes: number
  readonly node: string
  readonly platform: string
  /** Over 1, 5 and 15 minutes when the run began. */
  readonly loadAverage: readonly number[]
  readonly date: string
}

function commit (): string | null {
  try {
    return execFileSync('git', ['rev-parse', 'HEAD'],
      { cwd: packageRoot, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  } catch {
    return null
  }
}

/** @param program what the command is called by, e.g. `npm run loadtest --` */
export function environmentOf (program: string, args: readonly string[]): Environment {
  return {
    command: [program, ...args].join(' '),
    version: packageVersion,
    commit: commit(),
    cpu: `${cpus()[0]?.model ?? 'unknown'} (${describeInstructionSet()})`,
    cores: cpus().length,
    memoryBytes: totalmem(),
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
    loadAverage: loadavg(),
    date: new Date().toISOString()
  }
}

/** The environment as lines of Markdown. */
export function describeEnvironment (
  { command, version, commit, cpu, cores, memoryBytes, node, platform, loadAverage, date }: Environment
): string {
  return `\`${command}\`

Fairlead ${version}${commit === null ? '' : ` (${commit.slice(0, 12)})`}, ${cores} × ${cpu}, ${(memoryBytes / 2 ** 30).toFixed(0)} GB, ${platform}, Node ${node}; load average when it began ${loadAverage.map(load => load.toFixed(2)).join(', ')}; ${date}.`
}
