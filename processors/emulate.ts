/**
 * `npm run emulate`: compiled programs of this project on processors that this machine does not have, emulated by QEMU.
 * Installs what that takes, prints a line for each program, and ends with 1 if one failed or none ran.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadConfig } from '../src/config.js'
import { packageRoot } from '../src/package-root.js'
import { checks, judge, type Check } from './checks.js'
import { lastWords, run } from './child.js'
import { installArmModules, installPackages } from './install.js'
import { makeRoots, nodeOn, open, type Places } from './machines.js'

/** What all programs may take together, on a machine that has other work, too. */
const limitSeconds = 450

/** @returns whether it passed, which is printed, too */
async function perform (check: Check, places: Places, limit: number): Promise<boolean> {
  const { processor: { name, architecture, features }, title, args } = check
  const [qemu, ...node] = nodeOn(check.processor, places)
  const ended = await run(qemu, [...node, ...args], limit)
  const { passed, found } = judge(check, ended)
  const time = `${ended.seconds.toFixed(0).padStart(4)} s`
  const machine = `${name.padEnd(11)}  ${architecture}: ${features}`.padEnd(44)
  console.log([machine, title.padEnd(14), passed ? 'passed' : 'FAILED', time, found].join('  '))
  if (!passed) console.log(lastWords(ended))
  return passed
}

/** Two at a time, as each keeps one core busy and not more. @returns of each whether it passed */
async function performAll (places: Places): Promise<boolean[]> {
  const end = performance.now() + limitSeconds * 1000
  const waiting = [...checks]
  const results: boolean[] = []
  const work = async (): Promise<void> => {
    for (let check = waiting.shift(); check; check = waiting.shift()) {
      const left = Math.max(1, Math.ceil((end - performance.now()) / 1000))
      results.push(await perform(check, places, Math.min(check.limitSeconds, left)))
    }
  }
  await Promise.all(Array.from({ length: Math.min(2, availableParallelism()) }, work))
  return results
}

async function main (): Promise<number> {
  if (process.platform !== 'linux' || process.arch !== 'x64') throw new Error('this needs Linux on x86-64')
  const start = performance.now()
  await installPackages()
  const armModules = await installArmModules(join(loadConfig().cacheDir, 'emulation'))
  console.log(`installed in ${((performance.now() - start) / 1000).toFixed(0)} s`)
  process.chdir(packageRoot)
  const roots = mkdtempSync(join(tmpdir(), 'fairlead-processors-'))
  try {
    makeRoots(roots)
    const results = await performAll({ armModules, roots })
    const passed = results.filter(Boolean).length
    console.log(`open: ${open}\n${passed} passed, ${results.length - passed} failed`)
    return passed > 0 && passed === results.length ? 0 : 1
  } finally {
    rmSync(roots, { recursive: true })
  }
}

try {
  process.exitCode = await main()
} catch (error) {
  console.error(`emulate: ${(error as Error).message}`)
  process.exitCode = 1
}
