/** Recorded decode runs: what plain runs give, in every size, for any lengths, blocks, temperatures and states. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { DeviceWeights, deviceLayout } from '../../src/models/device/device-weights.js'
import { PackedDecoder } from '../../src/models/device/packed-decoder.js'
import type { PackedModel } from '../../src/models/device/packed-model.js'
import { openCheckpoint } from '../../src/models/formats/checkpoint.js'
import { loadDecoderWeights } from '../../src/models/quantization/decoder-weights.js'
import { randomNumbers } from '../../src/models/self-test/finding.js'
import { openTestDevice, passOf, type Part } from '../helpers/device-model.js'
import { writeTinyCheckpoint } from '../helpers/tiny-checkpoint.js'
import { tinyVocabulary } from '../helpers/tiny-vocabulary.js'

const folder = mkdtempSync(join(tmpdir(), 'fairlead-vulkan-captured-'))
after(() => { rmSync(folder, { recursive: true }) })

test('recorded runs give the bits of plain runs', async t => {
  const path = join(folder, 'llama')
  writeTinyCheckpoint(path, { family: 'llama' })
  const { device } = await openTestDevice('device')
  t.after(() => device.close())
  const { file, config } = await openCheckpoint(path)
  const { format, layout, cacheName } = deviceLayout(config, 'q8', file.tensors)
  const { tensors: host } = await loadDecoderWeights(file, config, {
    format,
    layout,
    cacheName,
    cacheDir: folder,
    sha256: 'captured',
    ropePositions: 256,
    kernels: '',
    threads: 1,
    calibration: () => [],
    onProgress: () => {}
  })
  await file.close()
  const weights = await DeviceWeights.upload(device, config, layout, host)
  const model: PackedModel =
    { device, config, layout, weights, ropePositions: 256, sortsOnHost: false, captures: false }
  const size = { contextLength: 256, kvCacheBytes: 1 << 21 }
  const plain = await PackedDecoder.open(model, size)
  const recording = await PackedDecoder.open({ ...model, captures: true }, size)
  const random = randomNumbers(4)
  const draw = (count: number): number[] =>
    Array.from({ length: count }, () => Math.floor(tinyVocabulary.length * random()))
  // Past the end of a first block, at different places.
  const sequences = Array.from({ length: 20 }, (_, at): Part =>
    ({ tokens: draw(26 + at), past: 0, blocks: [2 * at + 1, 2 * at + 2] }))
  for (const decoder of [plain, recording]) await decoder.run(passOf(decoder, sequences, { longestPart: 46 }))
  const lengths = sequences.map(({ tokens }) => tokens.length)
  for (const [step, count] of [4, 5, 9, 19, 4, 16, 7, 19].entries()) {
    const chosen = sequences.slice(step % 2, step % 2 + count)
    const parts = chosen.map((part): Part => {
      const at = sequences.indexOf(part)
      return { ...part, tokens: draw(1), past: lengths[at]!++ }
    })
    const states = step % 3 === 0
      ? { stateLayers: [1, 2], stateRows: Int32Array.from(parts.keys()).slice(1) }
      : {}
    const inverseTemperatures = Float32Array.from(parts, (_, at) => 0.5 + at / 8)
    const pass = passOf(plain, parts, { ...states, inverseTemperatures, logitRows: [] })
    assert.deepEqual(await recording.run(pass), await plain.run(pass), `step ${step}`)
  }
  // Asked for at once, they take turns over the same buffers.
  const passes = [0, 1, 2, 3].map(at => passOf(plain, sequences.slice(at, at + 4).map((part, index): Part =>
    ({ ...part, tokens: [at], past: lengths[at + index]! })), { logitRows: [] }))
  const together = await Promise.all(passes.map(pass => recording.run(pass)))
  for (const [index, pass] of passes.entries()) assert.deepEqual(together[index], await plain.run(pass))
  for (const decoder of [plain, recording]) await decoder.dispose()
  await weights.dispose()
})
