/**
 * `npm run campaign`: hostile requests and files against a server of its own, on this machine, with a canary beside
 * them. Ends with 1 if an attack slowed others down, got a server error, or left the server other than it was.
 */
import { join } from 'node:path'
import { say } from '../../src/cli/command.js'
import type { Options } from '../../src/cli/options.js'
import { RequestError } from '../../src/errors.js'
import { packageRoot } from '../../src/package-root.js'
import { interruption, runProgram, type Arguments } from '../../tools/program.js'
import type { Attack } from './attack.js'
import { attacks } from './attacks/attacks.js'
import { fileKinds } from './files/kinds.js'
import { tryFiles } from './files/try-files.js'
import { boundsOf, brokenBounds, describeCampaign, writeCampaign } from './report.js'
import { memoryOf, runAttack, soloWaits, type Memory, type Outcome, type RunOptions, type Waits } from './run-attack.js'
import { startVictim, type ModelName, type Victim } from './target.js'

const options: Options = {
  short: { type: 'boolean', help: 'about 90 s on a tiny random model: crashes, server errors, hangs, memory' },
  only: {
    type: 'string',
    help: 'attacks whose name contains one of these words, by commas; those with files are file-KIND',
    default: 'all'
  },
  model: { type: 'string', help: 'model to serve; tiny is random and needs no download', default: 'smollm2-135m' },
  seconds: { type: 'string', help: 'how long an attack may go on', default: '12, short 2' },
  seed: { type: 'string', help: 'same seed, same requests', default: '1' },
  out: { type: 'string', help: 'folder of the report', default: 'bench/out/campaign-TIME' }
}

/** How long the canary is measured alone, s. */
const soloSeconds = { full: 10, short: 3 } as const
/** How long an attack goes on, at most and at least, s. */
const attackSeconds = { full: 12, short: 2 } as const
const leastSeconds = { full: 4, short: 0.5 } as const

/** Odd files of a kind, and the time for them, s. */
const files = { full: { count: 200, seconds: 15 }, short: { count: 25, seconds: 6 } } as const
/** After so long no further attack is begun, s. */
const longest = { full: 450, short: 300 } as const

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

/** What a campaign is run with. */
interface Plan {
  readonly form: 'full' | 'short'
  readonly words: readonly string[]
  readonly list: readonly Attack[]
  readonly model: ModelName
  readonly seed: number
  readonly attack: RunOptions
  /** No attack is begun later than this, on `performance.now()`'s clock. */
  readonly until: number
}

function planOf (args: Arguments): Plan {
  const form = args.flag('short') ? 'short' : 'full'
  const words = args.text('only').split(',')
  const own = args.values['seconds'] !== undefined
  const seed = args.integer('seed', 0)
  return {
    form,
    words,
    list: chosen(words),
    model: args.values['model'] === undefined && form === 'short' ? 'tiny' : args.text('model'),
    seed,
    attack: { seed, seconds: own ? args.integer('seconds') : attackSeconds[form], least: leastSeconds[form] },
    until: own ? Infinity : performance.now() + longest[form] * 1000
  }
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
async function attackAll (
  { list, model, form, attack: options, until }: Plan, stopped: AbortSignal,
  tell: (outcome: Outcome, attack: Attack, solo: Waits) => void
): Promise<{ outcomes: Outcome[], solo: Waits | null }> {
  if (list.length === 0) return { outcomes: [], solo: null }
  let measured = await startMeasured(model, soloSeconds[form])
  const { solo } = measured
  const outcomes: Outcome[] = []
  let isWell = true
  try {
    for (const attack of list) {
      if (stopped.aborted || performance.now() > until) break
      if (!isWell) {
        await end(measured, false)
        measured = await startMeasured(model, 1)
      }
      say(`${attack.name}: ${attack.what}`)
      const outcome = await runAttack(measured.victim, attack, measured.before, options)
      isWell = outcome.isAlive && outcome.recovered !== null
      outcomes.push(outcome)
      tell(outcome, attack, solo)
    }
  } finally {
    await end(measured, isWell)
  }
  return { outcomes, solo }
}

/** Bounds that were broken, by attack: told at once, and kept. */
class Broken {
  readonly all = new Map<string, readonly string[]>()

  note (name: string, faults: readonly string[]): void {
    if (faults.length === 0) return
    this.all.set(name, faults)
    for (const fault of faults) say(`  ${fault}`)
  }
}

async function run (args: Arguments): Promise<void> {
  const { environment } = args
  const plan = planOf(args)
  const [stopped, broken] = [interruption(), new Broken()]
  const { outcomes, solo } = await attackAll(plan, stopped, (outcome, attack, alone) => {
    broken.note(outcome.name, brokenBounds(outcome, alone, boundsOf(attack, plan.form)))
  })
  for (const { name } of plan.list.slice(outcomes.length)) broken.note(name, ['was not run: the time was over'])
  const read = stopped.aborted
    ? []
    : await tryFiles(plan.words, { seed: plan.seed, ...files[plan.form] }, ({ kind, loaded, refused, faults }) => {
      say(`file-${kind}: ${loaded} loaded, ${refused} refused`)
      broken.note(`file-${kind}`, faults.slice(0, 8))
    })
  const campaign =
    { environment, solo, outcomes, files: read, broken: broken.all, attacks: plan.list, seed: plan.seed }
  const out = args.values['out'] === undefined
    ? join(packageRoot, 'bench', 'out', `campaign-${environment.date.replaceAll(':', '-')}`)
    : args.text('out')
  console.log(`${describeCampaign(campaign)}\n\n${await writeCampaign(out, campaign)}`)
  if (broken.all.size > 0) process.exitCode = 1
}

await runProgram({
  command: 'npm run campaign --',
  summary: 'Hostile requests and files against a server of its own, and what they do to another caller',
  options,
  run
})
