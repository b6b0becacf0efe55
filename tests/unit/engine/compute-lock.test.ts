import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Cores } from '../../../src/engine/compute-lock.js'

test('who asks for the cores again waits until the others have had their turn', async () => {
  const cores = new Cores()
  const turns: string[] = []
  const work = async (name: string, count: number): Promise<void> => {
    for (let turn = 0; turn < count; turn++) {
      await cores.inTurn(async () => {
        turns.push(name)
        await new Promise(resolve => { setImmediate(resolve) })
      })
    }
  }
  await Promise.all([work('a', 4), work('b', 2), work('c', 3)])
  assert.equal(turns.join(''), 'abcabcaca')
  assert.equal(cores.isWanted, false)
})
