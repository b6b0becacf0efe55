/**
 * A process of its own that reads odd files of one kind, one after the other: `node load-child.js KIND SEED COUNT`.
 * Says on a line of its own which seed it begins with, and what became of it, so that its parent knows what it died of.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { RequestError } from '../../../src/errors.js'
import { uniform } from '../../../src/statistics/random.js'
import { fileKinds } from './kinds.js'

const [kindName, firstSeed, count] = process.argv.slice(2)
const kind = fileKinds[kindName!]!
const folder = mkdtempSync(join(tmpdir(), 'fairlead-file-'))
const say = (text: string): void => { process.stdout.write(`${text}\n`) }

/** What became of a file, in a word and what is wrong with it. */
async function read (): Promise<string> {
  try {
    await kind.read(folder)
    return 'loaded'
  } catch (error) {
    if (error instanceof RequestError) return 'refused'
    return `fault ${String((error as Error).stack).split('\n').slice(0, 3).join(' ').slice(0, 300)}`
  }
}

try {
  const change = kind.prepare(folder)
  for (let seed = Number(firstSeed); seed < Number(firstSeed) + Number(count); seed++) {
    change(uniform(seed))
    say(`begin ${seed}`)
    const began = performance.now()
    const result = await read()
    say(`end ${seed} ${(performance.now() - began).toFixed(0)} ${process.resourceUsage().maxRSS} ${result}`)
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
