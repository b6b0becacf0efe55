/** Graphs of a device: which weights they name, what they leave out, and the copies of blocks, which run here, too. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { deviceLayout } from '../../../../src/models/device/device-weights.js'
import { buildBlockCopyGraph, buildPackedGraph } from '../../../../src/models/device/packed-graph.js'
import { openCheckpoint } from '../../../../src/models/formats/checkpoint.js'
import type { TensorFile } from '../../../../src/models/formats/tensor-file.js'
import { convertWeights, uncalibrated } from '../../../../src/models/quantization/convert-weights.js'
import type { Weight } from '../../../../src/models/quantization/weight-cache.js'
import type { WeightFormat } from '../../../../src/models/quantization/weight-format.js'
import { Session } from '../../../../src/runtime/session.js'
import { Tensor } from '../../../../src/runtime/tensor.js'
import { tinyCheckpoints, writeTinyCheckpoint } from '../../../helpers/tiny-checkpoint.js'
import { writeTinyGguf } from '../../../helpers/tiny-gguf.js'

const folder = mkdtempSync(join(tmpdir(), 'fairlead-packed-graph-'))
after(() => { rmSync(folder, { recursive: true }) })
const sizes = { ropePositions: 64, blockSize: 32, maxBlocksPerSequence: 2 }

/** Names of the weights that a graph needs, and of those that a file is converted to. */
async function weightsOf (path: string, format: WeightFormat): Promise<{ needed: string[], converted: string[] }> {
  const { file, config } = await openCheckpoint(path)
  try {
    const { layout } = deviceLayout(config, format, file.tensors)
    const { weights } = buildPackedGraph(config, layout, { stateLayers: [], head: 'sampling' }, sizes)
    const converted: string[] = []
    const conversion = { file, config, layout, ...uncalibrated }
    for await (const { name } of convertWeights(conversion)) converted.push(name)
    return { needed: [...weights], converted }
  } finally {
    await file.close()
  }
}

for (const [name, options] of Object.entries(tinyCheckpoints)) {
  test(`${name}: the graph needs the weights that its file is converted to`, async () => {
    writeTinyCheckpoint(join(folder, name), options)
    const { needed, converted } = await weightsOf(join(folder, name), 'f32')
    assert.deepEqual(needed.sort(), [...converted, 'rope_cos', 'rope_sin'].sort())
  })
}

test('a file’s own 8-bit groups are kept, and serve as embedding and as head', async () => {
  const path = join(folder, 'q8.gguf')
  writeTinyGguf(path, { encode: () => 'Q8_0' })
  for (const format of ['i8', 'q8', 'exact'] as const) {
    const { needed, converted } = await weightsOf(path, format)
    assert.ok(needed.includes('embedding.values') && needed.includes('head.values'))
    assert.ok(!converted.includes('embedding.values'))
  }
})

test('a graph without a head ends at the highest layer that is wanted, and names no weights above', async () => {
  writeTinyCheckpoint(join(folder, 'cut'), { family: 'llama' })
  const { file, config } = await openCheckpoint(join(folder, 'cut'))
  const { layout } = deviceLayout(config, 'f32', file.tensors)
  await file.close()
  const cut = buildPackedGraph(config, layout, { stateLayers: [0, 1], head: 'none' }, sizes)
  assert.ok(cut.weights.has('layer0.down'))
  assert.ok(![...cut.weights].some(name => name.startsWith('layer1') || name === 'head' || name === 'final_norm'))
  const whole = buildPackedGraph(config, layout, { stateLayers: [2], head: 'none' }, sizes)
  assert.ok(whole.weights.has('final_norm') && !whole.weights.has('head'))
})

test('blocks are copied in every layer, all read before any is written', async () => {
  const config = { layers: 2, kvHeads: 1, headSize: 2 }
  const { model } = buildBlockCopyGraph(config as never, 3)
  const session = await Session.create(model, { threads: 1 })
  const numbers = Uint16Array.from({ length: 24 }, (_, at) => at)
  const caches = session.inputNames.filter(name => name.includes('cache')).map(name =>
    [name, Tensor.from('float16', [4, 3, 1, 2], numbers.slice())] as const)
  assert.equal(caches.length, 4)
  const inputs = new Map<string, Tensor>([['from', Tensor.from('int32', [2], Int32Array.of(0, 1))],
    ['to', Tensor.from('int64', [2, 1], BigInt64Array.of(1n, 3n))], ...caches])
  await session.run(inputs, new Map(caches.map(([name, tensor]) => [`${name}_out`, tensor])))
  const block = (at: number): number[] => [...numbers.subarray(6 * at, 6 * at + 6)]
  for (const [name, { data }] of caches) assert.deepEqual([...data], [0, 0, 2, 1].flatMap(block), name)
  session.dispose()
})

test('16-bit floats hold no magnitude that is beyond them: the matrix and the number are named', async () => {
  writeTinyCheckpoint(join(folder, 'large'), tinyCheckpoints['llama']!)
  const { file, config } = await openCheckpoint(join(folder, 'large'))
  try {
    const { layout } = deviceLayout(config, 'f16', file.tensors)
    const read = async (name: string): Promise<Float32Array> =>
      (await file.read(name)).map(value => name.includes('ffn_down') ? value + 1e5 : value)
    const convert = async (from: TensorFile): Promise<Weight[]> => {
      const weights: Weight[] = []
      for await (const one of convertWeights({ file: from, config, layout, ...uncalibrated })) weights.push(one)
      return weights
    }
    const halves = (await convert(file)).filter(({ type }) => type === 'float16').map(({ name }) => name)
    assert.deepEqual(halves, [...layout.matrices.keys()])
    await assert.rejects(convert({ ...file, tensors: file.tensors, read } as TensorFile),
      /format f16 holds magnitudes up to 65504; layer0\.down has 1\d{5}/)
  } finally {
    await file.close()
  }
})
