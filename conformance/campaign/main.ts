/**
 * `npm run campaign`: hostile requests and files against a server of its own, on this machine, with a canary beside
 * them. Ends with 1 if an attack slowed others down, got a server error, or left the server other than it was.
 */
import { join } from 'node:path'
import { say } from '../../src/cli/command.js'
import type { Options } from '../../src/cli/options.js'
import { RequestError } from '../../src/errors.js'
import { packageRoot } from '../../src/package-root.js'
import { runProgram, type Arguments } from '../../tools/program.js'
import type { Attack } from './attack.js'
import { attacks } from './attacks/attacks.js'
import { fileKinds } from './files/kinds.js'
import { tryFiles, type FileResult } from './files/try-files.js'
import { bounds, brokenBounds, describeCampaign, writeCampaign } from './report.js'
import { memoryOf, runAttack, soloWaits, type Memory, type Outcome, type RunOptions, type Waits } from './run-attack.js'
import { startVictim, type ModelName, type Victim } from './target.js'

const options: Options = {
  short: { type: 'boolean', help: 'within 90 s on a tiny random model: crashes, server errors, hangs, memory' },
  only: {
    type: 'string',
    help: 'attacks whose name contains one of these words, by commas; those with files are file-KIND',
    default: 'all'
  },
  model: { type: 'string', help: 'model to serve; tiny is random and needs no download', default: 'smollm2-135m' },
  seconds: { type: 'string', help: 'how long an attack may go on', default: '15, short 2' },
  seed: { type: 'string', help: 'same seed, same requests', default: '1' },
  out: { type: 'string', help: 'folder of the report', default: 'bench/out/campaign-TIME' }
}

/** How long the canary is measured alone, s. */
const soloSeconds = { full: 10, short: 3 } as const
/** How long an attack goes on, at most and at least, s. */
const attackSeconds = { full: 15, short: 2 } as const
const leastSeconds = { full: 4, short: 0.5 } as const

/** Odd files of a kind, and the time for them, s. */
const files = { full: { count: 400, seconds: 40 }, short: { count: 40, seconds: 8 } } as const

/** @throws RequestError for a word that is in no name */
function chosen (words: readonly string[]): Attack[] {
  const names = [...attacks.map(({ name }) => name), ...Object.keys(fileKinds).map(kind => `file-${kind}`)]
  const unknown = words.find(word => word !== 'all' && !names.some(name => name.includes(word)))
  if (unknown !== undefined) {
    throw new RequestError('invalid_request',
      `--only: ${JSON.stringify(unknown)} is in no attack's name; they are ${names.join(', ')}`)
  }
  return attacks.filter(({ name }) => words.some(word => word === 'all' || name.includes(word)))
}

/** A server that has been measured alone. */
interface Measured { readonly victim: Victim, readonly solo: Waits, readonly before: Memory }

async function startMeasured (model: ModelName, seconds: number): Promise<Measured> {
  const victim = await startVictim(model)
  const solo = await soloWaits(victim, seconds)
  return { victim, solo, before: await memoryOf(victim) }
}

/** Ends a server; what does not answer any more is killed. */
const end = ({ victim }: Measured, isWell: boolean): Promise<void> => isWell ? victim.stop() : victim.kill()

/** Runs attacks one after the other; a server that one has broken is replaced. */
async function runAll (
  list: readonly Attack[], model: ModelName, soloS: number, run: RunOptions,
  tell: (outcome: Outcome, solo: Waits) => void
): Promise<{ outcomes: Outcome[], solo: Waits | null }> {
  if (list.length === 0) return { outcomes: [], solo: null }
  let measured = await startMeasured(model, soloS)
  const { solo } = measured
  const outcomes: Outcome[] = []
  let isWell = true
  try {
    for (const attack of list) {
      if (!isWell) {
        await end(measured, false)
        measured = await startMeasured(model, 1)
      }
      say(`${attack.name}: ${attack.what}`)
      const outcome = await runAttack(measured.victim, attack, measured.before, run)
      isWell = outcome.isAlive && outcome.recovered !== null
      outcomes.push(outcome)
      tell(outcome, solo)
    }
  } finally {
    await end(measured, isWell)
  }
  return { outcomes, solo }
}

const fileFaults = ({ kind, faults }: FileResult): Array<[string, readonly string[]]> =>
  faults.length > 0 ? [[`file-${kind}`, faults.slice(0, 8)]] : []

async function run (args: Arguments): Promise<void> {
  const form = args.flag('short') ? 'short' : 'full'
  const words = args.text('only').split(',')
  const list = chosen(words)
  const seconds = args.values['seconds'] === undefined ? attackSeconds[form] : args.integer('seconds')
  const seed = args.integer('seed', 0)
  const model = args.values['model'] === undefined && form === 'short' ? 'tiny' : args.text('model')
  const broken = new Map<string, readonly string[]>()
  const { outcomes, solo } = await runAll(list, model, soloSeconds[form], { seed, seconds, least: leastSeconds[form] },
    (outcome, alone) => {
      const faults = brokenBounds(outcome, alone, bounds[form])
      if (faults.length > 0) broken.set(outcome.name, faults)
      for (const fault of faults) say(`  ${fault}`)
    })
  const read = await tryFiles(words, { seed, ...files[form] }, result => {
    say(`file-${result.kind}: ${result.loaded} loaded, ${result.refused} refused`)
    for (const [, faults] of fileFaults(result)) for (const fault of faults) say(`  ${fault}`)
  })
  for (const [name, faults] of read.flatMap(fileFaults)) broken.set(name, faults)
  const campaign = { environment: args.environment, solo, outcomes, files: read, broken, attacks: list, seed }
  const out = args.values['out'] === undefined
    ? join(packageRoot, 'bench', 'out', `campaign-${args.environment.date.replaceAll(':', '-')}`)
    : args.text('out')
  console.log(describeCampaign(campaign))
  console.log(`\n${await writeCampaign(out, campaign)}`)
  if (broken.size > 0) process.exitCode = 1
}

await runProgram({
  command: 'npm run campaign --',
  summary: 'Hostile requests and files against a server of its own, and what they do to another caller',
  options,
  run
})
