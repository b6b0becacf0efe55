import assert from 'node:assert/strict'
import { test } from 'node:test'
import { floatsToHalves, halfToFloat, halvesToFloats } from '../../../src/runtime/float16.js'

/** Positive halves in order: their bits are. */
const finite = Array.from({ length: 0x7c00 }, (_, bits) => bits)

test('every half is the nearest of its own value, of either sign', () => {
  for (const sign of [0, 0x8000]) {
    const bits = Uint16Array.from(finite, half => half | sign)
    assert.deepEqual(floatsToHalves(halvesToFloats(bits)), bits)
  }
})

test('between two halves the nearer is taken, in the middle the even one', () => {
  for (const low of [0, 1, 2, 0x3fe, 0x3ff, 0x400, 0x3c00, 0x3c01, 0x7bfe]) {
    const [a, b] = [halfToFloat(low), halfToFloat(low + 1)]
    const middle = (a + b) / 2
    const even = low % 2 === 0 ? low : low + 1
    const near = Float32Array.of(a + (b - a) / 4, middle, b - (b - a) / 4)
    assert.deepEqual([...floatsToHalves(near)], [low, even, low + 1], `from ${low}`)
  }
})

test('what is too large is infinite, what is too small zero, and what is no number stays none', () => {
  const values = [65504, 65519, 65520, 1e9, -Infinity, 2 ** -25, 2 ** -25 * 1.01, -1e-30]
  assert.deepEqual([...halvesToFloats(floatsToHalves(Float32Array.from(values)))],
    [65504, 65504, Infinity, Infinity, -Infinity, 0, 2 ** -24, -0])
  assert.ok(Number.isNaN(halfToFloat(floatsToHalves(Float32Array.of(NaN))[0]!)))
})
