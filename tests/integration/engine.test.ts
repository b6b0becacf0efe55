import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, describe, test, type TestContext } from 'node:test'
import { Engine, type EngineOptions } from '../../src/engine/engine.js'
import type { CausalModel } from '../../src/engine/executor/runner.js'
import type { ComputeLedger, Sequence, SequenceOptions, States } from '../../src/engine/sequence.js'
import { loadModel, type LoadedModel } from '../../src/models/model.js'
import { chunksShape } from '../../src/models/graph/run-shape.js'
import { weightFormats } from '../../src/models/quantization/weight-format.js'
import { Tensor } from '../../src/runtime/tensor.js'
import { closedAfter } from '../helpers/closed-after.js'
import { dice, promptOf, rowOf, trace, turn } from '../helpers/engine-traces.js'
import { sameBits } from '../helpers/same-bits.js'
import { writeTinyGguf } from '../helpers/tiny-gguf.js'

const directory = mkdtempSync(join(tmpdir(), 'fairlead-engine-'))
const path = join(directory, 'tiny.gguf')
writeTinyGguf(path)
/**
 * With the encodings of ordinary files, so that `exact` has blocks to keep and the embedding is looked up in integers.
 */
const encodedPath = join(directory, 'encoded.gguf')
writeTinyGguf(encodedPath,
  { encode: name => name.startsWith('token_embd') ? 'Q8_0' : name.includes('attn_output') ? 'Q4_0' : 'Q4_1' })
after(() => { rmSync(directory, { recursive: true }) })

const options: EngineOptions = {
  contextLength: 512,
  maxSequences: 64,
  kvCacheBytes: 2 ** 28,
  prefixCacheBytes: 2 ** 22,
  prefillTokensPerStep: 64
}
const ledger = (): ComputeLedger => ({ computedTokens: 0, cachedTokens: 0, forwardPasses: 0 })

/** A model whose runs fail while luck is out. */
const runsOutOf = (luck: { readonly isOut: boolean }, { config, sessions }: LoadedModel): CausalModel => ({
  config,
  canSharePrefix: true,
  sessions: {
    find: shape => ({
      run: (inputs, outputs) =>
        luck.isOut ? Promise.reject(new Error('out of luck')) : sessions.find(shape)!.run(inputs, outputs)
    }),
    prepare: shape => sessions.prepare(shape)
  }
})

/** A model in float32, given back when the test ends. */
async function loadTiny (t: TestContext, threads: number, model = path): Promise<LoadedModel> {
  return closedAfter(t, await loadModel({ model, format: 'f32', threads, cacheDir: directory, contextLength: 0 }))
}

