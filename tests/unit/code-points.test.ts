import assert from 'node:assert/strict'
import { test } from 'node:test'
import { codePoints } from '../../src/code-points.js'

test('pairs of surrogates are one, halves are one each', () => {
  for (const text of ['', 'a', 'é', '🙂', '🙂🙂 a b', '\ud83d', '\ude42\ud83d', 'a\ud83d\ud83d\ude42', '水獭']) {
    assert.equal(codePoints(text), [...text].length, JSON.stringify(text))
  }
})
