/** Fairness between streams and searches. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cpuProfile } from '../../../../src/engine/device-profile.js'
import { chooseRows, streamStepBudget } from '../../../../src/engine/scheduler/fairness.js'

const { scheduling } = cpuProfile
interface Row { readonly subBatch: number, readonly index: number, readonly isStream: boolean }

const rowsOf = (isStream: boolean, count: number, subBatch = 0): Row[] =>
  Array.from({ length: count }, (_, index) => ({ subBatch, index, isStream }))
const choose = (rows: readonly Row[], isStreamWaiting = false): ReturnType<typeof chooseRows<Row>> =>
  chooseRows(rows, (a, b) => a.subBatch === b.subBatch, isStreamWaiting, scheduling)

test('beside a stream a search runs some rows of one sub-batch, that of the row that waited longest', () => {
  const [search, stream] = [rowsOf(false, 20), rowsOf(true, 1)]
  assert.deepEqual(choose(search), { rows: search, besideStream: false })
  const { rows, besideStream } = choose([...search.slice(0, 3), ...stream, ...search.slice(3)])
  assert.deepEqual(rows, [...search.slice(0, 3), ...stream, ...search.slice(3, 12)])
  assert.equal(besideStream, true)
  // A stream that is probed waits for the step as one that decodes does.
  assert.deepEqual(choose(search, true), { rows: search.slice(0, 12), besideStream: true })
  // However many streams there are, none is held back; and the last candidates of one search hold up no other.
  assert.equal(choose([...rowsOf(true, 40), ...search]).rows.length, 52)
  assert.equal(choose([...rowsOf(false, 2), ...search]).rows.length, 22)
  const [other, more] = [rowsOf(false, 3, 1), rowsOf(false, 20, 2)]
  assert.deepEqual(choose([...stream, ...other, ...more]).rows, [...stream, ...other])
  assert.deepEqual(choose([...more.slice(0, 1), ...other, ...stream, ...more.slice(1)]).rows,
    [...more.slice(0, 1), ...stream, ...more.slice(1, 12)])
})

test('beside streams prompts have a budget that grows with those who wait, up to a limit', () => {
  const budget = (rows: number, prompts: number, usual: number): number =>
    streamStepBudget(rows, prompts, usual, scheduling)
  assert.deepEqual([budget(1, 1, 128), budget(40, 1, 128), budget(100, 1, 128), budget(1, 5, 128), budget(1, 20, 256),
    budget(100, 1, 64)], [16, 80, 128, 80, 128, 64])
})
