/**
 * An engine on a device against the engine of the processor, and against itself: whatever runs beside a sequence, and
 * wherever its KV comes from, it gets the bits that it gets alone.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { ModelRuntime } from '../../src/engine/model-runtime.js'
import type { Output, Sequence, SequenceOptions } from '../../src/engine/sequence.js'
import { randomNumbers } from '../../src/models/self-test/finding.js'
import { loadRuntime, type RuntimeOptions } from '../../src/serving/load-runtime.js'
import { ModelDevice } from '../../src/serving/model-device.js'
import { openTestDevice } from '../helpers/device-model.js'
import { tinyVocabulary } from '../helpers/tiny-vocabulary.js'
import { writeTinyGguf } from '../helpers/tiny-gguf.js'

const folder = mkdtempSync(join(tmpdir(), 'fairlead-vulkan-engine-'))
after(() => { rmSync(folder, { recursive: true }) })
const path = join(folder, 'tiny.gguf')
writeTinyGguf(path)

const random = randomNumbers(5)
const draw = (count: number): number[] =>
  Array.from({ length: count }, () => Math.floor(tinyVocabulary.length * random()))

const asked = { model: path, format: 'f32', threads: 1, cacheDir: folder, contextLength: 0 } as const
const room: RuntimeOptions = {
  maxSequences: 64,
  kvCacheBytes: 1 << 22,
  prefixCacheBytes: 1 << 20,
  prefillTokensPerStep: 64,
  maxQueued: 8
}
/** Of logits, which attention over 16-bit keys and values is the cause of. */
const tolerance = 0.02

const copied = ({ distribution }: Output): number[] => [...distribution.logits]

describe('an engine on a device', () => {
  let [device, onDevice, onCpu] = [null as unknown as ModelDevice, null as unknown as ModelRuntime,
    null as unknown as ModelRuntime]
  before(async () => {
    device = (await ModelDevice.open(() => openTestDevice('device')))!
    onDevice = await loadRuntime(asked, { ...room, device })
    onCpu = await loadRuntime(asked, room)
  })
  after(async () => {
    for (const { engine, model } of [onDevice, onCpu]) {
      await engine.close()
      await model.dispose()
    }
    await device.close()
  })

  /** What a fresh sequence says, with nothing found in the cache. */
  const fresh = async (prompt: readonly number[], appended: readonly number[][]): Promise<number[]> => {
    const sequence = onDevice.engine.open(prompt, { salt: `fresh ${random()}` })
    try {
      let output = await sequence.output()
      for (const tokens of appended) {
        sequence.append(...tokens)
        output = await sequence.output()
      }
      return copied(output)
    } finally {
      sequence.close()
    }
  }

  const open = (prompt: readonly number[], options: SequenceOptions = {}): Sequence =>
    onDevice.engine.open(prompt, options)

  test('logits are those of the processor, as near as 16-bit keys and values allow', async () => {
    let largest = 0
    for (const length of [1, 7, 31, 32, 70, 150]) {
      const prompt = draw(length)
      const [ours, theirs] = [open(prompt), onCpu.engine.open(prompt)]
      for (let step = 0; step < 4; step++) {
        const [a, b] = [copied(await ours.output()), copied(await theirs.output())]
        largest = Math.max(largest, ...a.map((value, at) => Math.abs(value - b[at]!)))
        const next = draw(step === 2 ? 5 : 1)
        for (const one of [ours, theirs]) one.append(...next)
      }
      for (const one of [ours, theirs]) one.close()
    }
    assert.ok(largest <= tolerance, `${largest}`)
  })

  test('greedy answers are those of the processor', async () => {
    const write = async ({ engine }: ModelRuntime, prompt: readonly number[]): Promise<number[]> => {
      const sequence = engine.open(prompt, { listedLogits: true })
      for (let step = 0; step < 20; step++) sequence.append((await sequence.output()).distribution.topIds[0]!)
      sequence.close()
      return [...sequence.tokens]
    }
    const prompts = [4, 20, 45, 80].map(draw)
    const [ours, theirs] = await Promise.all([onDevice, onCpu].map(runtime =>
      Promise.all(prompts.map(prompt => write(runtime, prompt)))))
    assert.deepEqual(ours, theirs)
  })

  test('rows of any lengths side by side, prompts among them, have the bits they have alone', async () => {
    const prompts = [1, 2, 3, 17, 32, 33, 64, 100].map(draw)
    const next = prompts.map((_, index) => draw([1, 1, 3, 40][index % 4]!))
    const sequences = prompts.map(prompt => open(prompt, { salt: 'beside' }))
    await Promise.all(sequences.map(one => one.output()))
    for (const [index, sequence] of sequences.entries()) sequence.append(...next[index]!)
    const beside = await Promise.all(sequences.map(async one => copied(await one.output())))
    for (const sequence of sequences) sequence.close()
    for (const [index, prompt] of prompts.entries()) {
      assert.deepEqual(beside[index], await fresh(prompt, [next[index]!]))
    }
  })

  test('forks and cached prefixes say what fresh sequences say', async () => {
    const prompt = draw(75)
    const root = open(prompt)
    await root.output()
    const forks = [1, 2, 3, 4, 5].map(() => root.fork())
    const next = forks.map(() => draw(1))
    for (const [index, fork] of forks.entries()) fork.append(...next[index]!)
    for (const [index, output] of (await Promise.all(forks.map(one => one.output()))).entries()) {
      assert.deepEqual(copied(output), await fresh(prompt, [next[index]!]))
    }
    for (const one of [root, ...forks]) one.close()
    const ledger = { computedTokens: 0, cachedTokens: 0, forwardPasses: 0 }
    const again = open([...prompt, 9], { ledger })
    assert.deepEqual(copied(await again.output()), await fresh([...prompt, 9], []))
    assert.equal(ledger.cachedTokens, 64)
    again.close()
    onDevice.engine.checkIntegrity()
  })

  test('probes say what forks would say', async () => {
    const prompt = draw(40)
    const options = { layers: [1, 2], poolFrom: 3 }
    const sequence = open(prompt, options)
    await sequence.output()
    const branches = [draw(1), draw(4), draw(1)]
    const probes = await Promise.all(branches.map(branch => sequence.probe(...branch)))
    for (const [index, branch] of branches.entries()) {
      const fork = sequence.fork()
      fork.append(...branch)
      const output = await fork.output()
      for (const layer of options.layers) {
        assert.deepEqual(probes[index]!.hidden(layer), output.hidden(layer))
        assert.deepEqual(probes[index]!.pooled(layer), output.pooled(layer))
      }
      fork.close()
    }
    sequence.close()
  })

  test('a row that is completed is the row that it was', async () => {
    const prompt = draw(50)
    const sequence = open(prompt, { listedLogits: true })
    const listed = (await sequence.output()).distribution
    assert.equal(listed.isPartial, true)
    const { distribution } = await sequence.completeOutput()
    assert.deepEqual([...distribution.logits], await fresh(prompt, []))
    assert.deepEqual([distribution.topIds, distribution.topLogits, distribution.logNormalizer],
      [listed.topIds, listed.topLogits, listed.logNormalizer])
    sequence.close()
  })

  test('nothing is left when all are closed', () => {
    onDevice.engine.checkIntegrity()
    assert.equal(onDevice.engine.stats().kvTokens, 0)
  })
})

