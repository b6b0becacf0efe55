/** Fairness between streams and searches, and between callers. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cpuProfile } from '../../../../src/engine/device-profile.js'
import { chooseRows, promptsBeside, streamStepBudget } from '../../../../src/engine/scheduler/fairness.js'

const { scheduling } = cpuProfile
interface Row {
  readonly subBatch: number, readonly index: number, readonly isStream: boolean, readonly caller: string
}

const rowsOf = (isStream: boolean, count: number, subBatch = 0, caller = ''): Row[] =>
  Array.from({ length: count }, (_, index) => ({ subBatch, index, isStream, caller }))
const streamsOf = (caller: string, count: number): Row[] => rowsOf(true, count, 0, caller)
const choose = (rows: readonly Row[], probed: readonly Row[] = []): ReturnType<typeof chooseRows<Row>> =>
  chooseRows(rows, probed, (a, b) => a.subBatch === b.subBatch, scheduling)
const rowsByCaller = (rows: readonly Row[]): unknown =>
  Object.fromEntries([...new Set(rows.map(({ caller }) => caller))]
    .map(name => [name, choose(rows).rows.filter(({ caller }) => caller === name).length]))

test('beside a stream a search runs some rows of one sub-batch, that of the row that waited longest', () => {
  const [search, stream] = [rowsOf(false, 20), rowsOf(true, 1)]
  assert.deepEqual(choose(search), { rows: search, streamCallers: new Set() })
  const { rows, streamCallers } = choose([...search.slice(0, 3), ...stream, ...search.slice(3)])
  assert.deepEqual(rows, [...search.slice(0, 3), ...stream, ...search.slice(3, 12)])
  assert.deepEqual(streamCallers, new Set(['']))
  // A stream that is probed waits for the step as one that decodes does.
  assert.deepEqual(choose(search, stream), { rows: search.slice(0, 12), streamCallers: new Set(['']) })
  // However many streams there are, none is held back; and the last candidates of one search hold up no other.
  assert.equal(choose([...rowsOf(true, 40), ...search]).rows.length, 52)
  assert.equal(choose([...rowsOf(false, 2), ...search]).rows.length, 22)
  const [other, more] = [rowsOf(false, 3, 1), rowsOf(false, 20, 2)]
  assert.deepEqual(choose([...stream, ...other, ...more]).rows, [...stream, ...other])
  assert.deepEqual(choose([...more.slice(0, 1), ...other, ...stream, ...more.slice(1)]).rows,
    [...more.slice(0, 1), ...stream, ...more.slice(1, 12)])
})

test('many streams of one caller are to few of another what a search is; among equals none is held back', () => {
  assert.deepEqual(rowsByCaller([...streamsOf('many', 100), ...streamsOf('one', 1)]), { many: 12, one: 1 })
  assert.deepEqual(rowsByCaller([...streamsOf('some', 12), ...streamsOf('one', 1)]), { some: 12, one: 1 })
  assert.deepEqual(rowsByCaller([...streamsOf('many', 100), ...streamsOf('more', 150)]), { many: 100, more: 150 })
  assert.deepEqual(rowsByCaller(streamsOf('alone', 100)), { alone: 100 })
  // Those that are held back take turns, whoever has waited longest.
  const held = [...streamsOf('many', 100), ...rowsOf(false, 30, 0, 'search'), ...streamsOf('one', 2)]
  assert.deepEqual(rowsByCaller(held), { many: 6, search: 6, one: 2 })
  assert.deepEqual(choose(held).streamCallers, new Set(['one']))
})

test('beside streams prompts have a budget that grows with those who wait, up to a limit', () => {
  const budget = (rows: number, prompts: number, usual: number): number =>
    streamStepBudget(rows, prompts, usual, scheduling)
  assert.deepEqual([budget(1, 1, 128), budget(40, 1, 128), budget(100, 1, 128), budget(1, 5, 128), budget(1, 20, 256),
    budget(100, 1, 64)], [16, 80, 128, 80, 128, 64])
})

test('a stream waits for each prompt of its own caller, and for one of any other', () => {
  const prompts = [...streamsOf('many', 100), ...streamsOf('few', 2)]
  const counted = (...callers: string[]): number => promptsBeside(new Set(callers), prompts)
  assert.deepEqual([counted('many'), counted('few'), counted('other'), counted('many', 'other')], [101, 3, 2, 2])
  assert.equal(promptsBeside(new Set(['other']), []), 0)
})
