/**
 * A request's bits are the same whatever else runs: alone, in a crowd, with too few slots; and nothing is lost or
 * held twice.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Engine } from '../../src/engine/engine.js'
import type { Sequence } from '../../src/engine/sequence.js'
import { closedAfter } from '../helpers/closed-after.js'
import { dice, promptOf, rowOf, trace, turn } from '../helpers/engine-traces.js'
import { sameBits } from '../helpers/same-bits.js'
import { engineOptions, inEveryFormat, ledger } from '../helpers/tiny-engine.js'

inEveryFormat(current => {
  test('a request’s logits are bitwise the same alone, among 31 others, and with a warm prefix cache', async () => {
    const { engine } = current
    const [prompt, count] = [promptOf(40), 12]
    const alone = await trace(engine, prompt, count)
    const used = ledger()
    sameBits(await trace(engine, prompt, count, { ledger: used }), alone)
    assert.equal(used.cachedTokens, 32)
    // Who starts turns later starts on this engine, even if the test has ended by then.
    const own = engine
    const others = Array.from({ length: 31 }, async (_, index) => {
      for (let turns = 0; turns < index % 9; turns++) await turn()
      return trace(own, promptOf(2 + 5 * index, 100 + index), 3 + index)
    })
    const [crowded] = await Promise.all([trace(engine, prompt, count, { salt: 'cold' }), ...others])
    sameBits(crowded, alone)
    engine.checkIntegrity()
  })

  test('an output stays what it was while others run on, until its sequence asks again', async () => {
    const { engine } = current
    const kept = engine.open(promptOf(9, 11))
    const output = await kept.output()
    const before = rowOf(output)
    await Promise.all(Array.from({ length: 20 }, (_, index) => trace(engine, promptOf(9, 200 + index), 5)))
    sameBits(rowOf(output), before)
    kept.close()
  })

  test('a prompt that is left while the step’s rows run fails nobody', async () => {
    const { engine } = current
    const [row, prompt] = [engine.open(promptOf(9, 12)), engine.open(promptOf(20, 13))]
    const other = engine.open(promptOf(20, 14))
    await row.output()
    row.append(5)
    // The engine rests, and its next step begins in the turn after what asks for it.
    for (let turns = 0; turns < 2; turns++) await turn()
    const left = prompt.output().catch((error: unknown) => error)
    const asked = [row.output(), other.output()]
    // Behind that, before the pass of the row can have ended.
    setImmediate(() => { prompt.close() })
    for (const output of await Promise.all(asked)) assert.ok(rowOf(output).length > 0)
    assert.ok(await left instanceof Error)
    for (const sequence of [row, other]) sequence.close()
    engine.checkIntegrity()
  })

  test('a request’s bits are the same alone and under 40 others that come, fork and leave, with too few ' +
    'slots for all', async t => {
    const { engine, model } = current
    const traces = [
      { prompt: promptOf(45, 30), more: {} },
      { prompt: promptOf(75, 31), more: { fanOut: 64 } }
    ]
    const expected = await Promise.all(traces.map(({ prompt, more }) => trace(engine, prompt, 10, more)))
    for (let seed = 1; seed <= 10; seed++) {
      // So little memory that slots are emptied when they are left.
      const little = { maxSequences: 32, kvCacheBytes: 2 ** 18, prefixCacheBytes: 2 ** 18 }
      const crowded = closedAfter(t, new Engine(model, { ...engineOptions, ...little }))
      const roll = dice(seed)
      const leaving = new AbortController()
      const others = Array.from({ length: 40 }, async (_, index) => {
        while (!leaving.signal.aborted) {
          const controller = new AbortController()
          const open: Sequence[] = [crowded.open(promptOf(2 + roll(60), roll(6)),
            { fanOut: roll(2) === 0 ? 1 : 128, signal: controller.signal })]
          for (let step = roll(6); step >= 0 && !leaving.signal.aborted; step--) {
            await Promise.all(open.map(sequence => sequence.output()))
            if (roll(3) === 0) open.push(open[roll(open.length)]!.fork())
            if (roll(4) === 0) await turn()
            for (const sequence of open) {
              sequence.append(...Array.from({ length: 1 + (roll(5) === 0 ? roll(4) : 0) }, () => 3 + roll(250)))
            }
          }
          if (roll(2) === 0) controller.abort(new Error(`other ${index} left`))
          for (const sequence of open) sequence.close()
          await turn()
        }
      })
      const followed = Promise.all(traces.map(({ prompt, more }) => trace(crowded, prompt, 10, more)))
      const checked = await followed.finally(() => { leaving.abort() })
      await Promise.all(others)
      crowded.checkIntegrity()
      sameBits(checked, expected, `seed ${seed}`)
      assert.deepEqual([crowded.stats().sequences, crowded.stats().kvTokens], [0, 0])
    }
  })

  test('more sequences than slots: idle ones are swapped out and come back with their bits', async t => {
    const { model } = current
    const small = closedAfter(t, new Engine(model, { ...engineOptions, maxSequences: 32, prefixCacheBytes: 0 }))
    const prompts = Array.from({ length: 50 }, (_, index) => promptOf(20 + index, 40 + index))
    const expected = await trace(small, prompts[7]!, 3)
    const sequences = prompts.map(prompt => small.open(prompt))
    const rows = [rowOf((await Promise.all(sequences.map(sequence => sequence.output())))[7]!)]
    // A fork waits for a copy of a sequence that is moved out, and of one that is closed.
    const forks = [sequences[7]!.fork(), sequences[8]!.fork()]
    sequences[8]!.close()
    for (let step = 0; step < 3; step++) {
      for (const sequence of [...sequences.filter((_, index) => index !== 8)]) {
        sequence.append(3 + (step * 37) % 256)
        await sequence.output()
        small.checkIntegrity()
      }
      rows.push(rowOf(await sequences[7]!.output()))
    }
    sameBits(rows, expected)
    forks[0]!.append(3)
    sameBits(rowOf(await forks[0]!.output()), expected[1])
    forks[1]!.append(3)
    await forks[1]!.output()
    for (const sequence of [...sequences, ...forks]) sequence.close()
    assert.equal(small.stats().kvTokens, 0)
    small.checkIntegrity()
  })

  test('an engine with room for one sequence runs one row after the other, with the same bits', async t => {
    const { engine, model } = current
    const narrow = closedAfter(t, new Engine(model, { ...engineOptions, maxSequences: 1, prefixCacheBytes: 0 }))
    const forked = async (on: Engine): Promise<number[][]> => {
      const root = on.open(promptOf(12), { salt: 'narrow' })
      await root.output()
      const forks = [root, root.fork(), root.fork()]
      const rows = await Promise.all(
        forks.map(async (fork, index) => { fork.append(5 + index); return rowOf(await fork.output()) })
      )
      for (const fork of forks) fork.close()
      return rows
    }
    const traced = (on: Engine, index: number): Promise<number[][]> =>
      trace(on, promptOf(20 + index, index), 4, { salt: 'narrow' })
    const requests = (on: Engine): Promise<number[][][]> =>
      Promise.all([...[0, 1, 2].map(index => traced(on, index)), forked(on)])
    sameBits(await requests(narrow), await requests(engine))
    assert.equal(narrow.counters.paddingRows, 0)
    // 3 · (1 chunk + 4 rows), 1 chunk and 3 rows.
    assert.deepEqual([narrow.counters.runs, narrow.counters.decodeRows], [19, 15])
    narrow.checkIntegrity()
  })

  test('after 500 random operations nothing is lost or held twice', async t => {
    const { engine, model } = current
    const roll = dice(42)
    const open: Sequence[] = []
    const waiting = new Set<Promise<unknown>>()
    const busy = new Set<Sequence>()
    const ask = (sequence: Sequence, question: () => Promise<unknown> = () => sequence.output()): void => {
      busy.add(sequence)
      const asked: Promise<unknown> =
        question().catch(() => {}).finally(() => { busy.delete(sequence); waiting.delete(asked) })
      waiting.add(asked)
    }
    for (let step = 0; step < 500; step++) {
      const sequence = open[roll(open.length)]
      const action = roll(7)
      const fanOut = roll(2) === 0 ? 1 : 128
      if (!sequence || (action === 0 && open.length < 40)) {
        const opened = engine.open(promptOf(1 + roll(60), roll(5)), { fanOut })
        open.push(opened)
        ask(opened)
      } else if (action === 1) {
        sequence.close()
        open.splice(open.indexOf(sequence), 1)
      } else if (!busy.has(sequence)) {
        if (action === 2 && open.length < 40) open.push(sequence.fork())
        else if (action === 6) ask(sequence, () => sequence.probe(...promptOf(1 + roll(3), step)))
        else if (sequence.tokens.length < 300) {
          sequence.append(...promptOf(1 + roll(3), step))
          ask(sequence)
        }
      }
      engine.checkIntegrity()
      if (roll(3) === 0) await turn()
    }
    await Promise.all(waiting)
    for (const sequence of open) sequence.close()
    engine.checkIntegrity()
    assert.equal(engine.stats().sequences, 0)
    const other = closedAfter(t, new Engine(model, engineOptions))
    sameBits(await trace(engine, promptOf(40), 2, { salt: 'after' }), await trace(other, promptOf(40), 2))
  })
})
