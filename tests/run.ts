/**
 * Runs the compiled tests with Node's test runner: files with tiny models or none two at a time, then those with the
 * default model, which need the whole machine, one at a time.
 * `npm test` runs all of them; `npm test -- unit engine` those whose path contains one of the words. Tests in `apart`
 * need more than Node: they have a command of their own, which names their folder.
 * Written out because Node 20 knows no globs and Node 22 no folders, and because finding no test must be a failure.
 */
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'

const root = import.meta.dirname
const words = process.argv.slice(2)
/** Folders of tests that run only if they are named: software Vulkan, by `npm run test:vulkan`. */
const apart = ['vulkan']
const isApart = (file: string): boolean => apart.some(folder => file.startsWith(folder) && !words.includes(folder))
const files = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .filter(file => file.endsWith('.test.js') && !isApart(file) &&
    (words.length === 0 || words.some(word => file.includes(word))))
  .map(file => join(root, file))
  .sort()

if (files.length === 0) {
  console.error(`no test file ${words.length > 0 ? `matches ${words.join(', ')}` : 'was found'}`)
  process.exit(1)
}
const reporter = `--test-reporter=${new URL('reporter.js', import.meta.url).href}`

/** @returns whether all have passed */
function passes (some: readonly string[], atOnce: number): boolean {
  if (some.length === 0) return true
  const { status } = spawnSync(process.execPath, ['--test', `--test-concurrency=${atOnce}`, reporter, ...some],
    { stdio: 'inherit' })
  return status === 0
}

const needMachine = join(root, 'e2e')
const passed = [
  passes(files.filter(file => !file.startsWith(needMachine)), 2),
  passes(files.filter(file => file.startsWith(needMachine)), 1)
]
process.exit(passed.every(Boolean) ? 0 : 1)
