/** Grammars that are kept for the next request are bounded in bytes; those in use are never dropped. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Grammar, KeptGrammars } from '../../../src/grammar/kept-grammars.js'

let lastId = 0

function use (kept: KeptGrammars, caller: string, text: string): Grammar {
  return kept.use(caller, text, () => new Grammar(++lastId, caller, text, { type: 'grammar', text }))
}

const idsOf = (grammars: readonly Grammar[]): number[] => grammars.map(({ id }) => id)

const long = (letter: string): string => letter.repeat(50_000)

test('the least recently used are dropped beyond so many bytes, but none in use', () => {
  const kept = new KeptGrammars({ maxSourceBytes: 400_000 })
  const [a, b, c] = ['a', 'b', 'c'].map(letter => use(kept, 'x', long(letter))) as [Grammar, Grammar, Grammar]
  kept.release(a)
  kept.release(b)
  assert.deepEqual(kept.takeExcess(), [])
  assert.equal(use(kept, 'x', long('a')), a)
  kept.release(a)
  const d = use(kept, 'x', long('d'))
  assert.deepEqual(idsOf(kept.takeExcess()), idsOf([b]))
  assert.notEqual(use(kept, 'x', long('b')), b)
  kept.release(c)
  kept.release(d)
  assert.deepEqual(idsOf(kept.takeExcess()), idsOf([c]))
})

test('callers share no grammar', () => {
  const kept = new KeptGrammars()
  assert.notEqual(use(kept, 'x', 'same'), use(kept, 'y', 'same'))
  assert.notEqual(use(kept, 'x y', 'z'), use(kept, 'x', 'y z'))
  assert.deepEqual([kept.has('x'), kept.has('z'), kept.users(), kept.users('x')], [true, false, 4, 2])
})

test('a thread that has too much memory keeps nothing that is not in use', () => {
  const kept = new KeptGrammars()
  const [a, b] = [use(kept, 'x', 'a'), use(kept, 'x', 'b')]
  kept.release(a)
  kept.memoryBytes = 1 << 30
  assert.ok(kept.isFull)
  assert.deepEqual(kept.takeExcess(), [a])
  kept.release(b)
  assert.deepEqual(kept.takeExcess(), [b])
})
