/**
 * What `fairlead bench` measures, each scenario on its own: the engine with sampling, no HTTP. Knows no tables.
 */
import { DraftingSequence } from '../engine/drafting-sequence.js'
import { PromptLookup } from '../engine/prompt-lookup.js'
import type { Sequence } from '../engine/sequence.js'
import type { LocalModel } from '../serving/served-models.js'
import { quantile, ratioOf, spreadOf, type Spread } from '../reporting/spread.js'
import { journalTurns, type JournalTurn } from './bench-journal.js'
import { Bench, closeAll, type Timing } from './bench-harness.js'

export interface Row {
  readonly scenario: ScenarioName
  readonly what: string
  /** Sequences that run at the same time. */
  readonly batch: number
  readonly unit: 'tokens/s' | 'ms' | 'times' | 'bytes'
  readonly value: Spread
  /** Share of the time in which no forward pass ran, median. */
  readonly hostShare?: number
}

export interface BenchOptions {
  readonly batches: readonly number[]
  /** Tokens before the first that is measured. */
  readonly context: number
  /** Tokens that all prompts of `requests` begin with. */
  readonly common: number
  readonly prompts: readonly number[]
  readonly candidates: number
  /** Tokens decoded per sequence and repetition. */
  readonly tokens: number
  readonly repeat: number
}

type Labels = Pick<Row, 'scenario' | 'what' | 'batch'>

/** Of the time in which so many tokens were computed: their rate. */
function rateRow (labels: Labels, timings: readonly Timing[], tokens: number): Row {
  return {
    ...labels,
    unit: 'tokens/s',
    value: spreadOf(timings.map(({ totalMs }) => tokens / totalMs * 1e3)),
    hostShare: spreadOf(timings.map(({ totalMs, forwardMs }) => 1 - forwardMs / totalMs)).median
  }
}

const valueRow = (labels: Labels, unit: Row['unit'], value: Spread): Row => ({ ...labels, unit, value })

const times = (timings: readonly Timing[]): number[] => timings.map(({ totalMs }) => totalMs)

/** Sequences of one prompt that store its KV apart, at several batch sizes. */
async function decode (bench: Bench, { batches, context, tokens, repeat }: BenchOptions): Promise<Row[]> {
  const rows: Row[] = []
  for (const batch of batches) {
    const timings = await bench.repeat(repeat, async () => {
      const sequences = await bench.open(context, batch)
      // The first steps copy the prompt into every fork and touch its memory.
      await bench.grow(sequences, 2)
      const timing = await bench.time(() => bench.grow(sequences, tokens))
      closeAll(sequences)
      return timing
    })
    rows.push(rateRow({ scenario: 'decode', what: `context ${context}`, batch }, timings, batch * tokens))
  }
  return rows
}

/** Prompts of which nothing is cached. */
async function prefill (bench: Bench, { prompts, repeat }: BenchOptions): Promise<Row[]> {
  const rows: Row[] = []
  for (const length of prompts) {
    const timings = await bench.repeat(repeat, () =>
      bench.time(async () => { closeAll(await bench.open(length, 1)) }))
    rows.push(rateRow({ scenario: 'prefill', what: `prompt ${length}`, batch: 1 }, timings, length))
  }
  return rows
}

/** Requests of a repetition, one after the other in each place. */
const rounds = 4

/**
 * Plain requests as a server has them, so many in flight: each reads a prompt of its own, of which the beginning is
 * cached, draws its tokens and is followed by the next.
 */
async function requests (bench: Bench, { batches, context, common, tokens, repeat }: BenchOptions): Promise<Row[]> {
  const beginning = bench.prompt(common)
  const one = async (count: number): Promise<void> => {
    const prompt = [...beginning, ...bench.prompt(context - common)]
    const sequence = bench.served.engine.open(prompt, { salt: 'requests', listedLogits: true })
    await bench.grow([sequence], count)
    sequence.close()
  }
  const inFlight = async (batch: number, count: number, rounds: number): Promise<void> => {
    await Promise.all(Array.from({ length: batch },
      async () => { for (let round = 0; round < rounds; round++) await one(count) }))
  }
  const rows: Row[] = []
  const what = `prompt ${context}, ${common} in common, ${tokens} tokens each`
  for (const batch of batches) {
    // The first read the beginning and touch memory.
    await inFlight(batch, 2, 1)
    const timings = await bench.repeat(repeat, () => bench.time(() => inFlight(batch, tokens, rounds)))
    rows.push(rateRow({ scenario: 'requests', what, batch }, timings, batch * rounds * tokens))
  }
  return rows
}

