import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chunkRun, commonLength, coveredLength, decodeRun } from '../../../src/engine/kv/history.js'
import { nextChunks, nextRun, planChunks, planParts, type DecodePart } from '../../../src/engine/scheduler/plan.js'
import { SharedPrompt } from '../../../src/engine/kv/slots/kv-cache.js'
import { PrefixCache } from '../../../src/engine/kv/prefix-cache.js'
import { SlotTable } from '../../../src/engine/kv/slots/slots.js'
import { chunkBudget, isStream, takeTurns } from '../../../src/engine/scheduler/turns.js'
import { DecoderSessions } from '../../../src/models/graph/decoder-sessions.js'
import { probeShape } from '../../../src/models/graph/run-shape.js'
import type { Session, SharedWeights } from '../../../src/runtime/session.js'

const always = (): boolean => true
const chunks = (
  ...tokens: number[]
): { tokens: number[], runs: number[] } => ({ tokens, runs: tokens.map(() => chunkRun) })

test('neighbours decode in one batch; small gaps ride along, wide ones and slab borders divide', () => {
  assert.deepEqual(planParts([], always), [])
  assert.deepEqual(planParts([3, 4, 5], always), [{ shared: null, slot: 3, count: 3, rows: [0, 1, 2] }])
  assert.deepEqual(planParts([0, 5], always), [{ shared: null, slot: 0, count: 6, rows: [0, 5] }])
  assert.deepEqual(planParts([0, 6], always).length, 2)
  assert.deepEqual(planParts([0, 2], slot => slot !== 1).length, 2)
  assert.deepEqual(planParts([31, 32], always).map(run => run.slot), [31, 32])
})

test('a run takes a private part and as many shared ones as there is a graph for', () => {
  const prompt = new SharedPrompt(0, [])
  const part = (slot: number, shared: SharedPrompt | null): DecodePart => ({ shared, slot, count: 1, rows: [0] })
  const parts = [part(0, prompt), part(1, null), part(2, prompt), part(3, null), part(4, prompt)]
  const asked: string[] = []
  const slotsOf = (most: number): number[] => nextRun(
    parts, shape => { asked.push(`${shape.private}+${shape.shared}`); return shape.shared <= most }
  ).parts.map(({ slot }) => slot)
  assert.deepEqual(slotsOf(4), [1, 0, 2, 4])
  assert.deepEqual(slotsOf(1), [1, 0])
  assert.deepEqual(slotsOf(0), [1])
  assert.deepEqual(asked, ['1+3', '1+3', '1+2', '1+1', '1+3', '1+2', '1+1'])
  assert.deepEqual(nextRun([part(0, prompt), part(1, prompt)], () => false).parts.map(({ slot }) => slot), [0])
  assert.equal(nextRun(Array.from({ length: 9 }, (_, slot) => part(slot, prompt)), () => true).parts.length, 4)
})

test('beside a stream a search runs some rows of one part, that of the row that waited longest', () => {
  interface Row { part: number, index: number, isStream: boolean, joins: (other: Row) => boolean }
  const rowsOf = (fanOut: number, count: number, part = 0): Row[] => Array.from({ length: count },
    (_, index) => ({ part, index, isStream: isStream(fanOut), joins: other => other.part === part }))
  const [search, stream] = [rowsOf(64, 20), rowsOf(1, 1)]
  assert.deepEqual(takeTurns(search), { rows: search, beside: false })
  const { rows, beside } = takeTurns([...search.slice(0, 3), ...stream, ...search.slice(3)])
  assert.deepEqual(rows, [...search.slice(0, 3), ...stream, ...search.slice(3, 12)])
  assert.equal(beside, true)
  // A stream that is probed waits for the step as one that decodes does.
  assert.deepEqual(takeTurns(search, true), { rows: search.slice(0, 12), beside: true })
  // However many streams there are, none is held back; and the last candidates of one search hold up no other.
  assert.equal(takeTurns([...rowsOf(1, 40), ...search]).rows.length, 52)
  assert.equal(takeTurns([...rowsOf(16, 2), ...search]).rows.length, 22)
  const [other, more] = [rowsOf(64, 3, 1), rowsOf(64, 20, 2)]
  assert.deepEqual(takeTurns([...stream, ...other, ...more]).rows, [...stream, ...other])
  assert.deepEqual(takeTurns([...more.slice(0, 1), ...other, ...stream, ...more.slice(1)]).rows,
    [...more.slice(0, 1), ...stream, ...more.slice(1, 12)])
  assert.deepEqual([chunkBudget(1, 1, 128), chunkBudget(40, 1, 128), chunkBudget(100, 1, 128), chunkBudget(1, 5, 128),
    chunkBudget(1, 20, 256), chunkBudget(100, 1, 64)], [16, 80, 128, 80, 128, 64])
})

