import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DecoderConfig } from '../../src/models/decoder-config.js'
import { quantizeRows } from '../../src/models/quantize.js'
import { rotate, rotationMatrix, rotationSize } from '../../src/models/rotation.js'
import { divide, smoothingFactors, smoothMatrix } from '../../src/models/smoothing.js'

const wave = (length: number, seed: number): Float32Array => Float32Array.from({ length }, (_, at) => Math.sin(at * 1.7 + seed) * (1 + at % 5))

/** x · Wᵀ. @param matrix [N, K] */
const product = (x: Float32Array, matrix: Float32Array): number[] =>
  Array.from({ length: matrix.length / x.length }, (_, row) => x.reduce((sum, value, column) => sum + value * matrix[row * x.length + column]!, 0))

const near = (actual: readonly number[], expected: readonly number[], tolerance: number): void => {
  for (const [index, value] of actual.entries()) assert.ok(Math.abs(value - expected[index]!) <= tolerance, `${index}: ${value} and ${expected[index]}`)
}

test('rounded rows are transposed, and no value is further off than half a step of its row', () => {
  const matrix = wave(3 * 8, 1)
  const { values, scales } = quantizeRows(matrix, 3)
  for (let row = 0; row < 3; row++) {
    for (let column = 0; column < 8; column++) assert.ok(Math.abs(values[column * 3 + row]! * scales[row]! - matrix[row * 8 + column]!) <= scales[row]! * 0.5001)
  }
  assert.deepEqual([...quantizeRows(new Float32Array(4), 2).values], [0, 0, 0, 0])
})

test('the rotation is orthogonal, and turned weights give what straight ones gave', () => {
  const turn = rotationMatrix()
  for (let a = 0; a < rotationSize; a += 7) {
    for (let b = 0; b < rotationSize; b++) {
      const dot = turn.subarray(a * rotationSize, (a + 1) * rotationSize).reduce((sum, value, at) => sum + value * turn[b * rotationSize + at]!, 0)
      assert.ok(Math.abs(dot - (a === b ? 1 : 0)) < 1e-6)
    }
  }
  const x = wave(128, 2)
  const matrix = wave(5 * 128, 3)
  // Symmetric, so the fast transform of a row is that row times the matrix.
  const turned = rotate(x.slice())
  near([...turned.subarray(0, rotationSize)], product(x.subarray(0, rotationSize), turn), 1e-4)
  near(product(turned, rotate(matrix.slice())), product(x, matrix), 1e-2)
})

test('smoothing moves magnitude to the weights and leaves every product as it was', () => {
  const config = { hiddenSize: 8, queryHeads: 4, kvHeads: 2, headSize: 2, feedForwardSize: 6 } as DecoderConfig
  const peaks = Float32Array.of(100, 1, 1, 1, 1, 1, 1, 0)
  const factors = smoothingFactors(peaks, wave(16 * 8, 4))
  assert.ok(factors[0]! > factors[1]!)
  assert.equal(factors[7], 1, 'a channel that is never used stays')

  // The norm before a matrix.
  const smoothing = new Map([['layer0.qkv', factors], ['layer0.attention_output', wave(8, 5).map(value => 1 + Math.abs(value))], ['layer0.down', wave(6, 6).map(value => 1 + Math.abs(value))]])
  const x = wave(8, 7)
  const qkv = wave(16 * 8, 8)
  const smoothed = smoothMatrix(config, 'layer0.qkv', qkv.slice(), 8, smoothing)
  const less = x.slice()
  divide(less, factors)
  const [before, after] = [product(x, qkv), product(less, smoothed)]
  near(after.slice(0, 12), before.slice(0, 12), 1e-3)

  // Value rows → the columns that read them, each value head by two query heads.
  const output = wave(8 * 8, 9)
  const read = (values: readonly number[]): Float32Array => Float32Array.from([0, 0, 1, 1].flatMap(head => [values[12 + 2 * head]!, values[13 + 2 * head]!]))
  near(product(read(after), smoothMatrix(config, 'layer0.attention_output', output.slice(), 8, smoothing)), product(read(before), output), 1e-2)

  // Up rows → down columns.
  const [gateUp, down] = [wave(12 * 8, 10), wave(8 * 6, 11)]
  const up = (matrix: Float32Array): Float32Array => Float32Array.from(product(x, matrix).slice(6))
  near(product(up(smoothMatrix(config, 'layer0.gate_up', gateUp.slice(), 8, smoothing)), smoothMatrix(config, 'layer0.down', down.slice(), 6, smoothing)), product(up(gateUp), down), 1e-2)
})
