/**
 * Prompts: however they are cut into prefill chunks, joined, cached or followed by draft tokens, the bits are the
 * same.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Engine } from '../../src/engine/engine.js'
import { chunksShape } from '../../src/models/graph/run-shape.js'
import { closedAfter } from '../helpers/closed-after.js'
import { promptOf, rowOf, trace } from '../helpers/engine-traces.js'
import { sameBits } from '../helpers/same-bits.js'
import { engineOptions, inEveryFormat, ledger } from '../helpers/tiny-engine.js'

inEveryFormat(current => {
  test('the distribution after every position of a prompt is bitwise that of the prompt that ' +
    'ends there', async () => {
    const { engine } = current
    const prompt = promptOf(150)
    const rows: number[][] = []
    const sequence = engine.open(prompt, {
      poolFrom: 0,
      onPosition: (position, distribution) => {
        rows[position] = [...distribution.logits, distribution.logNormalizer]
      }
    })
    const last = rowOf(await sequence.output())
    sequence.close()
    assert.equal(rows.length, 150)
    sameBits(rows[149], last)
    for (const end of [1, 2, 62, 63, 64, 65, 127, 148]) {
      const [expected] = await trace(engine, prompt.slice(0, end + 1), 0, { salt: `cold ${end}` })
      sameBits(rows[end], expected, `position ${end}`)
    }
  })

  test('draft tokens are checked in one pass, bitwise as prompt tokens, and taken back ' +
    'without a trace', async () => {
    const { engine } = current
    const [prompt, draft] = [promptOf(40), promptOf(6, 7)]
    const used = ledger()
    const sequence = engine.open(prompt, { ledger: used })
    await sequence.output()
    sequence.append(...draft)
    const passes = used.forwardPasses
    const rows = (await sequence.outputs()).map(rowOf)
    assert.equal(used.forwardPasses, passes + 1)
    for (const count of [2, 3, 6]) {
      const [expected] = await trace(engine, [...prompt, ...draft.slice(0, count)], 0, { salt: `cold ${count}` })
      sameBits(rows[count - 1], expected, `after ${count}`)
    }
    const [fork, pooling] = [sequence.fork(), engine.open(prompt, { layers: [1] })]
    assert.throws(() => { sequence.truncate(42) }, /forked/)
    await assert.rejects(pooling.outputs(), /after the last token only/)
    for (const open of [sequence, fork, pooling]) open.close()
    const cut = engine.open(prompt)
    await cut.output()
    cut.append(...draft)
    await cut.outputs()
    cut.truncate(42)
    await assert.rejects(cut.output(), /needs a token/)
    const more = []
    for (const token of [3, 40, 77]) {
      cut.append(token)
      more.push(rowOf(await cut.output()))
    }
    cut.close()
    sameBits(more, (await trace(engine, [...prompt, ...draft.slice(0, 2)], 3, { salt: 'cold' })).slice(1))
    engine.checkIntegrity()
  })

  test('short chunks of several sequences run together, bitwise as each alone, with their hidden states and what ' +
    'is said of every position', async t => {
    const { engine, model } = current
    const joining = closedAfter(t, new Engine(model, { ...engineOptions, prefixCacheBytes: 0, joinsChunks: true }))
    for (const count of [2, 4, 8]) await model.sessions.prepare(chunksShape(count))
    /** Forks of one prompt that go on for 2 to 40 positions, and what was said of theirs. */
    const read = async (engine: Engine): Promise<{ rows: number[][], runs: number }> => {
      const root = engine.open(promptOf(30), { layers: [1], poolFrom: 30 })
      await root.output()
      const { runs } = engine.counters
      const said: number[][] = []
      const forks = Array.from({ length: 15 }, (_, index) => {
        const fork = root.fork(index % 3 === 0
          ? { onPosition: (position, { logNormalizer }) => { said.push([index, position, logNormalizer]) } }
          : {})
        fork.append(...promptOf(index === 7 ? 100 : 2 + 13 * index % 39, 200 + index))
        return fork
      })
      const outputs = await Promise.all(forks.map(async fork => fork.output()))
      const rows = outputs.map(output => [...rowOf(output), ...output.hidden(1), ...output.pooled(1)])
      for (const sequence of [root, ...forks]) sequence.close()
      return {
        rows: [...rows, ...said.sort((a, b) => a[0]! - b[0]! || a[1]! - b[1]!)], runs: engine.counters.runs - runs
      }
    }
    const [together, apart] = [await read(joining), await read(engine)]
    sameBits(together.rows, apart.rows)
    assert.ok(together.runs < apart.runs / 2, `${together.runs} runs, apart ${apart.runs}`)
    joining.checkIntegrity()
  })

  test('however a prompt is cut into chunks, its logits are bitwise the same', async t => {
    const { engine, model } = current
    const prompt = promptOf(101, 7)
    const whole = (await trace(engine, prompt, 0))[0]
    for (let first = 2; first < prompt.length - 1; first++) {
      const sequence = engine.open(prompt.slice(0, first), { salt: `cut ${first}` })
      await sequence.output()
      sequence.append(...prompt.slice(first))
      sameBits(rowOf(await sequence.output()), whole, `cut after ${first}`)
      sequence.close()
    }
    for (const prefillTokensPerStep of [2, 3, 7, 33, 128]) {
      const cut = closedAfter(t, new Engine(model, { ...engineOptions, prefillTokensPerStep, prefixCacheBytes: 0 }))
      sameBits((await trace(cut, prompt, 0))[0], whole, `${prefillTokensPerStep} tokens a step`)
    }
  })

  test('salts keep cached prompts apart', async () => {
    const { engine } = current
    const prompt = promptOf(30, 9)
    await trace(engine, prompt, 0, { salt: 'a' })
    const [same, other] = [ledger(), ledger()]
    await trace(engine, prompt, 0, { salt: 'a', ledger: same })
    await trace(engine, prompt, 0, { salt: 'b', ledger: other })
    assert.equal(same.cachedTokens, 16)
    assert.equal(other.cachedTokens, 0)
  })
})