/**
 * Candidates of one prompt, reading it included: with the prompt stored once where the engine does so for this fan-out,
 * and stored apart.
 */
async function fanOut (bench: Bench, { prompts, candidates, tokens, repeat }: BenchOptions): Promise<Row[]> {
  const rows: Row[] = []
  for (const length of prompts) {
    const fanOuts = bench.served.engine.sharesPrompt(candidates, length) ? [candidates, 1] : [1]
    const timings = new Map(fanOuts.map(fanOut => [fanOut, [] as Timing[]]))
    const bytes: number[] = []
    for (let turn = 0; turn < repeat * fanOuts.length; turn++) {
      const fanOut = fanOuts[turn % fanOuts.length]!
      timings.get(fanOut)!.push(await bench.time(async () => {
        const sequences = await bench.open(length, candidates, { fanOut })
        await bench.grow(sequences, tokens)
        const { kvTokens, kvBytesPerToken } = bench.served.engine.stats()
        if (fanOut === fanOuts[0]) bytes.push((kvTokens - length) / candidates * kvBytesPerToken)
        closeAll(sequences)
      }))
    }
    const labels = (what: string): Labels => ({
      scenario: 'fan-out', what: `prompt ${length}${what}`, batch: candidates
    })
    rows.push(...fanOuts.map(fanOut => rateRow(labels(` stored ${fanOut === 1 ? 'apart' : 'once'}, read and ` +
      `${tokens} tokens each`),
    timings.get(fanOut)!, candidates * tokens)), valueRow(labels(': KV of a candidate beside the prompt'), 'bytes',
      spreadOf(bytes)))
  }
  return rows
}

/** The gaps between the tokens that a stream draws, ms. */
async function gapsOf (bench: Bench, stream: readonly Sequence[], count: number): Promise<number[]> {
  const gaps: number[] = []
  let last = performance.now()
  const onToken = (): void => {
    gaps.push(performance.now() - last)
    last = performance.now()
  }
  await bench.grow(stream, count, { onToken })
  return gaps
}

/** A search of many candidates beside one plain stream: what each does to the other. */
async function mixed (bench: Bench, { context, candidates, tokens, repeat }: BenchOptions): Promise<Row[]> {
  const width = 2 * candidates
  const search = async (): Promise<Timing> => {
    const sequences = await bench.open(context, width, { fanOut: width })
    const timing = await bench.time(() => bench.grow(sequences, tokens))
    closeAll(sequences)
    return timing
  }
  // Graphs for both together are compiled when they are first wanted.
  for (const shared of [1, 2, 3]) await bench.served.model.sessions?.prepare({ private: 1, shared })
  const [gapsAlone, gapsBeside, alone, beside]: [number[], number[], Timing[], Timing[]] = [[], [], [], []]
  for (let run = 0; run < repeat; run++) {
    const stream = await bench.open(context, 1)
    gapsAlone.push(...await gapsOf(bench, stream, 4 * tokens))
    alone.push(await search())
    const searching = new AbortController()
    const searched = search().finally(() => { searching.abort() })
    while (!searching.signal.aborted) gapsBeside.push(...await gapsOf(bench, stream, 8))
    beside.push(await searched)
    closeAll(stream)
  }
  const labels = (what: string, batch: number): Labels => ({ scenario: 'mixed', what, batch })
  const [gapAlone, gapBeside] = [quantile(gapsAlone, 0.99), quantile(gapsBeside, 0.99)]
  const [searchAlone, searchBeside] = [rateRow(labels('search alone', width), alone, width * tokens),
    rateRow(labels('search beside the stream', width), beside, width * tokens)]
  return [
    valueRow(labels('stream alone, gap between tokens, p99', 1), 'ms', spreadOf([gapAlone])),
    valueRow(labels(`stream beside a search of ${width}, gap p99`, 1), 'ms', spreadOf([gapBeside])),
    valueRow(labels('the same over that alone', 1), 'times', spreadOf([gapBeside / gapAlone])),
    searchAlone, searchBeside,
    valueRow(labels('the same over that alone', width), 'times',
      spreadOf([searchBeside.value.median / searchAlone.value.median]))
  ]
}

