/** Which slots are taken, and what free ones still hold. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { prefillRun } from '../../../../../src/engine/kv/history.js'
import { SlotTable } from '../../../../../src/engine/kv/slots/slot-table.js'

const prefilled = (
  ...tokens: number[]
): { tokens: number[], runs: number[] } => ({ tokens, runs: tokens.map(() => prefillRun) })

test('a slot is taken for what it holds if that is most of what is wanted, else the lowest', () => {
  const slots = new SlotTable(4, 0.75)
  for (let slot = 0; slot < 4; slot++) assert.deepEqual(slots.take(prefilled()), { slot, length: 0 })
  assert.equal(slots.take(prefilled()), null)
  slots.free(3, prefilled(1, 2, 3, 4))
  slots.free(1, prefilled(1, 9))
  assert.deepEqual(slots.take(prefilled(1, 2, 3, 5)), { slot: 3, length: 3 })
  slots.free(3, prefilled(1, 2, 3, 4))
  assert.deepEqual(slots.take(prefilled(1, 2, 7, 8)), { slot: 1, length: 1 })
  slots.pin(3)
  assert.equal(slots.take(prefilled()), null)
  slots.unpin(3)
  assert.equal(slots.take(prefilled())?.slot, 3)
})

test('a window is neighbouring slots of one slab, free or one’s own, where most are one’s own', () => {
  const slots = new SlotTable(12, 0.75)
  for (let slot = 0; slot < 12; slot++) slots.take(prefilled())
  for (const slot of [2, 3, 5, 6, 7, 8, 9]) slots.free(slot, prefilled(1))
  const window = (size: number, ...own: number[]): number | null => slots.window(size, 6, new Set(own))
  assert.deepEqual([window(2), window(3), window(4), window(5)], [2, 6, 6, null])
  assert.deepEqual([window(3, 4), window(3, 10), window(4, 10, 11), window(5, 4), window(3, 2, 8)], [2, 8, 8, null, 6])
  assert.deepEqual([window(4, 1, 4), window(5, 0, 1, 4)], [1, 0])
  slots.pin(8)
  assert.deepEqual([window(3), window(2), window(3, 8)], [null, 2, 6])
})

test('what a slot was left with counts until its memory is gone, whoever has the slot', () => {
  const slots = new SlotTable(4, 0.75)
  slots.take(prefilled())
  slots.free(0, prefilled(1, 2, 3))
  assert.equal(slots.touchedTokens, 3)
  slots.takeSlot(0)
  slots.free(0, prefilled(9))
  assert.deepEqual([slots.touchedTokens, slots.leftLength(0)], [3, 1])
  slots.empty(0)
  assert.deepEqual([slots.touchedTokens, slots.leftLength(0)], [0, 0])
})
