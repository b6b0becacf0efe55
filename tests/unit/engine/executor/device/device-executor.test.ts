/**
 * The engine over blocks, on a decoder that answers by a hash of all that a row may depend on: in any company, forked,
 * cached, cut, preempted or lost, a sequence is answered as it is alone.
 */
import assert from 'node:assert/strict'
import { describe, test, type TestContext } from 'node:test'
import { Engine, type EngineOptions } from '../../../../../src/engine/engine.js'
import { decodeRun, minLongChunk, prefillRun, shortRun } from '../../../../../src/engine/kv/history.js'
import { MissingLogits, type Distribution, type Sequence } from '../../../../../src/engine/sequence.js'
import { DeviceLostError } from '../../../../../src/models/device/device-decoder.js'
import { uniform } from '../../../../../src/statistics/random.js'
import {
  expectedLogits, FakeDecoder, kvOf, stateOf, vocabularySize
} from '../../../../helpers/fake-decoder.js'

const options: EngineOptions = {
  contextLength: 512,
  maxSequences: 64,
  kvCacheBytes: 2 ** 20,
  prefixCacheBytes: 2 ** 20,
  prefillTokensPerStep: 64
}

interface Device { readonly engine: Engine, readonly decoders: FakeDecoder[] }

function openDevice (t: TestContext, numBlocks = 400, more: Partial<EngineOptions> = {}): Device {
  const decoders = [new FakeDecoder(numBlocks)]
  const reopen = async (): Promise<FakeDecoder> => {
    decoders.push(new FakeDecoder(numBlocks))
    return decoders.at(-1)!
  }
  const engine = new Engine({ decoder: decoders[0]!, reopen }, { ...options, ...more })
  t.after(() => engine.close())
  return { engine, decoders }
}

const text = (length: number, seed = 1): number[] => {
  const random = uniform(seed)
  return Array.from({ length }, () => Math.floor(random() * vocabularySize))
}

/** How tokens are run that are asked for together. */
const classOf = (count: number): number => count === 1 ? decodeRun : count < minLongChunk ? shortRun : prefillRun
const runsOf = (...counts: readonly number[]): number[] =>
  counts.flatMap(count => new Array<number>(count).fill(classOf(count)))

function assertAnswer (
  { distribution }: { distribution: Distribution }, tokens: readonly number[], runs: number[]
): void {
  assert.equal(tokens.length, runs.length)
  assert.deepEqual(distribution.logits, expectedLogits(tokens, runs))
}

