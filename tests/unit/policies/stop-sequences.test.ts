import assert from 'node:assert/strict'
import { test } from 'node:test'
import { StopText } from '../../../src/policies/stop-sequences.js'

test('text that may become a stop string is held back, and given when it does not', () => {
  const text = new StopText(['END', 'DONE'])
  assert.equal(text.push('the E'), false)
  assert.equal(text.certainLength, 4)
  assert.equal(text.push('N'), false)
  assert.equal(text.certainLength, 4)
  assert.equal(text.push('tity'), false)
  assert.equal(text.certainLength, text.text.length)
})

test('the answer is cut before the stop string, across pieces, the earliest of several', () => {
  const text = new StopText(['yz', 'xyz'])
  assert.equal(text.push('abx'), false)
  assert.equal(text.push('yzq'), true)
  assert.equal(text.text, 'ab')
  assert.equal(text.certainLength, 2)
})

test('a fork goes on apart', () => {
  const one = new StopText(['!'])
  one.push('a')
  const other = one.fork()
  assert.equal(one.push('!'), true)
  assert.equal(other.push('b'), false)
  assert.deepEqual([one.text, other.text], ['a', 'ab'])
})

test('without stop strings nothing is held back', () => {
  const text = new StopText([])
  text.push('anything')
  assert.equal(text.certainLength, 8)
})

test('a stop string that is included stays, and nothing after it', () => {
  const text = new StopText(['END', 'EN'], true)
  text.push('the E')
  assert.equal(text.certainLength, 4)
  assert.equal(text.push('NDless'), true)
  assert.equal(text.text, 'the EN')
  assert.equal(text.fork().text, 'the EN')
})
