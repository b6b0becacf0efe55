/** Candidates that share their prompt's KV. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Engine } from '../../src/engine/engine.js'
import type { CausalModel } from '../../src/engine/executor/cpu/cpu-executor.js'
import type { Sequence, SequenceOptions } from '../../src/engine/sequence.js'
import { closedAfter } from '../helpers/closed-after.js'
import { promptOf, rowOf, trace, turn } from '../helpers/engine-traces.js'
import { sameBits } from '../helpers/same-bits.js'
import { engineOptions, inEveryFormat, ledger, loadTiny } from '../helpers/tiny-engine.js'

inEveryFormat(current => {
  test('candidates that share a prompt: same bits alone, among siblings that come and go, and beside other ' +
    'families', async () => {
    const { engine } = current
    const prompt = promptOf(70, 12)
    const more: SequenceOptions = { fanOut: 64, layers: [1], salt: 'family' }
    const alone = await trace(engine, prompt, 20, { ...more, salt: 'alone' })
    const cold = ledger()
    const root = engine.open(prompt, { ...more, ledger: cold })
    await root.output()
    const siblings = Array.from({ length: 31 }, () => root.fork())
    const followed = siblings[13]!
    const rows = [rowOf(await root.output())]
    const others = [...siblings.map(async (sibling, index) => {
      if (sibling === followed) return
      // Some stay behind, some leave, some fork.
      for (let step = 0; step < 4 + index; step++) {
        for (let turns = 0; turns < index % 3; turns++) await turn()
        sibling.append(3 + (step * 11 + index) % 256)
        await sibling.output()
      }
      sibling.close()
    }), trace(engine, promptOf(80, 13), 15, { fanOut: 64 }), trace(engine, promptOf(33, 14), 15)]
    for (let step = 0; step < 20; step++) {
      followed.append(3 + (step * 37) % 256)
      rows.push(rowOf(await followed.output()))
      engine.checkIntegrity()
    }
    await Promise.all(others)
    sameBits(rows, alone)
    assert.equal(cold.computedTokens,
      70 + 20 + siblings.reduce((sum, sibling, index) => sum + (sibling === followed ? 0 : 4 + index), 0))

    // Once the prompt is cached, too, and with several tokens at once.
    const warm = ledger()
    const again = engine.open(prompt, { ...more, ledger: warm })
    sameBits(rowOf(await again.output()), alone[0])
    assert.equal(warm.cachedTokens, 64)
    again.append(...Array.from({ length: 20 }, (_, step) => 3 + (step * 37) % 256))
    sameBits(rowOf(await again.output()), alone[20])
    const [one, other] = [await followed.output(), await again.output()]
    sameBits(one.pooled(1), other.pooled(1))
    for (const sequence of [root, followed, again]) sequence.close()
    engine.checkIntegrity()
  })

  test('families and single rows in one run: the bits that each has alone', async () => {
    const { engine, model } = current
    const shapes = [{ private: 1, shared: 1 }, { private: 1, shared: 2 }, { private: 1, shared: 3 },
      { private: 0, shared: 2 }]
    for (const shape of shapes) await model.sessions.prepare(shape)
    const families = [promptOf(66, 20), promptOf(90, 21), promptOf(200, 22)]
    const alone = [...await Promise.all(families.map((prompt, index) => trace(engine, prompt, 12,
      { fanOut: 64, layers: [1], salt: `family ${index}` }))), await trace(engine, promptOf(50, 23), 12)]
    const roots =
      families.map((prompt, index) => engine.open(prompt, { fanOut: 64, layers: [1], salt: `beside ${index}` }))
    await Promise.all(roots.map(root => root.output()))
    const forks = roots.map(root => Array.from({ length: 3 }, () => root.fork()))
    const single = engine.open(promptOf(50, 23), { salt: 'beside' })
    await single.output()
    const sequences = [...roots, single]
    const rows = await Promise.all(sequences.map(async sequence => [rowOf(await sequence.output())]))
    const { runs, steps } = engine.counters
    for (let step = 0; step < 12; step++) {
      for (const fork of forks.flat()) fork.append(3 + (step * 5) % 256)
      for (const sequence of sequences) sequence.append(3 + (step * 37) % 256)
      // Some families leave for a while, so that runs have other shapes.
      const present = sequences.map((_, index) => index === 3 || (step + index) % 4 !== 0)
      await Promise.all([...forks.flat(), ...sequences.filter((_, index) => present[index])].map(sequence =>
        sequence.output()))
      for (const [index, sequence] of sequences.entries()) rows[index]!.push(rowOf(await sequence.output()))
      engine.checkIntegrity()
    }
    sameBits(rows, alone)
    assert.ok(engine.counters.runs - runs < 1.6 * (engine.counters.steps - steps), 'the parts of a step ran apart')
    for (const sequence of [...sequences, ...forks.flat()]) sequence.close()
  })

  test('a shared prompt is held once, whatever the fan-out', async () => {
    const { engine } = current
    const before = engine.stats().kvTokens
    const root = engine.open(promptOf(90, 15), { fanOut: 64, salt: 'held' })
    await root.output()
    const forks = Array.from({ length: 31 }, () => root.fork())
    await Promise.all(forks.map(fork => { fork.append(9); return fork.output() }))
    assert.equal(engine.stats().kvTokens - before, 90 + 31)
    for (const sequence of [root, ...forks]) sequence.close()
    assert.equal(engine.stats().kvTokens, before)
  })
})

test('a shared prompt gives the logits of private KV, up to rounding', async t => {
  const model = await loadTiny(t, 2)
  const engine = closedAfter(t, new Engine(model, engineOptions))
  for (const length of [64, 65, 200]) {
    const [own, shared] = [await trace(engine, promptOf(length, 16), 40),
      await trace(engine, promptOf(length, 16), 40, { fanOut: 128 })]
    sameBits(shared[0], own[0])
    let largest = 0
    for (const [step, row] of own.entries()) {
      for (const [at, logit] of row.entries()) largest = Math.max(largest, Math.abs(logit - shared[step]![at]!))
    }
    assert.ok(largest > 0 && largest <= 1e-4, `largest difference ${largest}`)
  }
})

test('a long answer to a long shared prompt: its bits are the same alone and beside 31 others', async t => {
  // Heads as wide as usual: the order of long sums goes with the width of a product, and the threads.
  const model = await loadTiny(t, 2, { hiddenSize: 256, feedForwardSize: 64 })
  const engine = closedAfter(t, new Engine(model, engineOptions))
  const prompt = promptOf(230, 24)
  const alone = await trace(engine, prompt, 280, { fanOut: 64, salt: 'alone' })
  const root = engine.open(prompt, { fanOut: 64, salt: 'beside' })
  await root.output()
  const forks = Array.from({ length: 31 }, () => root.fork())
  for (let step = 0; step < 280; step++) {
    root.append(3 + (step * 37) % 256)
    for (const fork of forks) fork.append(3 + (step * 5) % 256)
    const [output] = await Promise.all([root, ...forks].map(sequence => sequence.output()))
    if (step % 10 === 9) sameBits(rowOf(output!), alone[step + 1], `token ${step}`)
  }
})

test('families whose candidates came in turns sit together, each a part of a run', async t => {
  const model = await loadTiny(t, 2)
  const apart: CausalModel = {
    config: model.config,
    canSharePrefix: true,
    sessions: {
      find: shape => shape.private + shape.shared > 1 ? null : model.sessions.find(shape),
      prepare: shape => model.sessions.prepare(shape)
    }
  }
  const engine = closedAfter(t, new Engine(apart, engineOptions))
  const roots = [40, 41, 42].map(seed => engine.open(promptOf(70, seed), { fanOut: 64, salt: String(seed) }))
  await Promise.all(roots.map(root => root.output()))
  const rows = [...Array.from({ length: 11 }, () => roots.map(root => root.fork())).flat(), ...roots]
  const step = async (token: number, rows: readonly Sequence[]): Promise<number> => {
    const { runs } = engine.counters
    for (const row of rows) row.append(token)
    await Promise.all(rows.map(row => row.output()))
    engine.checkIntegrity()
    return engine.counters.runs - runs
  }
  assert.deepEqual([await step(5, rows), await step(6, rows)], [3, 3])
  // Of each family only some go on.
  const left = rows.filter((_, index) => Math.floor(index / roots.length) % 2 === 1)
  for (const row of rows) if (!left.includes(row)) row.close()
  assert.deepEqual([await step(7, left), await step(8, left)], [3, 3])
  const alone = engine.open(promptOf(70, 42), { fanOut: 64, salt: 'alone' })
  await alone.output()
  for (const token of [5, 6, 7, 8]) await step(token, [alone])
  sameBits(rowOf(await roots[2]!.output()), rowOf(await alone.output()))
})