for (const format of weightFormats) {
  describe(`an engine on a tiny model, ${format}`, () => {
    let model: LoadedModel
    /** Of one test: closed when it ends, however it ends, and with it every sequence. */
    let engine: Engine
    before(async () => {
      model = await loadModel({ model: encodedPath, format, threads: 2, cacheDir: directory, contextLength: 0 })
    })
    beforeEach(() => { engine = new Engine(model, options) })
    afterEach(() => engine.close())
    after(() => { model.dispose() })

    test('a request’s logits are bitwise the same alone, among 31 others, and with a warm prefix cache', async () => {
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

    test('the distribution after every position of a prompt is bitwise that of the prompt that ' +
      'ends there', async () => {
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

    test('guessed tokens are checked in one pass, bitwise as prompt tokens, and taken back ' +
      'without a trace', async () => {
      const [prompt, guesses] = [promptOf(40), promptOf(6, 7)]
      const used = ledger()
      const sequence = engine.open(prompt, { ledger: used })
      await sequence.output()
      sequence.append(...guesses)
      const passes = used.forwardPasses
      const rows = (await sequence.outputs()).map(rowOf)
      assert.equal(used.forwardPasses, passes + 1)
      for (const count of [2, 3, 6]) {
        const [expected] = await trace(engine, [...prompt, ...guesses.slice(0, count)], 0, { salt: `cold ${count}` })
        sameBits(rows[count - 1], expected, `after ${count}`)
      }
      const [fork, pooling] = [sequence.fork(), engine.open(prompt, { layers: [1] })]
      assert.throws(() => { sequence.truncate(42) }, /forked/)
      await assert.rejects(pooling.outputs(), /after the last token only/)
      for (const open of [sequence, fork, pooling]) open.close()
      const cut = engine.open(prompt)
      await cut.output()
      cut.append(...guesses)
      await cut.outputs()
      cut.truncate(42)
      await assert.rejects(cut.output(), /needs a token/)
      const more = []
      for (const token of [3, 40, 77]) {
        cut.append(token)
        more.push(rowOf(await cut.output()))
      }
      cut.close()
      sameBits(more, (await trace(engine, [...prompt, ...guesses.slice(0, 2)], 3, { salt: 'cold' })).slice(1))
      engine.checkIntegrity()
    })

    test('short chunks of several sequences run together, bitwise as each alone, with their hidden states and what ' +
      'is said of every position', async t => {
      const joining = closedAfter(t, new Engine(model, { ...options, prefixCacheBytes: 0, joinsChunks: true }))
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
        const cut = closedAfter(t, new Engine(model, { ...options, prefillTokensPerStep, prefixCacheBytes: 0 }))
        sameBits((await trace(cut, prompt, 0))[0], whole, `${prefillTokensPerStep} tokens a step`)
      }
    })

    test('a fork equals a fresh sequence with the same history, and parent and child go on apart', async () => {
      const prompt = promptOf(20, 3)
      const root = engine.open(prompt, { layers: [1], salt: 'fork' })
      await root.output()
      const child = root.fork()
      for (const token of [50, 60, 70]) { child.append(token); await child.output() }
      root.append(90)
      const rootRow = rowOf(await root.output())
      const grandchild = child.fork()
      grandchild.append(80)
      const forked = await grandchild.output()
      const fresh = engine.open(prompt, { layers: [1], salt: 'fresh' })
      await fresh.output()
      for (const token of [50, 60, 70, 80]) { fresh.append(token); await fresh.output() }
      const expected = await fresh.output()
      sameBits(rowOf(forked), rowOf(expected))
      sameBits(forked.pooled(1), expected.pooled(1))
      sameBits(forked.hidden(1), expected.hidden(1))
      assert.equal(forked.pooledTokens, 4)
      sameBits(rootRow, (await trace(engine, prompt, 0, { salt: 'again' }).then(async () => {
        const again = engine.open(prompt, { salt: 'third' })
        await again.output()
        again.append(90)
        const row = rowOf(await again.output())
        again.close()
        return row
      })))
      for (const sequence of [root, child, grandchild, fresh]) sequence.close()
      engine.checkIntegrity()
    })

    test('an output stays what it was while others run on, until its sequence asks again', async () => {
      const kept = engine.open(promptOf(9, 11))
      const output = await kept.output()
      const before = rowOf(output)
      await Promise.all(Array.from({ length: 20 }, (_, index) => trace(engine, promptOf(9, 200 + index), 5)))
      sameBits(rowOf(output), before)
      kept.close()
    })

    test('the pooled mean is the mean of the hidden states of the tokens fed after the prompt', async () => {
      const sequence = engine.open(promptOf(6, 5), { layers: [0, 2] })
      await sequence.output()
      const states: number[][] = []
      for (const token of [10, 20, 30]) {
        sequence.append(token)
        states.push([...(await sequence.output()).hidden(2)])
      }
      const pooled = (await sequence.output()).pooled(2)
      for (const [index, value] of pooled.entries()) {
        assert.ok(Math.abs(value - states.reduce((sum, state) => sum + state[index]!, 0) / 3) < 1e-5)
      }
      sequence.close()
    })

    test('a probe’s states are bitwise the same alone and beside others, and the sequence goes on as if it had not ' +
      'been probed', async () => {
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

    test('the log-normalisers are those of the row, at temperature 1 and at the sequence’s own', async () => {
      const sequence = engine.open(promptOf(5, 6), { temperature: 0.5 })
      const { distribution } = await sequence.output()
      const sum = (inverse: number): number =>
        Math.log(distribution.logits.reduce((total, logit) => total + Math.exp(logit * inverse), 0))
      assert.ok(Math.abs(distribution.logNormalizer - sum(1)) < 1e-5)
      assert.ok(Math.abs(distribution.temperedLogNormalizer - sum(2)) < 1e-5)
      assert.equal(distribution.logits[distribution.topIds[0]!], Math.max(...distribution.logits))
      sequence.close()
    })

    test('sixteen candidates of a prompt run it once', async () => {
      const used = ledger()
      const root = engine.open(promptOf(50, 8), { ledger: used, salt: 'once' })
      await root.output()
      const candidates = Array.from({ length: 16 }, () => root.fork())
      await Promise.all(
        candidates.map((candidate, index) => { candidate.append(10 + index); return candidate.output() })
      )
      assert.equal(used.computedTokens, 50 + 16)
      for (const sequence of [root, ...candidates]) sequence.close()
    })

    test('salts keep cached prompts apart', async () => {
      const prompt = promptOf(30, 9)
      await trace(engine, prompt, 0, { salt: 'a' })
      const [same, other] = [ledger(), ledger()]
      await trace(engine, prompt, 0, { salt: 'a', ledger: same })
      await trace(engine, prompt, 0, { salt: 'b', ledger: other })
      assert.equal(same.cachedTokens, 16)
      assert.equal(other.cachedTokens, 0)
    })

    test('candidates that share a prompt: same bits alone, among siblings that come and go, and beside other ' +
      'families', async () => {
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
      const before = engine.stats().kvTokens
      const root = engine.open(promptOf(90, 15), { fanOut: 64, salt: 'held' })
      await root.output()
      const forks = Array.from({ length: 31 }, () => root.fork())
      await Promise.all(forks.map(fork => { fork.append(9); return fork.output() }))
      assert.equal(engine.stats().kvTokens - before, 90 + 31)
      for (const sequence of [root, ...forks]) sequence.close()
      assert.equal(engine.stats().kvTokens, before)
    })

    test('a request’s bits are the same alone and under 40 others that come, fork and leave, with too few ' +
      'slots for all', async t => {
      const traces = [
        { prompt: promptOf(45, 30), more: {} },
        { prompt: promptOf(75, 31), more: { fanOut: 64 } }
      ]
      const expected = await Promise.all(traces.map(({ prompt, more }) => trace(engine, prompt, 10, more)))
      for (let seed = 1; seed <= 10; seed++) {
        // So little memory that slots are emptied when they are left.
        const little = { maxSequences: 32, kvCacheBytes: 2 ** 18, prefixCacheBytes: 2 ** 18 }
        const crowded = closedAfter(t, new Engine(model, { ...options, ...little }))
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

    test('more sequences than slots: idle ones are moved out and come back with their bits', async t => {
      const small = closedAfter(t, new Engine(model, { ...options, maxSequences: 32, prefixCacheBytes: 0 }))
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
      const narrow = closedAfter(t, new Engine(model, { ...options, maxSequences: 1, prefixCacheBytes: 0 }))
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
      assert.equal(narrow.counters.ridingRows, 0)
      // 3 · (1 chunk + 4 rows), 1 chunk and 3 rows.
      assert.deepEqual([narrow.counters.runs, narrow.counters.decodeRows], [19, 15])
      narrow.checkIntegrity()
    })

    test('an abort while a run is in flight frees the sequence within that step', async () => {
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

    test('after 500 random operations nothing is lost or held twice', async t => {
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
      const other = closedAfter(t, new Engine(model, options))
      sameBits(await trace(engine, promptOf(40), 2, { salt: 'after' }), await trace(other, promptOf(40), 2))
    })
  })
}

test('a probe gives the states that the sequence would have, up to rounding, up to the end of the context', async t => {
  const model = await loadTiny(t, 2)
  const engine = closedAfter(t, new Engine(model, options))
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
  const engine = closedAfter(t, new Engine(runsOutOf(luck, model), options))
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

test('a shared prompt gives the logits of private KV, up to rounding', async t => {
  const model = await loadTiny(t, 2)
  const engine = closedAfter(t, new Engine(model, options))
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
  const widePath = join(directory, 'wide.gguf')
  // Heads as wide as usual: the order of long sums goes with the width of a product, and the threads.
  writeTinyGguf(widePath, { hiddenSize: 256, feedForwardSize: 64 })
  const model = await loadTiny(t, 2, widePath)
  const engine = closedAfter(t, new Engine(model, options))
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
  const engine = closedAfter(t, new Engine(apart, options))
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

test('a failing run fails its own rows, and the engine goes on', async t => {
  const model = await loadTiny(t, 1)
  const luck = { isOut: false }
  const engine = closedAfter(t, new Engine(runsOutOf(luck, model), options))
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
  assert.throws(() => new Engine(model, options),
    /^RequestError: the KV of 32 sequences of 512 tokens needs 4 buffers of 2097152 bytes, and the system refuses to reserve them$/)
  left = 5
  const problems: string[] = []
  const engine = closedAfter(t, new Engine(model, { ...options, onProblem: problem => { problems.push(problem) } }))
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
  const engine = closedAfter(t, new Engine(model, options))
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