test('chunks share a budget, oldest first, and never leave one position, nor one alone in a block of attention', () => {
  const plan = (counts: readonly number[], budget: number): number[] =>
    planChunks(counts.map((count, slot) => ({ slot, count })), budget).map(run => run.count)
  assert.deepEqual(plan([10], 64), [10])
  assert.deepEqual(plan([100], 64), [64])
  assert.deepEqual(plan([65], 64), [63])
  assert.deepEqual(plan([3], 2), [3])
  assert.deepEqual([plan([33], 64), plan([34], 33), plan([65, 5], 128)], [[31], [32], [63, 5]])
  assert.deepEqual(plan([10, 10, 10], 21), [10, 10])
  assert.deepEqual(plan([10, 10, 10], 22), [10, 10, 2])
})

test('histories are equal where tokens and ways of running are', () => {
  const a = { tokens: [1, 2, 3, 4], runs: [chunkRun, chunkRun, decodeRun] }
  assert.equal(commonLength(a, a), 3)
  assert.equal(commonLength(a, { tokens: [1, 2, 3, 4], runs: [chunkRun, chunkRun, chunkRun, chunkRun] }), 2)
  assert.equal(coveredLength(a, [1, 2, 3]), 2)
  assert.equal(coveredLength(a, [1, 9]), 1)
})

test('a slot is taken for what it holds if that is most of what is wanted, else the lowest', () => {
  const slots = new SlotTable(4)
  for (let slot = 0; slot < 4; slot++) assert.deepEqual(slots.take(chunks()), { slot, length: 0 })
  assert.equal(slots.take(chunks()), null)
  slots.free(3, chunks(1, 2, 3, 4))
  slots.free(1, chunks(1, 9))
  assert.deepEqual(slots.take(chunks(1, 2, 3, 5)), { slot: 3, length: 3 })
  slots.free(3, chunks(1, 2, 3, 4))
  assert.deepEqual(slots.take(chunks(1, 2, 7, 8)), { slot: 1, length: 1 })
  slots.pin(3)
  assert.equal(slots.take(chunks()), null)
  slots.unpin(3)
  assert.equal(slots.take(chunks())?.slot, 3)
})

test('a window is neighbouring slots of one slab, free or one’s own, where most are one’s own', () => {
  const slots = new SlotTable(12)
  for (let slot = 0; slot < 12; slot++) slots.take(chunks())
  for (const slot of [2, 3, 5, 6, 7, 8, 9]) slots.free(slot, chunks(1))
  const window = (size: number, ...own: number[]): number | null => slots.window(size, 6, new Set(own))
  assert.deepEqual([window(2), window(3), window(4), window(5)], [2, 6, 6, null])
  assert.deepEqual([window(3, 4), window(3, 10), window(4, 10, 11), window(5, 4), window(3, 2, 8)], [2, 8, 8, null, 6])
  assert.deepEqual([window(4, 1, 4), window(5, 0, 1, 4)], [1, 0])
  slots.pin(8)
  assert.deepEqual([window(3), window(2), window(3, 8)], [null, 2, 6])
})

test('what a slot was left with counts until its memory is gone, whoever has the slot', () => {
  const slots = new SlotTable(4)
  slots.take(chunks())
  slots.free(0, chunks(1, 2, 3))
  assert.equal(slots.touchedTokens, 3)
  slots.takeSlot(0)
  slots.free(0, chunks(9))
  assert.deepEqual([slots.touchedTokens, slots.leftLength(0)], [3, 1])
  slots.empty(0)
  assert.deepEqual([slots.touchedTokens, slots.leftLength(0)], [0, 0])
})

