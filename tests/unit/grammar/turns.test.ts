/** Callers take turns. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Turns } from '../../../src/grammar/turns.js'

/** All that waits, in its order. */
function drained (turns: Turns<string>): string[] {
  const all: string[] = []
  for (let one = turns.next(); one !== undefined; one = turns.next()) all.push(one)
  return all
}

test('one of each caller’s comes at a time, first come first', () => {
  const turns = new Turns<string>()
  for (const one of ['a1', 'a2', 'a3', 'b1', 'c1', 'b2']) turns.add(one[0]!, one)
  assert.equal(turns.size, 6)
  assert.equal(turns.next(), 'a1')
  turns.add('d', 'd1')
  assert.deepEqual(drained(turns), ['b1', 'c1', 'a2', 'd1', 'b2', 'a3'])
  assert.equal(turns.size, 0)
})

test('what is removed does not come', () => {
  const turns = new Turns<string>()
  for (const one of ['a1', 'a2', 'b1']) turns.add(one[0]!, one)
  assert.deepEqual(turns.remove('a', one => one === 'a1'), ['a1'])
  assert.deepEqual(turns.remove('b', () => true), ['b1'])
  assert.deepEqual(turns.remove('c', () => true), [])
  assert.deepEqual([turns.of('a'), turns.of('b'), turns.size], [['a2'], [], 1])
  assert.deepEqual(turns.clear(), ['a2'])
  assert.equal(turns.next(), undefined)
})
