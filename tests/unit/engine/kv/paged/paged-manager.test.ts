/**
 * The paged KV manager over a cache of histories: whatever is opened, forked, cut, preempted or closed, each sequence
 * finds its own KV where its table says, and the books agree.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ComputedPositions } from '../../../../../src/engine/computed-positions.js'
import { decodeRun, prefillRun } from '../../../../../src/engine/kv/history.js'
import { PagedManager, type PagedSequence } from '../../../../../src/engine/kv/paged/paged-manager.js'
import { uniform } from '../../../../../src/statistics/random.js'

const blockSize = 4
const reservedBlocks = 2

class Sequence implements PagedSequence {
  readonly tokens: number[]
  readonly opened: boolean
  readonly salt: string
  readonly poolFrom = Infinity
  readonly computed: ComputedPositions
  adopted = 0

  constructor (tokens: readonly number[], salt: string, parent?: Sequence) {
    this.tokens = [...tokens]
    this.salt = salt
    this.opened = !parent
    this.computed = new ComputedPositions(parent?.computed)
  }

  get runs (): readonly number[] { return this.computed.runs }
  get lost (): readonly number[] { return this.computed.lost }
  get maxAdopted (): number { return this.lost.length > 0 ? this.lost.length : this.tokens.length - 1 }
  lose (length: number): void { this.computed.lose(length) }
  adopt (count: number): void {
    if (this.lost.length > 0) this.computed.restore(count)
    else this.computed.push(count, prefillRun)
    this.adopted += count
  }
}

/** A manager and the cache that it keeps the books of: what each cell holds is its history. */
class Cache {
  readonly kv: PagedManager<Sequence>
  readonly cells: string[][]
  readonly open = new Set<Sequence>()

  constructor (numBlocks: number, keepsPrefixes = true) {
    this.kv = new PagedManager({ blockSize, numBlocks, reservedBlocks, bytesPerToken: 8, keepsPrefixes })
    this.cells = Array.from({ length: numBlocks }, () => new Array<string>(blockSize).fill(''))
  }

  begin (tokens: readonly number[], salt = ''): Sequence {
    const sequence = new Sequence(tokens, salt)
    this.open.add(sequence)
    this.kv.open(sequence)
    return sequence
  }

  fork (parent: Sequence): Sequence {
    const child = new Sequence(parent.tokens, parent.salt, parent)
    this.open.add(child)
    this.kv.fork(parent, child)
    return child
  }

  /** Runs what waits, restored positions included. @returns whether there was room */
  run (sequence: Sequence, mayPreempt: (other: Sequence) => boolean = () => false): boolean {
    if (!this.kv.isResident(sequence) && !this.kv.allocate(sequence, mayPreempt)) return false
    assert.ok(this.kv.isResident(sequence))
    const copies = this.kv.takeCopies()
    const read = copies.map(([from]) => this.cells[from]!.slice())
    for (const [index, [, to]] of copies.entries()) this.cells[to] = read[index]!
    const before = sequence.computed.count
    for (let at = sequence.runs.length; at < sequence.tokens.length; at++) {
      if (at < before) sequence.computed.restore(1)
      else sequence.computed.push(1, sequence.tokens.length - before === 1 ? decodeRun : prefillRun)
      const block = this.kv.blocks(sequence)[Math.floor(at / blockSize)]!
      assert.ok(block >= reservedBlocks)
      this.cells[block]![at % blockSize] = historyOf(sequence, at)
    }
    return true
  }

  close (sequence: Sequence): void {
    this.kv.free(sequence)
    this.open.delete(sequence)
  }

  check (): void {
    this.kv.checkIntegrity()
    for (const sequence of this.open) {
      const blocks = this.kv.blocks(sequence)
      for (const at of sequence.runs.keys()) {
        assert.equal(this.cells[blocks[Math.floor(at / blockSize)]!]![at % blockSize], historyOf(sequence, at))
      }
    }
  }
}

/** All that the KV of a position depends on. */
const historyOf = ({ tokens, runs }: Sequence, at: number): string =>
  `${tokens.slice(0, at + 1).join()}:${runs.slice(0, at + 1).join('')}`

const count = (length: number, first = 0): number[] => Array.from({ length }, (_, index) => first + index)

