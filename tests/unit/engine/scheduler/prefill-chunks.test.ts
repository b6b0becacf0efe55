/** How prompts are cut into prefill chunks, and whose turn it is. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cutChunks, PrefillTurns } from '../../../../src/engine/scheduler/prefill-chunks.js'

test('chunks share a budget, oldest first, and never leave one position, nor one alone in a block of attention', () => {
  const cut = (counts: readonly number[], budget: number): number[] =>
    cutChunks(counts.map(numNewTokens => ({ numNewTokens })), budget, 32).map(chunk => chunk.numNewTokens)
  assert.deepEqual(cut([10], 64), [10])
  assert.deepEqual(cut([100], 64), [64])
  assert.deepEqual(cut([65], 64), [63])
  assert.deepEqual(cut([3], 2), [3])
  assert.deepEqual([cut([33], 64), cut([34], 33), cut([65, 5], 128)], [[31], [32], [63, 5]])
  assert.deepEqual(cut([10, 10, 10], 21), [10, 10])
  assert.deepEqual(cut([10, 10, 10], 22), [10, 10, 2])
})

/** Prompts of callers, by how many tokens are left of each. */
class Prompts {
  readonly #turns = new PrefillTurns(64)
  readonly #waiting: Array<{ readonly caller: string, numNewTokens: number }> = []

  add (caller: string, ...counts: number[]): void {
    for (const numNewTokens of counts) this.#waiting.push({ caller, numNewTokens })
  }

  /** Tokens of each caller that a step reads. */
  step (budget: number): Record<string, number> {
    const read: Record<string, number> = {}
    for (const { sequence, numNewTokens } of this.#turns.cut(this.#waiting, budget, 32)) {
      read[sequence.caller] = (read[sequence.caller] ?? 0) + numNewTokens
      sequence.numNewTokens -= numNewTokens
    }
    this.#waiting.splice(0, Infinity, ...this.#waiting.filter(({ numNewTokens }) => numNewTokens > 0))
    return read
  }
}

test('callers share the tokens of a step evenly, and a step that reads a short prompt is short', () => {
  const prompts = new Prompts()
  prompts.add('many', ...Array.from({ length: 128 }, () => 8192))
  assert.deepEqual(prompts.step(256), { many: 256 })
  prompts.add('chat', 100)
  assert.deepEqual(prompts.step(256), { chat: 100, many: 100 })
  prompts.add('chat', 10)
  assert.deepEqual(prompts.step(256), { many: 64, chat: 10 })
  assert.deepEqual(prompts.step(256), { many: 256 })
  prompts.add('long', 1000)
  assert.deepEqual(prompts.step(256), { many: 128, long: 128 })
})

test('of more callers than a step is worth sharing among, those go first that were served longest ago', () => {
  const prompts = new Prompts()
  prompts.add('a', 1000, 1000)
  prompts.add('b', 1000)
  prompts.add('c', 100)
  const read = Array.from({ length: 6 }, () => Object.keys(prompts.step(64)).join())
  assert.deepEqual(read, ['a', 'b', 'c', 'a', 'b', 'c'])
  assert.deepEqual(Object.keys(prompts.step(128)).sort(), ['a', 'b'])
  // One that comes again and again is not always the first.
  const again = Array.from({ length: 4 }, () => {
    prompts.add('new', 64)
    return Object.keys(prompts.step(64)).join()
  })
  assert.deepEqual(again, ['new', 'a', 'b', 'new'])
})
