/** Drafting: whoever draws tokens sees what the model says, whatever the draft was. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cpuProfile } from '../../../src/engine/device-profile.js'
import { DraftingSequence } from '../../../src/engine/drafting-sequence.js'
import { PromptLookup } from '../../../src/engine/prompt-lookup.js'
import type { DraftableSequence, Output, Sequence } from '../../../src/engine/sequence.js'

/** A model whose output after some tokens is a text of them, and what it was asked to run. */
class Recorder implements DraftableSequence {
  readonly tokens: number[]
  readonly passes: number[] = []
  isClosed = false
  #run = 0

  constructor (tokens: readonly number[]) { this.tokens = [...tokens] }

  append (...tokens: number[]): void { this.tokens.push(...tokens) }
  async output (): Promise<Output> { return (await this.outputs()).at(-1)! }
  async outputs (): Promise<Output[]> {
    const first = this.#run
    this.passes.push(this.tokens.length - first)
    this.#run = this.tokens.length
    return Array.from({ length: this.#run - first }, (_, index) =>
      ({ after: this.tokens.slice(0, first + index + 1).join() }) as unknown as Output)
  }

  completeOutput (): Promise<Output> { return this.output() }

  truncate (length: number): void {
    this.tokens.length = length
    this.#run = Math.min(this.#run, length)
  }

  probe (): never { throw new Error('not asked for') }
  fork (): Sequence { throw new Error('not asked for') }
  close (): void { this.isClosed = true }
}

const after = (output: Output): string => (output as unknown as { after: string }).after

/** Writes tokens through a drafting sequence. */
async function write (
  prompt: readonly number[], answer: readonly number[], { until = Infinity, pays = true } = {}
): Promise<{ inner: Recorder, counts: { accepted: number, rejected: number } }> {
  const inner = new Recorder(prompt)
  const counts = { accepted: 0, rejected: 0 }
  const sequence = new DraftingSequence(inner,
    { lookup: new PromptLookup(prompt), profile: cpuProfile.drafts, until, pays: () => pays, counts })
  const written = [...prompt]
  assert.equal(after(await sequence.output()), written.join())
  for (const token of answer) {
    sequence.append(token)
    written.push(token)
    assert.equal(after(await sequence.output()), written.join())
    assert.equal(after(await sequence.output()), written.join())
    assert.deepEqual(sequence.tokens, written)
  }
  sequence.close()
  assert.ok(inner.isClosed)
  return { inner, counts }
}

const prompt = [1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]

test('accepted draft tokens need no pass, and more are drafted after them', async () => {
  const { inner, counts } = await write(prompt, [2, 3, 4, 5, 6, 7, 8, 9, 0])
  // The prompt; 2 with two draft tokens; 5 with four, all true; 0 with six, which nobody needs.
  assert.deepEqual(inner.passes, [11, 3, 5, 7])
  assert.deepEqual(counts, { accepted: 6, rejected: 6 })
})

test('rejected draft tokens are taken back, and the next are few', async () => {
  const { inner, counts } = await write(prompt, [2, 3, 9, 0, 9, 9])
  // 2 with two draft tokens, of which one is wrong; 9 alone; 0 with three, all wrong; 9 and 9 alone.
  assert.deepEqual(inner.passes, [11, 3, 1, 4, 1, 1])
  assert.deepEqual(counts, { accepted: 1, rejected: 4 })
})

test('nothing is drafted where it does not pay, nor past the end of the answer', async () => {
  assert.deepEqual((await write(prompt, [2, 3, 4], { pays: false })).inner.passes, [11, 1, 1, 1])
  assert.deepEqual((await write(prompt, [2, 3, 4], { until: 13 })).inner.passes, [11, 2, 1])
})
