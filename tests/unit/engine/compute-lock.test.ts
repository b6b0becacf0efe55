/** Turns of engines on the processor. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ComputeLock } from '../../../src/engine/compute-lock.js'

test('who asks for the lock again waits until the others have had their turn', async () => {
  const lock = new ComputeLock()
  const turns: string[] = []
  const work = async (name: string, count: number): Promise<void> => {
    for (let turn = 0; turn < count; turn++) {
      await lock.inTurn(async () => {
        turns.push(name)
        await new Promise(resolve => { setImmediate(resolve) })
      })
    }
  }
  await Promise.all([work('a', 4), work('b', 2), work('c', 3)])
  assert.equal(turns.join(''), 'abcabcaca')
  assert.equal(lock.isWanted, false)
})
