/** Probes: hidden states of what may come next. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Engine } from '../../src/engine/engine.js'
import type { Sequence, States } from '../../src/engine/sequence.js'
import { closedAfter } from '../helpers/closed-after.js'
import { promptOf, rowOf, trace, turn } from '../helpers/engine-traces.js'
import { sameBits } from '../helpers/same-bits.js'
import { engineOptions, inEveryFormat, loadTiny, runsOutOf } from '../helpers/tiny-engine.js'

inEveryFormat(current => {
  test('a probe’s states are bitwise the same alone and beside others, and the sequence goes on as if it had not ' +
    'been probed', async () => {
    const { engine } = current
    const layers = [0, 1]
    const statesOf = async (sequence: Sequence): Promise<number[][]> =>
      (await Promise.all(Array.from(
        { length: 40 }, (_, index) => sequence.probe(10 + index, ...index % 3 === 0 ? [7] : [])
      ))).map(states => layers.flatMap(layer => [...states.hidden(layer), ...states.pooled(layer)]))
    const walk = async (sequence: Sequence): Promise<number[][]> => {
      const rows = [rowOf(await sequence.output())]
      for (const token of [20, 30, 40]) {
        rows.push(...await statesOf(sequence))
        sequence.append(token)
        rows.push(rowOf(await sequence.output()))
      }
      return rows
    }
    const alone = engine.open(promptOf(30, 50), { layers, probed: true, salt: 'alone' })
    const expected = await walk(alone)
    // Beside a stream, a search of rows and others that are probed, from a fork.
    const root = engine.open(promptOf(30, 50), { layers, probed: true, fanOut: 64, salt: 'beside' })
    await root.output()
    const fork = root.fork()
    const others = Array.from({ length: 3 }, (_, index) => engine.open(promptOf(20 + index, 60 + index), { layers }))
    const traces = [trace(engine, promptOf(12, 51), 20),
      ...Array.from({ length: 6 }, (_, index) => trace(engine, promptOf(9, 70 + index), 12, { fanOut: 16 }))]
    const [rows] = await Promise.all([walk(fork), ...others.map(walk), ...traces])
    sameBits(rows, expected)
    for (const sequence of [alone, root, fork, ...others]) sequence.close()
    const unprobed = await (async () => {
      const sequence = engine.open(promptOf(30, 50), { layers, salt: 'unprobed' })
      const rows = [rowOf(await sequence.output())]
      for (const token of [20, 30, 40]) {
        sequence.append(token)
        rows.push(rowOf(await sequence.output()))
      }
      sequence.close()
      return rows
    })()
    sameBits(expected.filter((_, index) => index % 41 === 0), unprobed)
    engine.checkIntegrity()
  })
})

test('a probe gives the states that the sequence would have, up to rounding, up to the end of the context', async t => {
  const model = await loadTiny(t, 2)
  const engine = closedAfter(t, new Engine(model, engineOptions))
  const assertClose = (one: States, other: States, layer: number): void => {
    for (const kind of ['hidden', 'pooled'] as const) {
      const [a, b] = [one[kind](layer), other[kind](layer)]
      assert.ok(a.every((value, index) => Math.abs(value - b[index]!) < 1e-5), `${kind} ${layer}`)
    }
    assert.equal(one.pooledTokens, other.pooledTokens)
  }
  // Of no layer of the model, of one and of all; with room for all branches at once, and for less.
  for (const [layer, length] of [[0, 40], [1, 40], [2, 40], [1, 506], [2, 509]] as const) {
    const sequence = engine.open(promptOf(length - 2, 80), { layers: [layer], salt: `${layer} ${length}` })
    await sequence.output()
    sequence.append(5, 6)
    await sequence.output()
    const { probedTokens, runs } = engine.counters
    const branches = Array.from({ length: 21 }, (_, index) =>
      index % 2 === 0 ? [10 + index] : [10 + index, 3, 4].slice(0, Math.min(3, 512 - length)))
    const probed = await Promise.all(branches.map(branch => sequence.probe(...branch)))
    assert.equal(engine.counters.probedTokens - probedTokens, branches.flat().length)
    assert.ok(engine.counters.runs - runs >= branches.flat().length / Math.min(32, 512 - length))
    for (const [index, branch] of branches.entries()) {
      const fork = sequence.fork()
      for (const token of branch) {
        fork.append(token)
        await fork.output()
      }
      assertClose(probed[index]!, await fork.output(), layer)
      fork.close()
    }
    sequence.close()
  }
  engine.checkIntegrity()
})

test('a probe is refused where there is no output yet, no room or a shared prompt, and ends with its sequence or a ' +
  'run that fails', async t => {
  const model = await loadTiny(t, 1)
  const luck = { isOut: false }
  const engine = closedAfter(t, new Engine(runsOutOf(luck, model), engineOptions))
  const controller = new AbortController()
  const sequence = engine.open(promptOf(10), { layers: [1], signal: controller.signal })
  await assert.rejects(sequence.probe(5), /its output is there/)
  await sequence.output()
  await assert.rejects(sequence.probe(), /1 to 32; got 0/)
  await assert.rejects(sequence.probe(...promptOf(33)), /1 to 32; got 33/)
  const [shared, whole, full] = [engine.open(promptOf(90), { fanOut: 64 }),
    engine.open(promptOf(90), { fanOut: 64, probed: true }), engine.open(promptOf(512))]
  await Promise.all([shared, whole, full].map(one => one.output()))
  await assert.rejects(shared.probe(5), /shares its prompt/)
  await whole.probe(5)
  await assert.rejects(full.probe(5), /after 512 tokens has 1 to 0; got 1/)
  const probe = sequence.probe(5)
  assert.throws(() => { sequence.append(5) }, /while a probe is awaited/)
  await probe
  luck.isOut = true
  await assert.rejects(sequence.probe(5), /out of luck/)
  luck.isOut = false
  const states = await sequence.probe(5)
  assert.throws(() => states.hidden(2), /layer 2 were not asked for/)
  const last = sequence.probe(6)
  await turn()
  controller.abort(new Error('the caller left'))
  await assert.rejects(last, /the caller left/)
  for (const one of [shared, whole, full]) one.close()
  assert.deepEqual([engine.stats().sequences, engine.stats().kvTokens], [0, 0])
  engine.checkIntegrity()
})
