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
import { bounds, brokenBounds, describeCampaign, writeCampaign } from './report.js'
import { memoryOf, runAttack, soloWaits, type Memory, type Outcome, type RunOptions, type Waits } from './run-attack.js'
import { startVictim, type ModelName, type Victim } from './target.js'

const options: Options = {
  short: { type: 'boolean', help: 'within 90 s on a tiny random model: crashes, server errors, hangs, memory' },
  only: { type: 'string', help: 'attacks whose name contains one of these words, by commas', default: 'all' },
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

/** @throws RequestError where there is none */
function chosen (only: string): Attack[] {
  const words = only.split(',')
  const found = only === 'all' ? [...attacks] : attacks.filter(({ name }) => words.some(word => name.includes(word)))
  if (found.length > 0) return found
  throw new RequestError('invalid_request',
    `--only ${JSON.stringify(only)} is in no attack's name; they are ${attacks.map(({ name }) => name).join(', ')}`)
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
): Promise<{ outcomes: Outcome[], solo: Waits }> {
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

async function run (args: Arguments): Promise<void> {
  const form = args.flag('short') ? 'short' : 'full'
  const list = chosen(args.text('only'))
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
  const campaign = { environment: args.environment, solo, outcomes, broken, attacks: list, seed }
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