describe('an engine on a device', () => {
  test('answers each sequence as it is alone, however many run beside it', async t => {
    const { engine } = openDevice(t)
    const prompts = [1, 2, 3, 5, 31, 32, 33, 64, 100, 150].map((length, seed) => text(length, seed))
    const sequences = prompts.map(prompt => engine.open(prompt))
    for (const [index, output] of (await Promise.all(sequences.map(one => one.output()))).entries()) {
      assertAnswer(output, prompts[index]!, runsOf(prompts[index]!.length))
    }
    for (const added of [1, 1, 4, 40]) {
      const more = text(added, 99)
      for (const sequence of sequences) sequence.append(...more)
      await Promise.all(sequences.map(one => one.output()))
    }
    for (const [index, sequence] of sequences.entries()) {
      assertAnswer(await sequence.output(), sequence.tokens, runsOf(prompts[index]!.length, 1, 1, 4, 40))
      sequence.close()
    }
    engine.checkIntegrity()
    assert.equal(engine.stats().kvTokens, 0)
  })

  test('candidates hold their prompt once, and answer as one that read it alone', async t => {
    const { engine, decoders } = openDevice(t, 400, { contextLength: 1200 })
    const prompt = text(300)
    const root = engine.open(prompt)
    await root.output()
    const forks = Array.from({ length: 32 }, () => root.fork())
    for (const [index, fork] of forks.entries()) fork.append(index)
    await Promise.all(forks.map(one => one.output()))
    // 9 full blocks once; of the last one, 12 tokens of the prompt and one of its own each.
    assert.equal(engine.stats().kvTokens, 288 + 12 + 32 * 13)
    assert.equal(decoders[0]!.counters.copiedBlocks, 32)
    const grandchild = forks[3]!.fork()
    grandchild.append(7, 8)
    await grandchild.output()
    assertAnswer(await forks[3]!.output(), [...prompt, 3], runsOf(300, 1))
    assertAnswer(await grandchild.output(), [...prompt, 3, 7, 8], runsOf(300, 1, 2))
    engine.checkIntegrity()
  })

  test('a cached prefix is as good as a fresh one, and is not run again', async t => {
    const { engine, decoders } = openDevice(t)
    const shared = text(100)
    const first = engine.open(shared)
    await first.output()
    first.close()
    const ledger = { computedTokens: 0, cachedTokens: 0, forwardPasses: 0 }
    const before = decoders[0]!.counters.tokens
    const prompt = [...shared, ...text(9, 2)]
    const again = engine.open(prompt, { ledger })
    assertAnswer(await again.output(), prompt, runsOf(109))
    assert.deepEqual([ledger.cachedTokens, ledger.computedTokens], [96, 13])
    // Filled up to the kernel's least.
    assert.equal(decoders[0]!.counters.tokens - before, 32)
    // A short prompt is run by another kernel: nothing of it may come from a long one, nor a salted one.
    const salted = engine.open(prompt, { ledger, salt: 'other' })
    assertAnswer(await salted.output(), prompt, runsOf(109))
    assert.equal(ledger.cachedTokens, 96)
  })

  test('probes are what forks would say, and leave nothing behind', async t => {
    const { engine } = openDevice(t)
    for (const length of [31, 32, 33, 60]) {
      const prompt = text(length, length)
      const sequence = engine.open(prompt, { layers: [1, 2], poolFrom: 0 })
      await sequence.output()
      const branches = [[1], [2], [3, 4], text(31, 5), [6]]
      const held = engine.stats().kvTokens
      const probes = await Promise.all(branches.map(branch => sequence.probe(...branch)))
      for (const [index, states] of probes.entries()) {
        const branch = branches[index]!
        const tokens = [...prompt, ...branch]
        const kvs = kvOf(tokens, runsOf(length, branch.length))
        for (const layer of [1, 2]) {
          const all = kvs.map((kv, at) => stateOf(tokens[at]!, kv, layer))
          assert.deepEqual(states.hidden(layer), all.at(-1))
          for (const place of [0, 1, 2]) {
            const mean = all.reduce((sum, state) => sum + state[place]!, 0) / all.length
            assert.ok(Math.abs(states.pooled(layer)[place]! - mean) <= 1e-6 * Math.abs(mean))
          }
        }
      }
      assert.equal(engine.stats().kvTokens, held)
      sequence.append(9)
      assertAnswer(await sequence.output(), [...prompt, 9], runsOf(length, 1))
      engine.checkIntegrity()
      sequence.close()
    }
  })

  test('probes run in the room that there is', async t => {
    const { engine } = openDevice(t, 3 + 3)
    const prompt = text(64)
    const sequence = engine.open(prompt, { layers: [1] })
    await sequence.output()
    const branches = Array.from({ length: 20 }, (_, token) => [token])
    const probes = await Promise.all(branches.map(branch => sequence.probe(...branch)))
    for (const [index, states] of probes.entries()) {
      const tokens = [...prompt, index]
      assert.deepEqual(states.hidden(1), stateOf(index, kvOf(tokens, runsOf(64, 1)).at(-1)!, 1))
    }
    engine.checkIntegrity()
  })

  test('hidden states are of the layers asked for, pooled from where they were wanted', async t => {
    const { engine, decoders } = openDevice(t)
    const prompt = text(150)
    const sequence = engine.open(prompt, { layers: [0, 2], poolFrom: 140 })
    const output = await sequence.output()
    const kvs = kvOf(prompt, runsOf(150))
    assert.equal(output.pooledTokens, 10)
    for (const layer of [0, 2]) {
      const all = kvs.map((kv, at) => stateOf(prompt[at]!, kv, layer))
      assert.deepEqual(output.hidden(layer), all.at(-1))
      for (const place of [0, 1, 2]) {
        const mean = all.slice(140).reduce((sum, state) => sum + state[place]!, 0) / 10
        assert.ok(Math.abs(output.pooled(layer)[place]! - mean) <= 1e-6 * Math.abs(mean))
      }
    }
    // Of 64 + 64 + 22 positions only those that count were wanted.
    assert.deepEqual(decoders[0]!.stateRows, [1, 1, 10])
  })

  test('logits beside the listed ones stay on the device until they are asked for', async t => {
    const { engine, decoders } = openDevice(t)
    const prompt = text(40)
    const sequence = engine.open(prompt, { listedLogits: true, layers: [1] })
    const output = await sequence.output()
    assert.equal(output.distribution.isPartial, true)
    assert.throws(() => output.distribution.logits, MissingLogits)
    assert.equal(decoders[0]!.counters.bytesToHost, 4 * (8 * 128 + 8))
    const fork = sequence.fork()
    const complete = await sequence.completeOutput()
    assertAnswer(complete, prompt, runsOf(40))
    assert.deepEqual([complete.hidden(1), complete.pooledTokens], [output.hidden(1), output.pooledTokens])
    assert.deepEqual(complete.distribution.topIds, output.distribution.topIds)
    assert.equal(await sequence.completeOutput(), complete)
    // Both go on from there.
    for (const one of [sequence, fork]) one.append(5)
    await Promise.all([sequence.output(), fork.output()])
    for (const one of [sequence, fork]) assertAnswer(await one.completeOutput(), [...prompt, 5], runsOf(40, 1))
    engine.checkIntegrity()
  })

  test('every position has a distribution where that is wanted, however the prompt is cut', async t => {
    const { engine } = openDevice(t)
    const prompt = text(130)
    const said: Float32Array[] = []
    const sequence = engine.open(prompt, {
      onPosition: (position, { logits }) => {
        assert.equal(position, said.length)
        said.push(logits)
      }
    })
    await sequence.output()
    assert.deepEqual(said, kvOf(prompt, runsOf(130)).map((_, at) =>
      expectedLogits(prompt.slice(0, at + 1), runsOf(130).slice(0, at + 1))))
  })

  test('draft tokens are taken back, and what follows is as if they had never been', async t => {
    const { engine } = openDevice(t)
    const prompt = text(60)
    const sequence = engine.open(prompt)
    await sequence.output()
    sequence.append(1, 2, 3, 4, 5, 6)
    const outputs = await sequence.outputs()
    for (const [at, output] of outputs.entries()) {
      assertAnswer(output, [...prompt, ...[1, 2, 3, 4, 5, 6].slice(0, at + 1)], runsOf(60, 6).slice(0, 61 + at))
    }
    sequence.truncate(62)
    sequence.append(9)
    assertAnswer(await sequence.output(), [...prompt, 1, 2, 9], [...runsOf(60, 6).slice(0, 62), decodeRun])
    sequence.append(...text(40, 8))
    assertAnswer(await sequence.output(), sequence.tokens, [...runsOf(60, 6).slice(0, 62), decodeRun, ...runsOf(40)])
    engine.checkIntegrity()
  })

  test('a pass that fails fails its own sequences; they can be asked again', async t => {
    const { engine, decoders } = openDevice(t)
    const [decoding, reading] = [engine.open(text(40)), engine.open(text(50, 2))]
    await decoding.output()
    decoding.append(1)
    decoders[0]!.failure = new Error('out of luck')
    const [first, second] = await Promise.allSettled([decoding.output(), reading.output()])
    assert.match(String((first as PromiseRejectedResult).reason), /out of luck/)
    assert.equal(second.status, 'fulfilled')
    assertAnswer(await decoding.output(), decoding.tokens, runsOf(40, 1))
    // Copies that fail leave nothing to rely on.
    const fork = decoding.fork()
    fork.append(3)
    decoders[0]!.failure = new Error('no copies')
    await assert.rejects(fork.output(), /no copies/)
    assertAnswer(await fork.output(), fork.tokens, runsOf(40, 1, 1))
    engine.checkIntegrity()
  })

  test('a lost device fails what it ran and is opened again; the rest is run again, with the same bits', async t => {
    const { engine, decoders } = openDevice(t)
    const [idle, unlucky] = [engine.open(text(70)), engine.open(text(40, 2))]
    await Promise.all([idle.output(), unlucky.output()])
    idle.append(1)
    await idle.output()
    unlucky.append(1)
    decoders[0]!.failure = new DeviceLostError('unplugged')
    await assert.rejects(unlucky.output(), /the device was lost while it ran this request; it has been opened again: unp/)
    assert.equal(decoders.length, 2)
    idle.append(2)
    const [first, second] = await Promise.all([idle.output(), unlucky.output()])
    assertAnswer(first, idle.tokens, runsOf(70, 1, 1))
    assertAnswer(second, unlucky.tokens, runsOf(40, 1))
    engine.checkIntegrity()
  })

  test('a device that cannot be opened again says so until it can', async t => {
    const decoder = new FakeDecoder(40)
    let isThere = false
    const reopen = async (): Promise<FakeDecoder> => {
      if (!isThere) throw new Error('no adapter')
      return new FakeDecoder(40)
    }
    const engine = new Engine({ decoder, reopen }, options)
    t.after(() => engine.close())
    const sequence = engine.open(text(10))
    decoder.failure = new DeviceLostError('unplugged')
    await assert.rejects(sequence.output(), /it cannot be opened again yet: unplugged/)
    await assert.rejects(sequence.output(), /no adapter/)
    isThere = true
    assertAnswer(await sequence.output(), sequence.tokens, runsOf(10))
  })

  test('with too few blocks sequences take turns, with the same bits', async t => {
    const { engine } = openDevice(t, 3 + 12)
    const sequences = Array.from({ length: 10 }, (_, index) => engine.open(text(60 + index, index)))
    for (let round = 0; round < 4; round++) {
      await Promise.all(sequences.map(one => one.output()))
      engine.checkIntegrity()
      for (const sequence of sequences) sequence.append(round)
    }
    await Promise.all(sequences.map(one => one.output()))
    for (const [index, sequence] of sequences.entries()) {
      assertAnswer(await sequence.output(), sequence.tokens, runsOf(60 + index, 1, 1, 1, 1))
    }
  })

  test('what gave its blocks up can be probed, forked and completed', async t => {
    const { engine } = openDevice(t, 3 + 5)
    const first = engine.open(text(70), { layers: [1], listedLogits: true })
    await first.output()
    const displace = async (): Promise<void> => {
      const other = engine.open(text(150, 7))
      await other.output()
      other.close()
    }
    await displace()
    const probed = await first.probe(5)
    assert.deepEqual(probed.hidden(1), stateOf(5, kvOf([...first.tokens, 5], runsOf(70, 1)).at(-1)!, 1))
    await displace()
    assertAnswer(await first.completeOutput(), first.tokens, runsOf(70))
    await displace()
    const fork = first.fork()
    fork.append(8)
    await fork.output()
    assertAnswer(await fork.completeOutput(), fork.tokens, runsOf(70, 1))
    engine.checkIntegrity()
  })

  test('nothing is left of 500 requests that were aborted at any time', async t => {
    const { engine, decoders } = openDevice(t, 3 + 50)
    const random = uniform(3)
    const running = new Set<AbortController>()
    decoders[0]!.onRun = () => { for (const one of running) if (random() < 0.05) one.abort() }
    const request = async (seed: number): Promise<void> => {
      const controller = new AbortController()
      running.add(controller)
      const { signal } = controller
      try {
        const root = engine.open(text(20 + Math.floor(random() * 40), seed % 20), { signal, layers: [1] })
        await root.output()
        const forks = [root, root.fork(), root.fork()]
        for (let step = 0; step < 4; step++) {
          await Promise.all(forks.map(async fork => {
            fork.append(Math.floor(random() * vocabularySize))
            await fork.output()
            if (random() < 0.2) await fork.probe(3)
          }))
        }
        for (const fork of forks) fork.close()
      } catch (error) {
        assert.ok(signal.aborted, String(error))
      } finally {
        controller.abort()
        running.delete(controller)
      }
    }
    for (let batch = 0; batch < 50; batch++) {
      await Promise.all(Array.from({ length: 10 }, (_, index) => request(batch * 10 + index)))
      engine.checkIntegrity()
    }
    const { sequences, kvTokens } = engine.stats()
    assert.deepEqual([sequences, kvTokens], [0, 0])
  })

  for (const numBlocks of [30, 200]) {
    test(`300 random operations on ${numBlocks} blocks`, async t => {
      const { engine } = openDevice(t, numBlocks)
      const random = uniform(numBlocks)
      const below = (limit: number): number => Math.floor(random() * limit)
      const open = new Map<Sequence, number[]>()
      for (let step = 0; step < 300; step++) {
        const picked = [...open.keys()].filter(() => random() < 0.4)
        if (open.size < 3 || random() < 0.1) {
          const count = 1 + below(90)
          open.set(engine.open([...text(40, below(3)), ...text(60, below(3))].slice(0, count)), [])
        } else if (picked[0] && random() < 0.2 && picked[0].tokens.length === open.get(picked[0])!.length) {
          open.set(picked[0].fork(), open.get(picked[0])!.slice())
        } else if (random() < 0.2) {
          for (const one of picked.slice(0, 2)) {
            one.close()
            open.delete(one)
          }
        } else if (picked.some(one => one.tokens.length > 400)) {
          for (const one of [...open.keys()].filter(({ tokens }) => tokens.length > 400)) {
            one.close()
            open.delete(one)
          }
        } else {
          await Promise.all(picked.map(async one => {
            const runs = open.get(one)!
            if (one.tokens.length === runs.length) one.append(...text([1, 1, 1, 2, 7, 35][below(6)]!, step))
            runs.push(...runsOf(one.tokens.length - runs.length))
            assertAnswer(await one.output(), one.tokens, runs)
          }))
        }
        engine.checkIntegrity()
      }
      assert.ok(engine.counters.runs > 100)
    })
  }
})
