import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DecodeEvent } from '../../../src/decoding/events.js'
import type { CandidateReport, TraceStep } from '../../../src/decoding/result.js'
import type { Entry, TimedEntry } from '../../../src/journal/entries.js'
import { fold, type Lineage, type Run } from '../../../src/journal/fold.js'
import { Recorder, type RecorderOptions } from '../../../src/journal/recorder.js'
import { JournalWriter } from '../../../src/journal/wire.js'
import { randomStream } from '../../../src/policies/random-stream.js'
import { canReturnTwo, everyStrategy, oddities, run, type ToyRun } from '../../helpers/run-strategy.js'
import type { ToyRequestOptions } from '../../helpers/toy-policy.js'

const isTimed = (entry: Entry): entry is TimedEntry => 't' in entry
const entriesOf = (events: readonly DecodeEvent[]): TimedEntry[] =>
  events.flatMap(event => event.type === 'journal' ? event.entries.filter(isTimed) : [])

/** A request's reward, by name. */
const scorer = {
  ...oddities, used: [{ name: 'toy', member: 'prefix', version: '1', weight: 1 }] as const
}

/** Runs a request with a journal. */
async function record (
  alignment: Record<string, unknown> | null, options: Partial<RecorderOptions>, given: ToyRequestOptions
): Promise<ToyRun & { readonly entries: readonly TimedEntry[] }> {
  const journal = new Recorder({ now: () => 0, ...options })
  journal.start({
    seed: 1, strategy: '', resolved: {}, rewards: [['toy', 'prefix', '1', 1]], prompt: 1, dropped: 0
  })
  const started = journal.take()
  const ran = await run(alignment, { scorer, ...given, journal })
  return { ...ran, entries: [...started, ...entriesOf(ran.events)] }
}

/** A candidate of a journal as a response reports it. */
function reportOf (
  { index, parent, text, tokens, ended, droppedAt, reward, parts, lnPolicy }: Lineage
): CandidateReport {
  const [part] = parts
  return {
    index,
    parent,
    text,
    tokens,
    finishReason: ended === 'budget' ? 'length' : ended,
    prunedAt: droppedAt,
    score: reward === null ? null : { value: reward, rewards: { toy: { raw: part![0], standardized: part![1] } } },
    logprob: lnPolicy!
  }
}

function assertTells (folded: Run, { result, texts }: ToyRun, what: string): void {
  const told = [...folded.candidates.values()].sort((a, b) => a.index - b.index).map(reportOf)
  assert.deepEqual(told, result.candidates, what)
  assert.deepEqual(folded.select?.chosen, result.choices.map(({ candidateIndex }) => candidateIndex), what)
  const sent = folded.choices.map(({ index, characters }) => folded.candidates.get(index!)!.text.slice(0, characters))
  assert.deepEqual(sent, texts, what)
}

/** Everything that requests can ask of a strategy, with limits that end it early and with stop sequences. */
function * requests (): Generator<readonly [Record<string, unknown> | null, ToyRequestOptions, string]> {
  for (let seed = 1; seed <= 4; seed++) {
    for (const alignment of [null, ...everyStrategy]) {
      const n = seed % 2 === 0 && (!alignment || canReturnTwo(alignment)) ? 2 : 1
      const limits = seed % 3 === 0 ? { maxGeneratedTokens: 9 } : {}
      const stop = seed > 2 ? ['ab', 'bca'] : []
      yield [alignment, { seed, n, limits, sampling: { maxTokens: 6, stop } },
        `${JSON.stringify(alignment)}, seed ${seed}, n ${n}`]
    }
  }
}

test('a journal folds to the candidates, the choices and the text of the response, for every strategy', async () => {
  for (const [alignment, given, what] of requests()) {
    for (const options of [{}, { pieces: true }, { alternatives: 3 }]) {
      const ran = await record(alignment, options, given)
      assertTells(fold(ran.entries), ran, what)
    }
  }
})

test('growth that is told late or at every token folds to the same', async () => {
  for (const [alignment, given, what] of requests()) {
    for (const pieces of [false, true]) {
      const random = randomStream(given.seed!, 'clock')
      let now = 0
      const ran = await record(alignment, { pieces, now: () => (now += random.next() * 100) }, given)
      assertTells(fold(ran.entries), ran, what)
      assert.deepEqual(ran.entries.map(({ t }) => t), ran.entries.map(({ t }) => t).sort((a, b) => a - b))
    }
  }
})

/** Steps by the candidates that they kept and dropped, and the rewards of these. */
const shown = (events: readonly DecodeEvent[]): TraceStep[] => events.flatMap(event => {
  if (event.type !== 'progress') return []
  const listed = (isKept: boolean): TraceStep['kept'] => event.candidates
    .filter(({ kept }) => kept === isKept).map(({ index, reward }) => [index, reward])
  return [{ step: event.step, kept: listed(true), dropped: listed(false) }]
})

test('recording changes no token and no event; the trace is what progress shows', async () => {
  const kinds = ['text', 'choice-end', 'selection', 'candidate']
  const compared = (events: readonly DecodeEvent[]): DecodeEvent[] => events.filter(({ type }) => kinds.includes(type))
  for (const [given, options, what] of requests()) {
    const alignment = given && { ...given, return_trace: true, return_progress: true }
    const plain = await run(given, { scorer, ...options })
    const { result: { trace, ...result }, events } =
      await record(alignment, { everyToken: true, alternatives: 2 }, options)
    assert.deepEqual(result, plain.result, what)
    assert.deepEqual(compared(events), compared(plain.events), what)
    assert.deepEqual(trace ?? [], shown(events), what)
  }
})

test('a journal that is sent folds to rounded figures of the same run', async () => {
  const round = (value: number): number => Math.round(value * 1000) / 1000
  for (const [alignment, given, what] of requests()) {
    const ran = await record(alignment, {}, given)
    const run = fold(new JournalWriter().write(ran.entries))
    for (const { index, text, score, logprob } of ran.result.candidates) {
      const lineage = run.candidates.get(index)!
      assert.equal(lineage.text, text, what)
      assert.ok(Math.abs((lineage.reward ?? 0) - round(score?.value ?? 0)) <= 1e-3, what)
      assert.ok(Math.abs(lineage.lnPolicy! - logprob) <= 0.00501, what)
    }
    assert.equal(run.missing, 0)
  }
})
