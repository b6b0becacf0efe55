/**
 * `npm run bench:vllm`: Fairlead's searches over a vLLM beside those of client-side libraries over the same vLLM, the
 * same model and reward, in turns; and beside plain sampling of as many tokens. The engine's own counters say what was
 * drawn, read and cached. On the default model in float32.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inTurns } from '../../bench/harness/turns.js'
import { readVocabulary } from '../../bench/peers/places.js'
import { messageOf } from '../../bench/peers/scenarios.js'
import { plainTable, say } from '../../src/cli/command.js'
import { namesOption } from '../../src/cli/options.js'
import { loadConfig } from '../../src/config.js'
import { packageRoot } from '../../src/package-root.js'
import { writeJson } from '../../src/reporting/report.js'
import { ratioOf, showSpread, spreadOf, type Spread } from '../../src/reporting/spread.js'
import { installPython, pipInstall } from '../../tools/child.js'
import { runProgram, type Arguments } from '../../tools/program.js'
import type { EngineProcess } from '../engine-process.js'
import { exportDefault, installVllm } from '../vllm/install.js'
import { figureOf, startVllm } from '../vllm/vllm-engine.js'
import {
  FairleadSearch, Library, libraryNames, methods, plainAnswers, type LibraryName, type Method, type Search, type Task
} from './contestants.js'

const [candidates, beams] = [16, 4]
/** Of the engine's cache, and what prompts grow by from turn to turn. */
const [blockTokens, oddLength] = [32, 13]

/** What one turn took. */
interface Taken {
  readonly ms: number
  /** Of the engine's processor time, s: what else the machine does counts little in it. */
  readonly processor: number
  /** Tokens that the engine drew, those of prompts, and those of them from its cache. */
  readonly drawn: number
  readonly prompt: number
  readonly cached: number
}

interface Contestant { readonly name: string, readonly by: string, readonly method: Method, readonly search: Search }

const counters = { drawn: 'generation_tokens_total', prompt: 'prompt_tokens_total', cached: 'prefix_cache_hits_total' }

/** The engine's counters, when it has ended what it does. */
async function countsOf (engine: EngineProcess): Promise<Record<keyof typeof counters, number>> {
  while (await figureOf(engine, 'num_requests_running') > 0) await new Promise(resolve => { setTimeout(resolve, 50) })
  const [drawn, prompt, cached] = await Promise.all(Object.values(counters).map(name => figureOf(engine, name)))
  return { drawn: drawn!, prompt: prompt!, cached: cached! }
}

async function measured (engine: EngineProcess, search: () => Promise<number>): Promise<Taken> {
  const before = await countsOf(engine)
  const processor = engine.processorSeconds()
  const ms = await search()
  const after = await countsOf(engine)
  return {
    ms,
    processor: engine.processorSeconds() - processor,
    drawn: after.drawn - before.drawn,
    prompt: after.prompt - before.prompt,
    cached: after.cached - before.cached
  }
}

/** The libraries' own environment. @returns its python */
async function installLibraries (cacheDir: string): Promise<string> {
  const at = (name: string): string => join(packageRoot, 'conformance', 'versus', name)
  const folder = join(cacheDir, 'conformance', 'versus')
  const python = join(await installPython(folder, at('requirements.txt'), say, {}, '--quiet'), 'python')
  // Without its dependencies, those of every provider: its best-of-n needs none of them.
  await pipInstall(python, join(packageRoot, 'bench', 'peers', 'optillm-requirements.txt'), {}, '--quiet', '--no-deps')
  return python
}

/** Everybody, by method: what is compared is one after the other. optillm, which takes minutes, is the last. */
function contestantsOf (
  plain: Search, fairlead: FairleadSearch, libraries: ReadonlyMap<LibraryName, Library>
): Contestant[] {
  const all: Contestant[] = [{ name: 'plain sampling', by: 'vLLM', method: 'best_of_n', search: plain }]
  const [itsHub, optillm] = [libraries.get('its_hub'), libraries.get('optillm')]
  for (const method of methods) {
    all.push({ name: `Fairlead ${method}`, by: 'Fairlead', method, search: fairlead.search })
    if (itsHub) all.push({ name: `its_hub ${method}`, by: 'its_hub', method, search: itsHub.search })
  }
  if (optillm) all.push({ name: 'optillm best_of_n', by: 'optillm', method: 'best_of_n', search: optillm.search })
  return all
}

/** One line of the report. */
interface Line {
  readonly name: string
  readonly seconds: Spread
  readonly drawn: Spread
  readonly prompt: Spread
  readonly cached: Spread
  /** Its time over that of plain sampling, and the engine's processor time over that. */
  readonly toPlain: Spread
  readonly processorToPlain: Spread
  /** Its time over Fairlead's for the same method; null for Fairlead itself. */
  readonly toFairlead: Spread | null
}

