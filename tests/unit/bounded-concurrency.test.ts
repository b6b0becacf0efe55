import assert from 'node:assert/strict'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { test } from 'node:test'
import { sideBySide } from '../../src/bounded-concurrency.js'

test('everything is done, in order, no more than so many at once', async () => {
  const begun: number[] = []
  let [running, most] = [0, 0]
  await sideBySide([1, 2, 3, 4, 5], 2, async item => {
    begun.push(item)
    most = Math.max(most, ++running)
    await nextTurn()
    running--
  })
  assert.deepEqual(begun, [1, 2, 3, 4, 5])
  assert.equal(most, 2)
})

test('after a failure none is begun, and those that were have ended when it is thrown', async () => {
  const [begun, ended]: [number[], number[]] = [[], []]
  await assert.rejects(sideBySide([1, 2, 3, 4], 2, async item => {
    begun.push(item)
    if (item === 1) throw new Error('no 1')
    await nextTurn()
    ended.push(item)
  }), /no 1/)
  assert.deepEqual([begun, ended], [[1, 2], [2]])
})
