/** The prefix cache: blocks of prompts, kept once and let go in order. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeRun, prefillRun } from '../../../../../src/engine/kv/history.js'
import { PrefixCache } from '../../../../../src/engine/kv/slots/prefix-cache.js'

const prefilled = (
  ...tokens: number[]
): { tokens: number[], runs: number[] } => ({ tokens, runs: tokens.map(() => prefillRun) })

test('the prefix cache keeps what prompts begin with once, by whole blocks of a salt', () => {
  const cache = new PrefixCache(10 * 4, [1])
  const prompt = (length: number, from = 0, common = 0): ReturnType<typeof prefilled> =>
    prefilled(...Array.from({ length }, (_, index) => index < common ? index : from + index))
  const reads: number[] = []
  const keep = (history: ReturnType<typeof prefilled>, salt = 'a'): void => {
    cache.keep(history, salt, (start, kv) => { reads.push(start); kv.data[0] = start })
  }
  const found = (history: ReturnType<typeof prefilled>, salt = 'a'): number =>
    cache.find(history.tokens, salt)?.length ?? 0
  keep(prompt(40))
  assert.deepEqual(reads, [0, 16])
  // Another with the same first block adds only what differs.
  keep(prompt(40, 500, 20))
  assert.deepEqual(reads.slice(2), [16])
  assert.equal(cache.sizeBytes, 3 * 4)
  assert.deepEqual([found(prompt(50)), found(prompt(31)), found(prompt(15)), found(prompt(50), 'b'),
    found(prompt(50, 500, 20))], [32, 16, 0, 0, 32])
  assert.deepEqual(cache.find(prompt(50).tokens, 'a')!.blocks.map(({ data }) => data[0]), [0, 16])
  // Positions run alone are not those of a prompt.
  keep({
    tokens: prompt(40, 900).tokens,
    runs: [...new Array<number>(20).fill(prefillRun), ...new Array<number>(20).fill(decodeRun)]
  })
  assert.equal(found(prompt(40, 900)), 16)
})

test('the prefix cache lets go of what was used longest ago, ends of prompts before their beginnings', () => {
  const cache = new PrefixCache(4 * 4, [1])
  const prompt = (length: number, from = 0): ReturnType<typeof prefilled> =>
    prefilled(...Array.from({ length }, (_, index) => from + index))
  const keep = (history: ReturnType<typeof prefilled>): void => {
    cache.keep(history, '', (start, kv) => { kv.data[0] = start })
  }
  const found = (history: ReturnType<typeof prefilled>): number => cache.find(history.tokens, '')?.length ?? 0
  keep(prompt(48))
  keep(prompt(16, 100))
  assert.deepEqual([found(prompt(16, 100)), found(prompt(48))], [16, 48])
  keep(prompt(32, 200))
  // In memory of those that went, but none that are there.
  assert.deepEqual(cache.find(prompt(32, 200).tokens, '')!.blocks.concat(cache.find(prompt(32).tokens, '')!.blocks)
    .map(({ data }) => data[0]), [0, 16, 0, 16])
  assert.deepEqual([found(prompt(32, 200)), found(prompt(48)), found(prompt(16, 100))], [32, 32, 0])
  // One that is larger than the cache is kept as far as it fits.
  keep(prompt(160, 300))
  assert.equal(found(prompt(160, 300)), 64)
  assert.equal(cache.sizeBytes, 16)
  const off = new PrefixCache(0, [1])
  off.keep(prompt(20), 'a', () => { throw new Error('kept') })
  assert.equal(off.find(prompt(20).tokens, 'a'), null)
})
