/** Packed runs on a device: a sequence gets the same numbers in whatever company and blocks, and however it is cut. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { DeviceDecoder, PackedOutput } from '../../src/models/device/device-decoder.js'
import { loadDeviceModel, type LoadedDeviceModel } from '../../src/models/device/load-device-model.js'
import { randomNumbers } from '../../src/models/self-test/finding.js'
import type { DeviceFormat } from '../../src/models/quantization/weight-format.js'
import { logitsOf, openTestDevice, passOf, type Part } from '../helpers/device-model.js'
import { writeTinyCheckpoint } from '../helpers/tiny-checkpoint.js'
import { tinyVocabulary } from '../helpers/tiny-vocabulary.js'

const folder = mkdtempSync(join(tmpdir(), 'fairlead-vulkan-packed-'))
after(() => { rmSync(folder, { recursive: true }) })
writeTinyCheckpoint(join(folder, 'llama'), { family: 'llama' })
const opening = openTestDevice('device')
after(async () => { await (await opening).device.close() })

const random = randomNumbers(3)
const draw = (count: number): number[] =>
  Array.from({ length: count }, () => Math.floor(tinyVocabulary.length * random()))
/** What fills a run up to four rows: sequences of their own, in the last block. */
const fillers = (decoder: DeviceDecoder, count = 3): Part[] =>
  Array.from({ length: count }, () => ({ tokens: [0], past: 0, blocks: [decoder.numBlocks - 1] }))
const row = (out: PackedOutput, index: number): number[] => [...out.logits.get(index)!]

for (const format of ['f32', 'q8', 'q4', 'f16'] satisfies DeviceFormat[]) {
  describe(`a decoder with ${format} weights`, () => {
    let [model, decoder] = [null as unknown as LoadedDeviceModel, null as unknown as DeviceDecoder]
    before(async () => {
      const options = { model: join(folder, 'llama'), format, threads: 1, cacheDir: folder, contextLength: 0 }
      model = await loadDeviceModel(options, await opening)
      decoder = await model.device.openDecoder({ contextLength: 256, kvCacheBytes: 1 << 21 })
    })
    after(async () => {
      await decoder.dispose()
      await model.dispose()
    })

    test('a row among others, in any order and in other blocks, has the bits it has alone', async () => {
      const prompts = [5, 9, 2, 31, 17].map(draw)
      const parts = prompts.map((tokens, at): Part => ({ tokens, past: 0, blocks: [at + 1] }))
      const bound = { longestPart: 31 }
      const together = await decoder.run(passOf(decoder, parts, bound))
      const turned = parts.toReversed().map((part, at) => ({ ...part, blocks: [at + 11] }))
      assert.deepEqual(logitsOf(await decoder.run(passOf(decoder, turned, bound))).toReversed(), logitsOf(together))
      for (const [at, tokens] of prompts.entries()) {
        const part = { tokens, past: 0, blocks: [20] }
        const alone = await decoder.run(passOf(decoder, [part, ...fillers(decoder)], bound))
        assert.deepEqual(row(alone, 0), row(together, at))
      }
      const next = prompts.map((tokens, at): Part => ({ tokens: draw(1), past: tokens.length, blocks: [at + 1] }))
      const decoded = await decoder.run(passOf(decoder, next))
      for (const [at, part] of next.entries()) {
        const alone = await decoder.run(passOf(decoder, [part, ...fillers(decoder)]))
        assert.deepEqual(row(alone, 0), row(decoded, at))
      }
    })

    test('a prompt has the same bits however it is cut, within a kernel', async () => {
      const prompt = draw(100)
      const outputs: number[][] = []
      for (const cuts of [[100], [32, 68], [33, 33, 34]]) {
        let [past, last] = [0, [] as number[]]
        for (const cut of cuts) {
          const part = { tokens: prompt.slice(past, past + cut), past, blocks: [1, 2, 3, 4] }
          last = row(await decoder.run(passOf(decoder, [part, ...fillers(decoder)])), 0)
          past += cut
        }
        outputs.push(last)
      }
      for (const output of outputs) assert.deepEqual(output, outputs[0])
    })

    test('copied blocks hold what was copied, and each copy goes on by itself', async () => {
      const prompt = draw(40)
      await decoder.run(passOf(decoder, [{ tokens: prompt, past: 0, blocks: [1, 2] }]))
      await decoder.copyBlocks([[2, 3], [2, 4]])
      const [a, b] = [draw(1), draw(1)]
      const forks = [{ tokens: a, past: 40, blocks: [1, 3] }, { tokens: b, past: 40, blocks: [1, 4] },
        { tokens: a, past: 40, blocks: [1, 2] }]
      const out = await decoder.run(passOf(decoder, [...forks, ...fillers(decoder, 1)]))
      assert.deepEqual(row(out, 0), row(out, 2))
      assert.notDeepEqual(row(out, 0), row(out, 1))
      const after = forks.map(fork => ({ ...fork, tokens: [7], past: 41 }))
      const again = await decoder.run(passOf(decoder, [...after, ...fillers(decoder, 1)]))
      assert.deepEqual(row(again, 0), row(again, 2))
      assert.notDeepEqual(row(again, 0), row(again, 1))
    })

    test('a graph that ends at a layer gives its hidden states, those of a whole run', async () => {
      const part = { tokens: draw(6), past: 0, blocks: [1] }
      const layers = { stateLayers: [0, 1], stateRows: Int32Array.of(2, 5) }
      const whole = await decoder.run(passOf(decoder, [part], layers))
      const none = { rows: new Int32Array(), inverseTemperatures: new Float32Array(), logitRows: [] }
      const cut = await decoder.run(passOf(decoder, [part], { ...layers, ...none }))
      assert.deepEqual(cut.hidden, whole.hidden)
      assert.equal(cut.topIds.length, 0)
      const embedding = [2, 5].flatMap(at => [...model.embeddings.row(part.tokens[at]!)])
      assert.ok(embedding.every((value, at) => Math.abs(value - whole.hidden.get(0)![at]!) < 1e-6))
    })
  })
}