test('the prefix cache keeps what prompts begin with once, by whole blocks of a salt', () => {
  const cache = new PrefixCache(10 * 4, [1])
  const prompt = (length: number, from = 0, common = 0): ReturnType<typeof chunks> =>
    chunks(...Array.from({ length }, (_, index) => index < common ? index : from + index))
  const reads: number[] = []
  const keep = (history: ReturnType<typeof chunks>, salt = 'a'): void => {
    cache.keep(history, salt, (start, kv) => { reads.push(start); kv.data[0] = start })
  }
  const found = (history: ReturnType<typeof chunks>, salt = 'a'): number =>
    cache.find(history.tokens, salt)?.length ?? 0
  keep(prompt(40))
  assert.deepEqual(reads, [0, 16])
  // Another with the same first block adds only what differs.
  keep(prompt(40, 500, 20))
  assert.deepEqual(reads.slice(2), [16])
  assert.equal(cache.sizeBytes, 3 * 4)
  assert.deepEqual([found(prompt(50)), found(prompt(31)), found(prompt(15)), found(prompt(50), 'b'),
    found(prompt(50, 500, 20))], [32, 16, 0, 0, 32])
  assert.deepEqual(cache.find(prompt(50).tokens, 'a')!.blocks.map(({ data }) => data[0]), [0, 16])
  // Positions run alone are not those of a prompt.
  keep({
    tokens: prompt(40, 900).tokens,
    runs: [...new Array<number>(20).fill(chunkRun), ...new Array<number>(20).fill(decodeRun)]
  })
  assert.equal(found(prompt(40, 900)), 16)
})

test('the prefix cache lets go of what was used longest ago, ends of prompts before their beginnings', () => {
  const cache = new PrefixCache(4 * 4, [1])
  const prompt = (length: number, from = 0): ReturnType<typeof chunks> =>
    chunks(...Array.from({ length }, (_, index) => from + index))
  const keep = (history: ReturnType<typeof chunks>): void => {
    cache.keep(history, '', (start, kv) => { kv.data[0] = start })
  }
  const found = (history: ReturnType<typeof chunks>): number => cache.find(history.tokens, '')?.length ?? 0
  keep(prompt(48))
  keep(prompt(16, 100))
  assert.deepEqual([found(prompt(16, 100)), found(prompt(48))], [16, 48])
  keep(prompt(32, 200))
  // In memory of those that went, but none that are there.
  assert.deepEqual(cache.find(prompt(32, 200).tokens, '')!.blocks.concat(cache.find(prompt(32).tokens, '')!.blocks)
    .map(({ data }) => data[0]), [0, 16, 0, 16])
  assert.deepEqual([found(prompt(32, 200)), found(prompt(48)), found(prompt(16, 100))], [32, 32, 0])
  // One that is larger than the cache is kept as far as it fits.
  keep(prompt(160, 300))
  assert.equal(found(prompt(160, 300)), 64)
  assert.equal(cache.sizeBytes, 16)
  const off = new PrefixCache(0, [1])
  off.keep(prompt(20), 'a', () => { throw new Error('kept') })
  assert.equal(off.find(prompt(20).tokens, 'a'), null)
})

test('short chunks run together, as many as there is a graph for; long ones alone', () => {
  const chunks = [100, 5, 64, 65, 7, 9].map((count, slot) => ({ slot, count }))
  const slots = (most: number): number[] =>
    nextChunks(chunks, shape => shape.chunks === true && shape.private <= most).chunks.map(chunk => chunk.slot)
  assert.deepEqual(slots(8), [1, 2, 4, 5])
  assert.deepEqual(slots(2), [1, 2])
  assert.deepEqual(slots(1), [0])
})

test('once disposed no graph is compiled, whoever waits for one, and the weights go after that under way', async () => {
  const said: string[] = []
  let compiled = (): void => {}
  const sessions = await DecoderSessions.create({
    weights: { dispose () { said.push('weights freed') } } as SharedWeights,
    async compile ({ private: alone, shared, probedLayers }) {
      said.push('compiled')
      if (probedLayers !== undefined || alone + shared > 1) await new Promise<void>(resolve => { compiled = resolve })
      return { dispose () { said.push('freed') } } as Session
    },
    onProblem: message => { said.push(message) }
  })
  const waiting = [sessions.prepare(probeShape(1)), sessions.prepare(probeShape(2))]
  sessions.dispose()
  compiled()
  await Promise.all(waiting)
  assert.equal(sessions.find(probeShape(1)), null)
  assert.deepEqual(said, ['compiled', 'compiled', 'compiled', 'freed', 'freed', 'freed', 'weights freed'])
})
