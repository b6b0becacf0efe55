/**
 * Names the published figures that are stale: `npm run figures`. For each kept report the command that takes it again,
 * the class of its processor, its day, and how many commits have changed since then what it measures.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { packageRoot } from '../src/package-root.js'
import type { Environment } from '../src/reporting/environment.js'
import { tableOf } from '../src/reporting/report.js'

/** What any figure depends on, and what those under a folder depend on beside it. */
const common = ['src/engine', 'src/models', 'src/runtime', 'src/decoding', 'src/policies', 'src/rewards']
const beside: Readonly<Record<string, readonly string[]>> = { 'bench/': ['src/serving', 'src/api', 'bench'] }

const git = (...args: readonly string[]): string =>
  execFileSync('git', args, { cwd: packageRoot, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()

/** The instruction set that decides which kernels run, as reports name it; older ones do not. */
function classOf (cpu: string): string {
  if (!cpu.includes('(')) return 'class not recorded'
  const classes = { avx512_vnni: 'AVX-512 VNNI', avx512f: 'AVX-512', avx2: 'AVX2' }
  const [, name] = Object.entries(classes).find(([feature]) => cpu.includes(feature)) ?? []
  return name ?? cpu.slice(cpu.indexOf('(') + 1, -1)
}

/** Commits since then that changed what is measured; null where the commit is not in this history. */
function changesSince (commit: string | null | undefined, file: string): number | null {
  const paths = Object.entries(beside).filter(([folder]) => file.startsWith(folder)).flatMap(([, more]) => more)
  if (!commit) return null
  try {
    return Number(git('rev-list', '--count', `${commit}..HEAD`, '--', ...common, ...paths))
  } catch {
    return null
  }
}

const reports = git('ls-files', '*results*.json').split('\n').flatMap(file => {
  const { environment } =
    JSON.parse(readFileSync(join(packageRoot, file), 'utf8')) as { environment?: Partial<Environment> }
  return environment ? [{ file, environment, changes: changesSince(environment.commit, file) }] : []
})

console.log(tableOf(reports, [
  ['report', ({ file }) => file],
  ['taken', ({ environment }) => environment.date?.slice(0, 10) ?? 'not recorded'],
  ['processor', ({ environment: { cpu = '', cores = 0 } }) => cpu === ''
    ? 'not recorded'
    : `${cores} × ${cpu.replace(/ \(x64.*/, '')}, ${classOf(cpu)}`],
  ['commits since', ({ changes }) => changes === null ? 'unknown' : String(changes)],
  ['command', ({ environment }) => environment.command ?? 'not recorded']
]))
const stale = reports.filter(({ changes }) => changes !== 0)
console.log(`\n${stale.length} of ${reports.length} reports are stale, or of a commit that is not known` +
  `${stale.length === 0 ? '.' : `: ${stale.map(({ file }) => file).join(', ')}.`}`)