test('weights in 16 bits give nearly the logits of those in 32, from half of the memory', async () => {
  const found: Array<{ readonly bytes: number, readonly logits: number[] }> = []
  for (const format of ['f32', 'f16'] as const) {
    const model = await loadDeviceModel(
      { model: join(folder, 'llama'), format, threads: 1, cacheDir: folder, contextLength: 0 }, await opening)
    const decoder = await model.device.openDecoder({ contextLength: 256, kvCacheBytes: 1 << 20 })
    const part: Part = { tokens: Array.from({ length: 40 }, (_, at) => at + 3), past: 0, blocks: [1, 2] }
    found.push({
      bytes: model.weightBytes, logits: row(await decoder.run(passOf(decoder, [part, ...fillers(decoder)])), 0)
    })
    await decoder.dispose()
    await model.dispose()
  }
  const [floats, halves] = found as [typeof found[0], typeof found[0]]
  const error = Math.max(...floats.logits.map((value, at) => Math.abs(value - halves.logits[at]!)))
  assert.ok(error > 0 && error < 0.1, `${error}`)
  assert.ok(halves.bytes < 0.8 * floats.bytes, `${halves.bytes} of ${floats.bytes}`)
})

test('a step takes few bytes of the host and gives a kilobyte a row; its KV stays on the device', async () => {
  const model = await loadDeviceModel(
    { model: join(folder, 'llama'), format: 'q8', threads: 1, cacheDir: folder, contextLength: 0 }, await opening)
  const decoder = await model.device.openDecoder({ contextLength: 256, kvCacheBytes: 1 << 21 })
  const parts = Array.from({ length: 8 }, (_, at): Part => ({ tokens: [at], past: 0, blocks: [at + 1] }))
  const before = { ...decoder.counters }
  await decoder.run(passOf(decoder, parts, { logitRows: [] }))
  assert.equal(decoder.counters.bytesToHost - before.bytesToHost, 8 * 4 * (2 * decoder.topK + 2))
  assert.equal(decoder.counters.hostReads - before.hostReads, 1)
  // Per row: token, length before, end, row, temperature, blocks of the table.
  const bytes = 4 * (8 * (5 + decoder.maxBlocksPerSequence) + 1 + 2)
  assert.equal(decoder.counters.bytesFromHost - before.bytesFromHost, bytes)
  await decoder.dispose()
  await model.dispose()
})

test('runs of two decoders that are asked for at once take turns', async () => {
  const model = await loadDeviceModel(
    { model: join(folder, 'llama'), format: 'f32', threads: 1, cacheDir: folder, contextLength: 0 }, await opening)
  const size = { contextLength: 256, kvCacheBytes: 1 << 20 }
  const decoders = [await model.device.openDecoder(size), await model.device.openDecoder(size)]
  const run = async (decoder: DeviceDecoder): Promise<number[]> =>
    row(await decoder.run(passOf(decoder, [{ tokens: [1, 2, 3, 4], past: 0, blocks: [1] }, ...fillers(decoder)])), 0)
  const [first] = await Promise.all([run(decoders[0]!), decoders[1]!.prepare([1], false)])
  const many = await Promise.all(Array.from({ length: 60 }, (_, at) => run(decoders[at % 2]!)))
  for (const logits of many) assert.deepEqual(logits, first)
  for (const decoder of decoders) await decoder.dispose()
  await model.dispose()
})

test('a cache without room for a block, and a pass that would be computed wrongly, are refused', async () => {
  const model = await loadDeviceModel(
    { model: join(folder, 'llama'), format: 'f32', threads: 1, cacheDir: folder, contextLength: 0 }, await opening)
  await assert.rejects(model.device.openDecoder({ contextLength: 256, kvCacheBytes: 100 }), /raise kv-cache-bytes/)
  const decoder = await model.device.openDecoder({ contextLength: 256, kvCacheBytes: 1 << 20 })
  const part = { tokens: [1], past: 0, blocks: [decoder.numBlocks] }
  await assert.rejects(decoder.run(passOf(decoder, [part])), /numbers of the/)
  await assert.rejects(decoder.copyBlocks([[0, decoder.numBlocks]]), /numbers of the/)
  await decoder.dispose()
  await assert.rejects(decoder.run(passOf(decoder, [{ ...part, blocks: [0] }])), /disposed/)
  await model.dispose()
})
