/** How prompts are cut into prefill chunks. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cutChunks } from '../../../../src/engine/scheduler/prefill-chunks.js'

test('chunks share a budget, oldest first, and never leave one position, nor one alone in a block of attention', () => {
  const cut = (counts: readonly number[], budget: number): number[] =>
    cutChunks(counts.map(numNewTokens => ({ numNewTokens })), budget, 32).map(chunk => chunk.numNewTokens)
  assert.deepEqual(cut([10], 64), [10])
  assert.deepEqual(cut([100], 64), [64])
  assert.deepEqual(cut([65], 64), [63])
  assert.deepEqual(cut([3], 2), [3])
  assert.deepEqual([cut([33], 64), cut([34], 33), cut([65, 5], 128)], [[31], [32], [63, 5]])
  assert.deepEqual(cut([10, 10, 10], 21), [10, 10])
  assert.deepEqual(cut([10, 10, 10], 22), [10, 10, 2])
})
