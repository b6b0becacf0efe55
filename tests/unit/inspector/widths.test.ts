import assert from 'node:assert/strict'
import { test } from 'node:test'
import { clampWidth, keptWidth } from '../../../src/inspector/logic/widths.js'

const limits = { least: 240, most: 560, initial: 320 }

test('a width stays in its limits; what is no width is the initial one', () => {
  assert.deepEqual([10, 300.4, 9000, NaN, Infinity].map(px => clampWidth(px, limits)), [240, 300, 560, 320, 320])
  assert.deepEqual(['400', '9', 'wide', '', null].map(text => keptWidth(text, limits)), [400, 240, 320, 320, 320])
})
