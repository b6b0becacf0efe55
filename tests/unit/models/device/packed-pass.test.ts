import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { PackedPass } from '../../../../src/models/device/device-decoder.js'
import { checkPass, passTensors } from '../../../../src/models/device/packed-pass.js'

const limits = { layers: 2, numBlocks: 8, blockSize: 32, maxBlocksPerSequence: 2 }
/** A chunk of two tokens, and one token after forty. */
const pass: PackedPass = {
  tokenIds: Int32Array.of(5, 6, 7),
  cumulativeLengths: Int32Array.of(0, 2, 3),
  pastLengths: Int32Array.of(0, 40),
  blockTables: Int32Array.of(1, 0, 2, 3),
  longestPart: 4,
  longestSequence: 41,
  rows: Int32Array.of(1, 2),
  inverseTemperatures: Float32Array.of(1, 2),
  logitRows: [1],
  stateLayers: [2],
  stateRows: Int32Array.of(2)
}

test('a pass becomes the inputs of its graph', () => {
  checkPass(pass, limits)
  const inputs = [...passTensors(pass, limits)].map(([name, { type, dims, data }]) => [name, type, dims, [...data]])
  assert.deepEqual(inputs, [
    ['input_ids', 'int32', [3], [5, 6, 7]],
    ['cumulative', 'int32', [3], [0, 2, 3]],
    ['past', 'int32', [2], [0, 40]],
    ['block_table', 'int32', [2, 2], [1, 0, 2, 3]],
    ['attention_metadata', 'int32', [2], [4, 41]],
    ['state_rows', 'int32', [1], [2]],
    ['rows', 'int32', [2], [1, 2]],
    ['inverse_temperature', 'float32', [2, 1], [1, 2]],
    ['logit_rows', 'int32', [1], [1]]
  ])
})

const refused: ReadonlyArray<readonly [Partial<PackedPass>, RegExp]> = [
  [{ blockTables: Int32Array.of(1, 0, 2, 8) }, /numbers of the 8 blocks/],
  [{ blockTables: Int32Array.of(1, 0, 2) }, /do not fit each other/],
  [{ cumulativeLengths: Int32Array.of(0, 2, 4) }, /from 0 to 3/],
  [{ cumulativeLengths: Int32Array.of(0, 3, 3) }, /sequence 1 has 0 tokens/],
  [{ longestPart: 1 }, /sequence 0 exceeds the bounds/],
  [{ longestSequence: 40 }, /sequence 1 exceeds the bounds/],
  [{ pastLengths: Int32Array.of(0, 64), longestSequence: 99 }, /sequence 1 exceeds its block table/],
  [{ rows: Int32Array.of(1, 3) }, /rows must be tokens/],
  [{ stateRows: Int32Array.of(-1) }, /rows must be tokens/],
  [{ inverseTemperatures: Float32Array.of(1) }, /needs a temperature/],
  [{ logitRows: [2] }, /rows of logits must be/],
  [{ stateLayers: [3] }, /from 0 to 2/],
  [{ stateRows: new Int32Array() }, /layers need rows/],
  [{
    rows: new Int32Array(),
    inverseTemperatures: new Float32Array(),
    logitRows: [],
    stateLayers: [],
    stateRows: new Int32Array()
  }, /must give rows or hidden states/]
]
for (const [change, message] of refused) {
  test(`refused: ${message.source}`, () => { assert.throws(() => { checkPass({ ...pass, ...change }, limits) }, message) })
}
