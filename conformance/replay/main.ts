/**
 * `npm run replay`: sends sixty fixed requests, one after the other, to a fresh server with the default model and
 * compares the answers, bit for bit, with those that were recorded (`recorded.json`). With `--record` it writes them
 * down. Bits depend on processor, weight format and threads, which `system_fingerprint` names: with another one
 * nothing is compared, and the program says how to record anew.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { Answer, Json } from './calls.js'
import { send } from './calls.js'
import { firstDifference } from './compare.js'
import { normalised } from './normalise.js'
import type { Request } from './request.js'
import { requests } from './requests.js'
import { commandLine, startFresh, type FreshServer } from './server.js'

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../../..')
const folder = join(root, 'conformance/replay')

const usage = `npm run replay [-- OPTIONS]

  --record        writes the answers down in place of comparing them
  --file FILE     where they are written to or read from [conformance/replay/recorded.json]
  --checkout DIR  the server of another checkout of Fairlead, built there, is started in place of this one's
  --url URL       a server that is running already, and has been asked nothing yet; start it with
                  ${commandLine('conformance/replay')}`

/** What is recorded of one request. */
interface Recorded { readonly name: string, readonly answers: readonly Json[] }

/** What bits depend on, and where they come from. */
interface About {
  readonly commit: string
  readonly modelFile: string
  /** Of the model's file. */
  readonly sha256: string
  readonly format: string
  readonly threads: number
  readonly instructionSet: string
  /** `system_fingerprint` of the server. */
  readonly fingerprint: string
}

interface RecordFile { readonly about: About, readonly requests: readonly Recorded[] }

function git (checkout: string, ...args: string[]): string {
  return execFileSync('git', ['-C', checkout, ...args], { encoding: 'utf8' }).trim()
}

/** The commit of a checkout, and whether what the server is made of differs from it. */
function commitOf (checkout: string): string {
  const changed = git(checkout, 'status', '--porcelain', '--', 'src', 'models', 'package-lock.json') !== ''
  return git(checkout, 'rev-parse', 'HEAD') + (changed ? ' and changes' : '')
}

async function describe (address: string, checkout: string | null): Promise<About> {
  const { models } = await (await fetch(`${address}/version`)).json() as { models: Json[] }
  const { id, format, threads, instruction_set: instructionSet, system_fingerprint: fingerprint } = models[0] as Json
  const { file, sha256 } = JSON.parse(readFileSync(join(checkout ?? root, 'models', `${id}.json`), 'utf8')) as Json
  const commit = checkout === null ? 'not known: of a server that was running' : commitOf(checkout)
  return { commit, modelFile: file, sha256, format, threads, instructionSet, fingerprint }
}

/** Sends the calls of a request, each made of what the ones before it answered. */
async function play (address: string, { name, calls }: Request): Promise<Recorded> {
  const bodies: Json[] = []
  const answers: Json[] = []
  for (const call of calls) {
    const answer: Answer = await send(address, call, bodies)
    bodies.push(answer.body)
    answers.push(normalised(answer, call))
  }
  return { name, answers }
}

/** One line a request, so that a changed record shows which. */
function write (file: string, { about, requests: all }: RecordFile): void {
  const lines = all.map(one => JSON.stringify(one)).join(',\n')
  writeFileSync(file, `{"about": ${JSON.stringify(about, null, 2)},\n"requests": [\n${lines}\n]}\n`)
}

function readRecord (file: string): RecordFile {
  if (!existsSync(file)) throw new Error(`there is no record ${file}: write one with npm run replay -- --record`)
  return JSON.parse(readFileSync(file, 'utf8')) as RecordFile
}

function line (index: number, name: string, seconds: number, verdict: string): void {
  console.log(`${`${index + 1}`.padStart(2)}  ${name.padEnd(66)} ${seconds.toFixed(1).padStart(5)} s  ${verdict}`)
}

/** @param onAnswer says what is to be printed of it */
async function playAll (address: string, onAnswer: (recorded: Recorded, index: number) => string): Promise<Recorded[]> {
  const all: Recorded[] = []
  for (const [index, request] of requests.entries()) {
    const started = performance.now()
    const recorded = await play(address, request)
    line(index, request.name, (performance.now() - started) / 1000, onAnswer(recorded, index))
    all.push(recorded)
  }
  return all
}

async function record (address: string, about: About, file: string): Promise<number> {
  const all = await playAll(address, ({ answers }) => answers.map(({ status }) => status as number).join(' '))
  write(file, { about, requests: all })
  console.log(`wrote ${all.length} requests of ${about.commit} (${about.fingerprint}) to ${file}`)
  return 0
}

const conditions = ({ format, threads, instructionSet, modelFile, fingerprint }: About): string => (
  `${fingerprint}: ${modelFile} as ${format}, ${threads} threads, ${instructionSet}`
)

function refusal (recorded: About, about: About): string {
  return `Nothing was compared: the record was made under other conditions, and bits depend on them.
  recorded  ${conditions(recorded)}
  here      ${conditions(about)}
To compare with commit ${recorded.commit} here, record it here first:
  git worktree add ../before ${recorded.commit.split(' ')[0]!} && (cd ../before && npm ci && npm run build)
  npm run replay -- --record --checkout ../before --file before.json
  npm run replay -- --file before.json`
}

async function compare (address: string, about: About, file: string): Promise<number> {
  const recorded = readRecord(file)
  if (recorded.about.fingerprint !== about.fingerprint) {
    console.error(refusal(recorded.about, about))
    return 2
  }
  const before = new Map(recorded.requests.map(one => [one.name, one]))
  let same = 0
  await playAll(address, ({ name, answers }) => {
    // As it would be read back: what JSON cannot represent is not compared.
    const now = JSON.parse(JSON.stringify(answers)) as Json[]
    const difference = firstDifference(before.get(name)?.answers, now)
    if (difference === null) same++
    return difference === null ? 'same' : `DIFFERS  ${difference}`
  })
  console.log(`${same} of ${requests.length} are the same as at ${recorded.about.commit} (${about.fingerprint})`)
  return same === requests.length && before.size === requests.length ? 0 : 1
}

/** A server that somebody else started, and will end. */
const running = (url: string): FreshServer => ({ address: url.replace(/\/$/, ''), close: async () => {} })

async function main (): Promise<number> {
  const string = { type: 'string' } as const
  const boolean = { type: 'boolean', default: false } as const
  const options = { record: boolean, help: boolean, file: string, url: string, checkout: string }
  const { values } = parseArgs({ options })
  if (values.help) {
    console.log(usage)
    return 0
  }
  const file = resolve(values.file ?? join(folder, 'recorded.json'))
  const checkout = values.url === undefined ? resolve(values.checkout ?? root) : null
  const server = checkout === null ? running(values.url!) : await startFresh(checkout, folder)
  try {
    const about = await describe(server.address, checkout)
    return await (values.record ? record : compare)(server.address, about, file)
  } finally {
    await server.close()
  }
}

try {
  process.exitCode = await main()
} catch (error) {
  console.error(`replay: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 2
}