function linesOf (contestants: readonly Contestant[], taken: ReadonlyMap<string, readonly Taken[]>): Line[] {
  const times = (name: string): number[] => (taken.get(name) ?? []).map(({ ms }) => ms)
  const processor = (name: string): number[] => (taken.get(name) ?? []).map(one => one.processor)
  return contestants.filter(({ name }) => times(name).length > 0).map(({ name, by, method }) => {
    const spread = (of: (one: Taken) => number): Spread => spreadOf(taken.get(name)!.map(of))
    return {
      name,
      seconds: spread(({ ms }) => ms / 1000),
      drawn: spread(one => one.drawn),
      prompt: spread(one => one.prompt),
      cached: spread(one => one.cached),
      toPlain: ratioOf(times(name), times('plain sampling'))!,
      processorToPlain: ratioOf(processor(name), processor('plain sampling'))!,
      toFairlead: by === 'Fairlead' ? null : ratioOf(times(name), times(`Fairlead ${method}`))
    }
  })
}

function tableOf (lines: readonly Line[]): string {
  const table = plainTable(['search', 'seconds', '÷ plain sampling', 'processor time ÷ plain', '÷ Fairlead',
    'tokens drawn', 'prompt tokens', 'of them cached'])
  for (const { name, seconds, toPlain, processorToPlain, toFairlead, drawn, prompt, cached } of lines) {
    table.push([name, ...[seconds, toPlain, processorToPlain].map(one => showSpread(one)),
      toFairlead ? showSpread(toFairlead) : '', ...[drawn, prompt, cached].map(({ median }) => median.toFixed(0))])
  }
  return table.toString()
}

async function run (args: Arguments): Promise<void> {
  const [turns, newTokens, stepTokens] =
    [args.integer('turns'), args.integer('new-tokens'), args.integer('step-tokens')]
  const names = args.text('libraries') === 'none' ? [] : namesOption(args.values, 'libraries', libraryNames)
  const { cacheDir } = loadConfig()
  const scratch = mkdtempSync(join(tmpdir(), 'fairlead-versus-'))
  const closes: Array<() => unknown> = [() => { rmSync(scratch, { recursive: true }) }]
  try {
    const python = await installVllm(cacheDir)
    const { file, folder } = await exportDefault(python, cacheDir)
    const { encodeChat } = await readVocabulary(file)
    const libraryPython = names.length > 0 ? await installLibraries(cacheDir) : ''
    say('starting vLLM')
    const engine = await startVllm({
      python,
      name: 'smollm2-135m',
      model: folder,
      flags: ['--kv-cache-memory-bytes', String(1 << 30)],
      inOneProcess: true
    })
    closes.push(() => engine.close())
    const fairlead = await FairleadSearch.start(engine.url, engine.name, folder, scratch)
    closes.push(() => fairlead.stop())
    const libraries = new Map<LibraryName, Library>()
    for (const name of names) {
      const library = await Library.start(name, libraryPython, engine.url, engine.name)
      closes.push(() => { library.kill() })
      libraries.set(name, library)
    }
    const contestants = contestantsOf(plainAnswers(engine.url, engine.name), fairlead, libraries)
    const taken = new Map<string, Taken[]>()
    let index = 0
    const promptTokens = args.integer('prompt-tokens')
    /** Prompts have nothing in common but the template's beginning: the engine's cache has none of them. */
    const ask = ({ method, search }: Contestant, length: number, size: Pick<Task, 'candidates' | 'newTokens'>) =>
      search({ method, message: messageOf(encodeChat, length, index++), beams, stepTokens, ...size })
    // Code is compiled with the first calls.
    for (const one of contestants) await ask(one, promptTokens, { candidates: beams, newTokens: 2 * stepTokens })
    const versions = Object.fromEntries([...libraries].map(([name, { version }]) => [name, version]))
    await inTurns(contestants, turns, taken, {
      // Of any length modulo the blocks of the engine's cache: what a step reads again depends on it.
      take: (one, turn) => measured(engine, () =>
        ask(one, promptTokens + turn * oddLength % blockTokens, { candidates, newTokens })),
      failed: (_, error) => { throw error },
      ended: done => {
        const lines = linesOf(contestants, taken)
        say(`${done} of ${turns}\n${tableOf(lines)}`)
        const figures = { environment: args.environment, versions, lines, taken: Object.fromEntries(taken) }
        if (args.text('json') !== '') writeJson(args.text('json'), figures)
      }
    })
  } finally {
    for (const close of closes.reverse()) await close()
  }
}

// Without a listener Ctrl-C ends the process at once, and what it started would go on.
process.once('SIGINT', () => { process.exit(1) })

await runProgram({
  command: 'npm run bench:vllm --',
  summary: "Fairlead's searches over vLLM beside those of client-side libraries, in turns",
  options: {
    turns: { type: 'string', help: 'turns of each; medians are reported', default: '5' },
    'prompt-tokens': { type: 'string', help: 'tokens of the shortest prompt; up to 31 more', default: '128' },
    'new-tokens': { type: 'string', help: 'tokens of each of 16 candidates', default: '64' },
    'step-tokens': { type: 'string', help: 'tokens of a step of beam search and particle filter', default: '16' },
    libraries: { type: 'string', help: `some of ${libraryNames.join(', ')}, by commas, or none`, default: 'all' },
    json: { type: 'string', help: 'file to write all figures to' }
  },
  run
})
