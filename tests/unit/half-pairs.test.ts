/** Where JSON has half a character, and where it only looks so. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { halfPairIn } from '../../src/half-pairs.js'

for (const [json, place] of [
  ['{"a": [{"b": "x\\ud83d"}]}', 'a[0].b'], ['{"a": "\\udE42\\uD83D"}', 'a'], ['{"\\ud83d": 1}', '\ud83d'],
  ['["\\ud83d\\ude42"]', null], ['["\\\\ud83d"]', null], ['["🙂"]', null], ['{"a": null, "b": 1}', null]
] as const) {
  test(`${json} has half a pair at ${place}`, () => {
    assert.equal(halfPairIn(json, JSON.parse(json)), place)
  })
}
