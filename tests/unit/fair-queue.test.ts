/** The queue in which callers take turns. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FairQueue } from '../../src/fair-queue.js'

/** A queue of names: the caller's letter and a number. */
function queueOf (): { add: (item: string, cost?: number, priority?: number) => void, queue: FairQueue<string> } {
  const queue = new FairQueue<string>()
  return {
    queue,
    add: (item, cost = 1, priority = 0) => { queue.add(item, { caller: item[0]!, cost, priority }) }
  }
}

/** Serves so many. */
function serve (queue: FairQueue<string>, count: number): string[] {
  return Array.from({ length: count }, () => {
    const [first] = queue
    queue.serve(first!)
    return first!
  })
}

test('callers take turns by what serving them takes, and keep their own order', () => {
  const { queue, add } = queueOf()
  for (const item of ['a1', 'a2', 'a3', 'a4']) add(item, 10)
  assert.deepEqual(serve(queue, 1), ['a1'])
  add('b1', 1)
  add('b2', 1)
  assert.deepEqual(serve(queue, 5), ['b1', 'b2', 'a2', 'a3', 'a4'])
  // Who was served last goes behind; nobody has credit of the time when nothing was asked for.
  add('a5', 1)
  add('c1', 1)
  add('a6', 1)
  assert.deepEqual(serve(queue, 3), ['c1', 'a5', 'a6'])
})

test('a lower priority is served first, whoever asks; who leaves is not waited for', () => {
  const { queue, add } = queueOf()
  add('a1')
  add('b1', 1, 1)
  add('b2', 1, -1)
  add('a2')
  assert.deepEqual([...queue], ['b2', 'a1', 'a2', 'b1'])
  queue.delete('a1')
  queue.delete('a1')
  assert.deepEqual([queue.length, queue.waitingOf('a'), queue.waitingOf('b'), queue.waitingOf('c')], [3, 1, 2, 0])
  assert.deepEqual(serve(queue, 3), ['b2', 'a2', 'b1'])
  assert.deepEqual([queue.length, queue.waitingOf('a')], [0, 0])
})

test('the first is the one to be served next, and clearing gives all in their order', () => {
  const { add, queue } = queueOf()
  assert.equal(queue.first, undefined)
  for (const item of ['a1', 'a2', 'b1']) add(item)
  assert.equal(queue.first, 'a1')
  serve(queue, 1)
  assert.deepEqual(queue.clear(), ['b1', 'a2'])
  assert.deepEqual([queue.first, queue.length, queue.waitingOf('a')], [undefined, 0, 0])
})