/** Time to the first output of a prompt, cached and not. */
async function prefixHit (bench: Bench, { prompts, repeat }: BenchOptions): Promise<Row[]> {
  const length = Math.max(...prompts)
  const [cold, warm]: [Timing[], Timing[]] = [[], []]
  for (let run = 0; run < repeat; run++) {
    const prompt = bench.prompt(length)
    for (const timings of [cold, warm]) {
      timings.push(await bench.time(async () => {
        const sequence = bench.served.engine.open(prompt, { salt: `prefix ${run}`, listedLogits: true })
        await sequence.output()
        sequence.close()
      }))
    }
  }
  const labels = (what: string): Labels => ({ scenario: 'prefix-hit', what, batch: 1 })
  return [valueRow(labels(`first output of a prompt of ${length}`), 'ms', spreadOf(times(cold))),
    valueRow(labels('the same, cached'), 'ms', spreadOf(times(warm))),
    valueRow(labels('cached over not'), 'times', ratioOf(times(warm), times(cold))!)]
}

/** One greedy answer that repeats its prompt, and one that does not, with draft tokens and without. */
async function drafts (bench: Bench, { context, tokens, repeat }: BenchOptions): Promise<Row[]> {
  const write = async (prompt: readonly number[], drafting: boolean): Promise<Timing> => {
    const inner = bench.served.engine.open(prompt, { temperature: 0 })
    const lookup = new PromptLookup(prompt)
    const sequence = drafting
      ? new DraftingSequence(inner, {
        lookup,
        profile: bench.served.engine.profile.drafts,
        until: prompt.length + tokens,
        pays: () => true,
        counts: { accepted: 0, rejected: 0 }
      })
      : inner
    await sequence.output()
    const timing = await bench.time(() => bench.grow([sequence], tokens, { temperature: 0 }))
    sequence.close()
    return timing
  }
  const rows: Row[] = []
  for (const [what, promptOf] of [
    ['an answer that repeats its prompt', (text: number[]) => [...text, ...text.slice(0, 16)]],
    ['an answer of its own', (text: number[]) => text]
  ] as const) {
    const [apart, together]: [Timing[], Timing[]] = [[], []]
    for (let run = 0; run < repeat; run++) {
      const prompt = promptOf(bench.prompt(context))
      apart.push(await write(prompt, false))
      together.push(await write(prompt, true))
    }
    const labels = (what: string): Labels => ({ scenario: 'drafts', what, batch: 1 })
    rows.push(rateRow(labels(what), apart, tokens), rateRow(labels('the same with tokens guessed'), together, tokens),
      valueRow(labels('the same over that without'), 'times', ratioOf(times(apart), times(together))!))
  }
  return rows
}

/** What a journal adds to a request of many candidates. */
async function journal (bench: Bench, { context, candidates, tokens, repeat }: BenchOptions): Promise<Row[]> {
  const { off, on } = await journalTurns(bench.served, bench.prompt(context), { candidates, tokens, repeat })
  const times = (turns: readonly JournalTurn[]): number[] => turns.map(({ ms }) => ms)
  const row = (what: string, unit: Row['unit'], value: Spread): Row =>
    valueRow({ scenario: 'journal', what, batch: candidates }, unit, value)
  return [
    row(`best of n, ${tokens} tokens each, without a journal`, 'ms', spreadOf(times(off))),
    row('the same with one', 'ms', spreadOf(times(on))),
    row('the same over that without, turn by turn', 'times', ratioOf(times(on), times(off))!),
    row('recorder and writer without one, of the time', 'times', spreadOf(off.map(one => one.journalMs / one.ms))),
    row('recorder and writer with one, of the time', 'times', spreadOf(on.map(one => one.journalMs / one.ms))),
    row('the journal', 'bytes', spreadOf(on.map(({ bytes }) => bytes)))
  ]
}

const scenarios = {
  decode, prefill, requests, 'fan-out': fanOut, mixed, 'prefix-hit': prefixHit, drafts, journal
} as const
export type ScenarioName = keyof typeof scenarios
export const scenarioNames = Object.keys(scenarios) as ScenarioName[]

/** Runs scenarios one after the other. @param onRows called with the rows of each as it ends */
export async function runScenarios (
  served: LocalModel, names: readonly ScenarioName[], options: BenchOptions,
  onRows: (name: ScenarioName, rows: readonly Row[]) => void
): Promise<Row[]> {
  const bench = new Bench(served)
  await served.model.sessions?.settled()
  const all: Row[] = []
  for (const name of names) {
    const rows = await scenarios[name](bench, options)
    onRows(name, rows)
    all.push(...rows)
  }
  return all
}
