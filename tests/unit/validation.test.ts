import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describeRule, nearestName, refuse } from '../../src/validation.js'

test('a value that is refused is told as JSON, and of a long one the beginning', () => {
  for (const value of [null, 0, -1.5, true, '', 'a"\n🙂', [], {}, [1, [null], undefined], { a: { b: [] }, c: undefined },
    ['x'.repeat(190)], { __proto__: null, 'ü"': 1 }]) {
    assert.equal(refuse('a', 'must be b', value).message, `a must be b; got ${JSON.stringify(value)}`)
  }
  assert.equal(refuse('a', 'must be b', undefined).message, 'a must be b; got nothing')
  for (const value of ['x'.repeat(1e6), Array(1e6).fill(0), { ['x'.repeat(1e6)]: 1 }, [['y'.repeat(300)]]]) {
    assert.equal(refuse('a', 'must be b', value).message, `a must be b; got ${JSON.stringify(value).slice(0, 200)}…`)
  }
})

test('the nearest name is one that may be meant', () => {
  assert.equal(nearestName('num_candidats', ['n', 'num_candidates', 'num_beams']), 'num_candidates')
  assert.equal(nearestName('x'.repeat(1e6), ['n', 'num_candidates']), null)
  assert.equal(nearestName('zzzzzz', ['n', 'num_candidates']), null)
})

test('bounds of 64 bits are written in all their digits', () => {
  assert.equal(describeRule({ type: 'integer', minimum: -(2 ** 63), maximum: 2 ** 63 }),
    'an integer from -9223372036854775808 to 9223372036854775808')
})
