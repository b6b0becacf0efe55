/** From scheduled rows and chunks to sub-batches and passes. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cpuProfile } from '../../../../../src/engine/device-profile.js'
import {
  cutSubBatches, nextDecodePass, nextPrefillPass, type SubBatch
} from '../../../../../src/engine/executor/cpu/batch-planner.js'
import type { KvSequence } from '../../../../../src/engine/kv/kv-manager.js'
import { Placement } from '../../../../../src/engine/kv/slots/placement.js'
import { SharedPrompt } from '../../../../../src/engine/kv/slots/shared-prompt.js'

const { passes } = cpuProfile
const sequence: KvSequence = { tokens: [], runs: [], opened: true, salt: '', poolFrom: 0, adopt: () => {} }

function placed (slot: number): Placement<KvSequence> {
  const placement = new Placement(sequence)
  placement.slot = slot
  return placement
}

function subBatch (slot: number, prompt: SharedPrompt | null, numNewTokens = 1): SubBatch<KvSequence> {
  return { prompt, slot, count: 1, rows: [placed(slot)], numNewTokens }
}

const slotsOf = ({ subBatches }: { readonly subBatches: ReadonlyArray<SubBatch<KvSequence>> }): number[] =>
  subBatches.map(({ slot }) => slot)

test('neighbours decode in one sub-batch; padding fills small gaps, wide ones and slab borders divide', () => {
  const cut = (slots: readonly number[], canPad = (_slot: number): boolean => true): Array<readonly number[]> =>
    cutSubBatches(slots.map(placed), canPad, passes.passCostInRows)
      .map(({ slot, count, rows }) => [slot, count, ...rows.map(row => row.slot)])
  assert.deepEqual(cut([]), [])
  assert.deepEqual(cut([3, 4, 5]), [[3, 3, 3, 4, 5]])
  assert.deepEqual(cut([0, 5]), [[0, 6, 0, 5]])
  assert.deepEqual(cut([0, 6]), [[0, 1, 0], [6, 1, 6]])
  assert.deepEqual(cut([0, 2], slot => slot !== 1), [[0, 1, 0], [2, 1, 2]])
  assert.deepEqual(cut([31, 32]), [[31, 1, 31], [32, 1, 32]])
})

test('a pass takes one sub-batch of private KV and as many with shared prompts as there is a graph for', () => {
  const prompt = new SharedPrompt(0, [])
  const left = [subBatch(0, prompt), subBatch(1, null), subBatch(2, prompt), subBatch(3, null), subBatch(4, prompt)]
  const asked: string[] = []
  const slots = (most: number): number[] => slotsOf(nextDecodePass(
    left, shape => { asked.push(`${shape.private}+${shape.shared}`); return shape.shared <= most }, passes
  ))
  assert.deepEqual(slots(4), [1, 0, 2, 4])
  assert.deepEqual(slots(1), [1, 0])
  assert.deepEqual(slots(0), [1])
  assert.deepEqual(asked, ['1+3', '1+3', '1+2', '1+1', '1+3', '1+2', '1+1'])
  assert.deepEqual(slotsOf(nextDecodePass([subBatch(0, prompt), subBatch(1, prompt)], () => false, passes)), [0])
  const many = Array.from({ length: 9 }, (_, slot) => subBatch(slot, prompt))
  assert.equal(nextDecodePass(many, () => true, passes).subBatches.length, 4)
})

test('short chunks run together, as many as there is a graph for; long ones alone', () => {
  const left = [100, 5, 64, 65, 7, 9].map((count, slot) => subBatch(slot, null, count))
  const slots = (most: number): number[] =>
    slotsOf(nextPrefillPass(left, shape => shape.chunks === true && shape.private <= most, passes))
  assert.deepEqual(slots(8), [1, 2, 4, 5])
  assert.deepEqual(slots(2), [1, 2])
  assert.deepEqual(slots(1), [0])
})
