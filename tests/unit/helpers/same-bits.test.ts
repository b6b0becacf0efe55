import assert, { AssertionError } from 'node:assert/strict'
import { inspect } from 'node:util'
import { test } from 'node:test'
import { sameBits, type Numbers } from '../../helpers/same-bits.js'

/** What it says of two that differ. */
function saidOf (actual: Numbers | undefined, expected: Numbers | undefined, message?: string): string {
  try {
    sameBits(actual, expected, message)
  } catch (error) {
    assert.ok(error instanceof AssertionError)
    return error.message
  }
  return assert.fail('they are taken for the same')
}

test('the same numbers pass, NaN too, however they are nested', () => {
  const numbers = (): Numbers => [[1, NaN, -0], [Float32Array.of(0.1, Infinity)], [], ...new Map([[3, [2, 4]]])]
  sameBits(numbers(), numbers())
  sameBits(7, 7)
})

test('a last bit is seen: where, what both are, by how much, and how many differ of all', () => {
  const said = saidOf([[1, 2], [3, 4]], [[1, 2], [3, 4 + 2 ** -50]])
  assert.equal(said, '[1][1] is 4, expected 4.000000000000001, 8.88e-16 less\n1 of 4 numbers differ')
  const [one, other] = [new Float32Array(1000).fill(0.1), new Float32Array(1000).fill(0.1)]
  new Uint32Array(other.buffer)[137]!++
  const place = '[0][137] is 0.10000000894069672, expected 0.10000000149011612, 7.45e-9 more'
  assert.equal(saidOf([other], [one]), `${place}\n1 of 1000 numbers differ`)
})

test('−0 is not 0, as for deepEqual of assert/strict', () => {
  assert.throws(() => { assert.deepEqual([-0], [0]) })
  assert.equal(saidOf([-0], [0]), '[0] is -0, expected 0\n1 of 1 numbers differ')
})

test('other lengths are seen, at the end and where a row is missing', () => {
  assert.equal(saidOf([1, 2], [1, 2, 3]), 'it has a length of 2, expected 3\n1 of 3 numbers differ')
  assert.equal(saidOf([[1], [1, 2, 3]], [[1], [1, 2]]), '[1] has a length of 3, expected 2\n1 of 4 numbers differ')
  assert.equal(saidOf([[1, 2]], [[1, 2], [3, 4]]), 'it has a length of 1, expected 2\n2 of 4 numbers differ')
  assert.equal(saidOf([], [[]]), 'it has a length of 0, expected 1\n1 of 1 numbers differ')
})

test('arrays of other types, and what is no number, are not the same', () => {
  const said = saidOf([Float32Array.of(1, 2)], [[1, 2]])
  assert.equal(said, '[0] is Float32Array of 2, expected Array of 2\n2 of 2 numbers differ')
  assert.equal(saidOf([5], 1), 'it is Array of 1, expected 1\n1 of 1 numbers differ')
  assert.equal(saidOf(undefined, [1, 2, 3]), 'it is undefined, expected Array of 3\n3 of 3 numbers differ')
  assert.equal(saidOf(undefined, undefined), 'it is undefined, expected undefined\n1 of 1 numbers differ')
  const holes = new Array<number>(2)
  assert.equal(saidOf(holes, holes), '[0] is undefined, expected undefined\n2 of 2 numbers differ')
})

test('the first place is told and the failure is short, however much differs', () => {
  const row = (value: number): number[] => new Array<number>(500).fill(value)
  const rows = (value: number): number[][] => Array.from({ length: 300 }, (_, index) => row(index < 200 ? 0 : value))
  const said = 'seed 7: [200][0] is 1, expected 0.5, 5.00e-1 more\n50000 of 150000 numbers differ'
  assert.equal(saidOf(rows(1), rows(0.5), 'seed 7'), said)
  assert.throws(() => { sameBits(rows(1), rows(2)) }, (error: AssertionError) => {
    assert.deepEqual([error.actual, error.expected], [undefined, undefined])
    // As the runner shows it, with where the test stands.
    assert.ok(inspect(error).length < 2500, inspect(error))
    assert.match(error.stack!, /^AssertionError.*\n.*\n\s+at .*same-bits\.test/)
    return true
  })
})