describe('the paged KV manager', () => {
  test('a prompt is held once by its forks, and only the last block is copied', () => {
    const cache = new Cache(64)
    const root = cache.begin(count(10))
    cache.run(root)
    const forks = count(8).map(() => cache.fork(root))
    assert.equal(cache.kv.usedTokens, 10)
    for (const [index, fork] of forks.entries()) {
      fork.tokens.push(index)
      cache.run(fork)
    }
    cache.check()
    // Two full blocks once, and a copy of the last, partial one in each fork.
    assert.equal(cache.kv.usedTokens, 8 + 2 + 8 * 3)
    assert.equal(new Set(forks.map(fork => cache.kv.blocks(fork)[2])).size, 8)
    assert.equal(new Set(forks.map(fork => cache.kv.blocks(fork)[1])).size, 1)
    // Whoever is left writes without a copy.
    for (const fork of forks) cache.close(fork)
    root.tokens.push(99)
    const before = [...cache.kv.blocks(root)]
    cache.run(root)
    assert.deepEqual(cache.kv.blocks(root), before)
  })

  test('a prompt finds whole blocks of the same salt, run the same way, and leaves a token to run', () => {
    const cache = new Cache(64)
    const first = cache.begin(count(12))
    cache.run(first)
    const adoptedBy = (tokens: readonly number[], salt = ''): number => {
      const sequence = cache.begin(tokens, salt)
      cache.run(sequence)
      cache.check()
      cache.close(sequence)
      return sequence.adopted
    }
    assert.equal(adoptedBy(count(12)), 8)
    assert.equal(adoptedBy(count(13)), 12)
    assert.equal(adoptedBy([...count(6), 77, 78, 79]), 4)
    assert.equal(adoptedBy(count(13), 'other'), 0)
    cache.close(first)
    assert.equal(adoptedBy(count(13)), 12)
    // What was decoded is not what a prompt computes.
    const decoded = cache.begin(count(4))
    cache.run(decoded)
    for (const token of count(4, 50)) {
      decoded.tokens.push(token)
      cache.run(decoded)
    }
    assert.equal(adoptedBy([...count(4), ...count(4, 50), 1]), 4)
  })

  test('without a prefix cache nothing is found', () => {
    const cache = new Cache(64, false)
    const first = cache.begin(count(12))
    cache.run(first)
    cache.close(first)
    const again = cache.begin(count(12))
    cache.run(again)
    assert.deepEqual([again.adopted, cache.kv.cachedBytes], [0, 0])
  })

  test('cached blocks are given up longest unused first, the end of a chain before its beginning', () => {
    const cache = new Cache(reservedBlocks + 5)
    const [old, recent] = [cache.begin(count(8)), cache.begin(count(8, 100))]
    for (const sequence of [old, recent]) cache.run(sequence)
    cache.close(old)
    cache.close(recent)
    assert.equal(cache.kv.cachedBytes, 16 * 8)
    const other = cache.begin(count(6, 200))
    cache.run(other)
    cache.close(other)
    const again = [cache.begin([...count(8, 100), 1]), cache.begin([...count(8), 1])]
    for (const sequence of again) {
      cache.run(sequence)
      cache.close(sequence)
    }
    assert.deepEqual(again.map(({ adopted }) => adopted), [8, 4])
  })

  test('nobody is preempted where that would not make room; who is comes back with the same history', () => {
    const cache = new Cache(reservedBlocks + 4)
    const idle = cache.begin(count(6))
    cache.run(idle)
    idle.tokens.push(42)
    cache.run(idle)
    const large = cache.begin(count(20, 200))
    assert.equal(cache.run(large, () => true), false)
    assert.equal(idle.runs.length, 7)
    cache.close(large)
    const other = cache.begin(count(13, 300))
    assert.equal(cache.run(other), false)
    assert.equal(cache.run(other, sequence => sequence === idle), true)
    assert.deepEqual([idle.runs.length, idle.lost], [0, [...count(6).map(() => prefillRun), decodeRun]])
    cache.check()
    cache.close(other)
    assert.ok(cache.run(idle))
    cache.check()
    assert.deepEqual(idle.lost, [])
  })

  test('a lost device leaves nothing to be found', () => {
    const cache = new Cache(32)
    const root = cache.begin(count(9))
    cache.run(root)
    const fork = cache.fork(root)
    cache.kv.reset()
    for (const cells of cache.cells) cells.fill('')
    cache.check()
    assert.deepEqual([root.lost.length, fork.lost.length, cache.kv.usedTokens, cache.kv.cachedBytes], [9, 9, 0, 0])
    cache.run(fork)
    cache.run(root)
    cache.check()
  })

  for (const numBlocks of [14, 24, 60]) {
    test(`2,000 random operations on ${numBlocks} blocks`, () => {
      const random = uniform(numBlocks)
      const pick = <T>(items: Iterable<T>): T => [...items][Math.floor(random() * [...items].length)]!
      const cache = new Cache(numBlocks)
      let adopted = 0
      let lost = 0
      const begin = (): void => {
        cache.begin(count(1 + Math.floor(random() * 16), 100 * Math.floor(random() * 2)), pick(['', '', 'salted']))
      }
      for (let step = 0; step < 2000; step++) {
        if (cache.open.size === 0) begin()
        const sequence = pick(cache.open)
        const others = new Set([...cache.open].filter(() => random() < 0.5))
        const operation = random()
        if (operation < 0.15) begin()
        else if (operation < 0.25 && sequence.computed.count === sequence.tokens.length) cache.fork(sequence)
        else if (operation < 0.4) cache.close(sequence)
        else if (operation < 0.45 && sequence.opened && cache.open.size === 1) {
          sequence.tokens.length = 1 + Math.floor(random() * sequence.tokens.length)
          sequence.computed.cut(sequence.tokens.length)
        } else if (operation < 0.5) {
          const blocks = cache.kv.lend(1 + Math.floor(random() * 3))
          cache.kv.checkIntegrity()
          for (const block of blocks ?? []) cache.cells[block]!.fill('branch')
          if (blocks) cache.kv.takeBack(blocks)
        } else if (operation < 0.51) {
          cache.kv.reset()
          for (const cells of cache.cells) cells.fill('')
        } else {
          if (sequence.computed.count === sequence.tokens.length) {
            sequence.tokens.push(...count(1 + Math.floor(random() * 6), Math.floor(random() * 2)))
          }
          cache.run(sequence, other => others.has(other))
        }
        lost += [...cache.open].filter(one => one.lost.length > 0).length
        cache.check()
        adopted += sequence.adopted
      }
      assert.ok(adopted > 0)
      assert.ok(lost > 0)
      for (const sequence of [...cache.open]) cache.close(sequence)
      cache.check()
      assert.equal(cache.kv.usedTokens, 0)
    })
  }
})