describe('what an engine on a device holds and moves', () => {
  const long = join(folder, 'long.gguf')
  let [device, runtime] = [null as unknown as ModelDevice, null as unknown as ModelRuntime]
  before(async () => {
    writeTinyGguf(long, { contextLength: 2048 })
    device = (await ModelDevice.open(() => openTestDevice('device')))!
    runtime = await loadRuntime({ ...asked, model: long }, { ...room, device })
  })
  after(async () => {
    await runtime.engine.close()
    await runtime.model.dispose()
    await device.close()
  })

  test('32 candidates of a prompt of 1,000 tokens hold it once', async () => {
    const root = runtime.engine.open(draw(1000))
    await root.output()
    const forks = [root, ...Array.from({ length: 31 }, () => root.fork())]
    for (const fork of forks) fork.append(3)
    await Promise.all(forks.map(one => one.output()))
    // 31 full blocks of 32, and the 9 positions of the last one, each its own.
    assert.equal(runtime.engine.stats().kvTokens, 31 * 32 + 32 * 9)
    for (const fork of forks) fork.close()
  })

  test('nothing is left of 500 requests, many of them aborted', async () => {
    let [aborted, done] = [0, 0]
    const request = async (): Promise<void> => {
      const controller = new AbortController()
      const root = runtime.engine.open(draw(10 + Math.floor(60 * random())), { signal: controller.signal, layers: [1] })
      try {
        await root.output()
        const forks = [root, root.fork()]
        for (let step = 0; step < 3; step++) {
          if (random() < 0.1) setImmediate(() => { controller.abort() })
          for (const fork of forks) fork.append(...draw(1))
          await Promise.all(forks.map(one => one.output()))
        }
        for (const fork of forks) fork.close()
        done++
      } catch (error) {
        assert.ok(controller.signal.aborted, String(error))
        aborted++
      } finally {
        controller.abort()
      }
    }
    for (let batch = 0; batch < 25; batch++) {
      await Promise.all(Array.from({ length: 20 }, request))
      runtime.engine.checkIntegrity()
    }
    const { sequences, kvTokens } = runtime.engine.stats()
    assert.deepEqual([sequences, kvTokens], [0, 0])
    assert.ok(aborted > 50 && done > 50, `${aborted} aborted, ${done} done`)
  })
})
