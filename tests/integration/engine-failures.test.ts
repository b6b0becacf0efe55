/** Aborts, passes that fail and memory that is refused. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Engine } from '../../src/engine/engine.js'
import { Tensor } from '../../src/runtime/tensor.js'
import { closedAfter } from '../helpers/closed-after.js'
import { promptOf, rowOf, trace, turn } from '../helpers/engine-traces.js'
import { sameBits } from '../helpers/same-bits.js'
import { engineOptions, inEveryFormat, loadTiny, runsOutOf } from '../helpers/tiny-engine.js'

inEveryFormat(current => {
  test('an abort while a run is in flight frees the sequence within that step', async () => {
    const { engine } = current
    const controller = new AbortController()
    const sequence = engine.open(promptOf(40, 10), { signal: controller.signal, salt: 'abort' })
    await sequence.output()
    const child = sequence.fork()
    child.append(7)
    const pending = child.output()
    // The loop starts a step in the next turn; then it is waiting for the run.
    await turn()
    const steps = engine.counters.steps
    controller.abort(new Error('the caller left'))
    await assert.rejects(pending, /the caller left/)
    assert.equal(engine.stats().sequences, 0)
    assert.equal(engine.stats().kvTokens, 0)
    assert.ok(engine.counters.steps - steps <= 1)
    assert.throws(() => sequence.append(1), /the caller left/)
    engine.checkIntegrity()
  })
})

test('a failing run fails its own rows, and the engine goes on', async t => {
  const model = await loadTiny(t, 1)
  const luck = { isOut: false }
  const engine = closedAfter(t, new Engine(runsOutOf(luck, model), engineOptions))
  const sequence = engine.open(promptOf(10))
  const expected = rowOf(await sequence.output())
  luck.isOut = true
  sequence.append(5)
  await assert.rejects(sequence.output(), /out of luck/)
  engine.checkIntegrity()
  luck.isOut = false
  await sequence.output()
  sameBits((await trace(engine, promptOf(10), 0, { salt: 'x' }))[0], expected)
  sequence.close()
})

test('where no KV can be reserved no engine is made; where it is not enough for all, the others wait', async t => {
  const model = await loadTiny(t, 1)
  const { allocate } = Tensor
  let left = 3
  t.mock.method(Tensor, 'allocate', (...[type, dims]: Parameters<typeof allocate>) => {
    if (dims.length === 4 && dims[0] === 32 && left-- <= 0) throw new Error('std::bad_alloc')
    return allocate.call(Tensor, type, dims)
  })
  assert.throws(() => new Engine(model, engineOptions),
    { code: 'invalid_request', message: /32 sequences of 512 tokens needs 4 buffers of 2097152 bytes/ })
  left = 5
  const problems: string[] = []
  const onProblem = (problem: string): void => { problems.push(problem) }
  const engine = closedAfter(t, new Engine(model, { ...engineOptions, onProblem }))
  // Families whose rows came in turns, so that they would sit together in slots of their own.
  const roots = [40, 41].map(seed => engine.open(promptOf(70, seed), { fanOut: 64, salt: String(seed) }))
  await Promise.all(roots.map(root => root.output()))
  const rows = [...roots, ...Array.from({ length: 19 }, () => roots.map(root => root.fork())).flat()]
  for (const token of [5, 6]) {
    for (const row of rows) row.append(token)
    await Promise.all(rows.map(row => row.output()))
    engine.checkIntegrity()
  }
  for (const [index, row] of rows.entries()) {
    sameBits(rowOf(await row.output()), rowOf(await roots[index % 2]!.output()))
  }
  assert.equal(problems.length, 1)
  assert.match(problems[0]!,
    /^no more than 32 sequences run at the same time: the KV of 32 sequences of 512 tokens needs/)
})

test('a step that fails outside of a run fails who waits, and the engine goes on', async t => {
  const model = await loadTiny(t, 1)
  const engine = closedAfter(t, new Engine(model, engineOptions))
  const refusing = t.mock.method(Tensor, 'allocate', () => { throw new Error('std::bad_alloc') })
  const sequences = [engine.open(promptOf(10), { layers: [1] }), engine.open(promptOf(10, 2))]
  for (const result of await Promise.allSettled(sequences.map(sequence => sequence.output()))) {
    assert.match(String((result as PromiseRejectedResult).reason), /std::bad_alloc/)
  }
  refusing.mock.restore()
  assert.ok(engine.isIdle)
  engine.checkIntegrity()
  await Promise.all(sequences.map(sequence => sequence.output()))
  for (const sequence of sequences) sequence.close()
})
