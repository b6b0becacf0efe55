/** A pass as a device takes it: where its parts are, and what it is filled up with. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { packPass, type PackedPart } from '../../../../../src/engine/executor/device/pack-pass.js'
import { decodeRun, prefillRun, shortRun } from '../../../../../src/engine/kv/history.js'

const part = (tokens: readonly number[], more: Partial<PackedPart> = {}): PackedPart => ({
  tokens,
  past: 0,
  blocks: [5],
  firstRow: tokens.length - 1,
  wantsLogits: false,
  inverseTemperature: 2,
  firstState: tokens.length,
  ...more
})

test('parts are one after the other, their rows and states where they are said to be', () => {
  const parts = [part([1, 2, 3], { past: 33, blocks: [4, 6], firstRow: 0, wantsLogits: true, firstState: 1 }),
    part([7, 8], { firstState: 1 })]
  const { pass, places, numFillers } = packPass(parts, shortRun, [0, 2], 3)
  assert.equal(numFillers, 0)
  assert.deepEqual(pass, {
    tokenIds: Int32Array.of(1, 2, 3, 7, 8),
    cumulativeLengths: Int32Array.of(0, 3, 5),
    pastLengths: Int32Array.of(33, 0),
    blockTables: Int32Array.of(4, 6, 0, 5, 0, 0),
    longestPart: 4,
    longestSequence: 36,
    rows: Int32Array.of(0, 1, 2, 4),
    inverseTemperatures: Float32Array.of(2, 2, 2, 2),
    logitRows: [0, 1, 2],
    stateLayers: [0, 2],
    stateRows: Int32Array.of(1, 2, 4)
  })
  assert.deepEqual(places, [{ row: 0, state: 0 }, { row: 3, state: 2 }])
})

test('fillers make four tokens and rows, or as many as the kernel is for, in a block of nobody’s', () => {
  const filled = (tokens: readonly number[], run: number): unknown => {
    const { pass, numFillers } = packPass([part(tokens)], run, [], 1)
    return [numFillers, [...pass.cumulativeLengths], [...pass.blockTables], [...pass.rows], pass.longestPart]
  }
  assert.deepEqual(filled([1], decodeRun), [3, [0, 1, 2, 3, 4], [5, 0, 0, 0], [0, 0, 0, 0], 1])
  assert.deepEqual(filled([1, 2], shortRun), [2, [0, 2, 4], [5, 0], [1, 1, 1, 1], 4])
  assert.deepEqual(filled([1, 2, 3, 4, 5, 6, 7, 8], shortRun), [0, [0, 8], [5], [7, 7, 7, 7], 8])
  // What is left of a long prompt.
  assert.deepEqual(filled([1, 2], prefillRun), [30, [0, 2, 32], [5, 0], [1, 1, 1, 1], 32])
})

test('without rows nothing is filled up to four of them', () => {
  const { pass } = packPass([part([1, 2, 3, 4], { firstRow: 4, firstState: 0 })], shortRun, [1], 1)
  assert.deepEqual([[...pass.rows], [...pass.stateRows]], [[], [0, 1, 2, 3]])
})
