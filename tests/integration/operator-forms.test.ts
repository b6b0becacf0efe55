/** Models run in the forms that other processors need, on this one: weights with a zero point, a padding row. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test, type TestContext } from 'node:test'
import { cheapRowsProfile, cpuProfile, type DeviceProfile } from '../../src/engine/device-profile.js'
import { Engine } from '../../src/engine/engine.js'
import { loadModel, type LoadedModel } from '../../src/models/model.js'
import { chunksShape, probeShape, type RunShape } from '../../src/models/graph/run-shape.js'
import type { Finding } from '../../src/models/self-test/finding.js'
import { operatorName } from '../../src/models/self-test/product-test.js'
import { SelfTest } from '../../src/models/self-test/self-test.js'
import { weightFormats, type MatrixKind, type WeightFormat } from '../../src/models/quantization/weight-format.js'
import { Session } from '../../src/runtime/session.js'
import type { Tensor } from '../../src/runtime/tensor.js'
import { closedAfter } from '../helpers/closed-after.js'
import { follow, promptOf, trace } from '../helpers/engine-traces.js'
import { sameBits } from '../helpers/same-bits.js'
import { writeTinyCheckpoint } from '../helpers/tiny-checkpoint.js'
import { writeTinyGguf } from '../helpers/tiny-gguf.js'

const directory = mkdtempSync(join(tmpdir(), 'fairlead-forms-'))
after(() => { rmSync(directory, { recursive: true }) })
const path = join(directory, 'tiny.gguf')
writeTinyGguf(path, {
  encode: name => name.startsWith('token_embd') ? 'Q8_0' : name.includes('attn_output') ? 'Q4_0' : 'Q4_1'
})

/** A processor on which no first form of integers is right: signed rows and blocks without a padding row are off. */
const selfTest = (threads: number): SelfTest => new SelfTest({
  threads,
  cacheDir: null,
  compile: async (model, options) => {
    const session = await Session.create(model, options)
    const levels = options.weights?.tensors.get('w.values')?.type
    const isOff = levels === 'int8' || (levels === 'uint8' && isBlocks(options.weights!.tensors) && !padded(model))
    return {
      async run (inputs, outputs) {
        await session.run(inputs, outputs)
        if (isOff) (outputs.get('y')!.data as Float32Array).fill(0)
      },
      dispose: () => { session.dispose() }
    }
  }
})
const isBlocks = (weights: ReadonlyMap<string, Tensor>): boolean => weights.get('w.values')!.dims.length === 3
const padded = (model: Uint8Array): boolean => Buffer.from(model).includes('zero_row')

interface Loaded { readonly model: LoadedModel, readonly engine: Engine, readonly messages: readonly string[] }

async function load (t: TestContext, file: string, format: WeightFormat, isOther: boolean): Promise<Loaded> {
  const messages: string[] = []
  const options = { model: file, format, threads: 2, cacheDir: directory, contextLength: 0 }
  const onProgress = (message: string): void => { messages.push(message) }
  const model = closedAfter(t, await loadModel({ ...options, onProgress, ...isOther && { selfTest } }))
  const capacity = { contextLength: 256, maxSequences: 64, kvCacheBytes: 2 ** 28, prefixCacheBytes: 0 }
  return { model, engine: closedAfter(t, new Engine(model, { ...capacity, prefillTokensPerStep: 64 })), messages }
}

/** Every kind of shape that an engine asks for. */
const shapes: readonly RunShape[] = [
  { private: 1, shared: 0 }, { private: 0, shared: 1 }, { private: 1, shared: 1 }, { private: 1, shared: 2 },
  { private: 0, shared: 2 }, chunksShape(2), probeShape(1)
]

/** Logits of a plain request, and of a candidate of a family beside a plain request. */
async function rowsOf ({ engine }: Loaded): Promise<number[][]> {
  const plain = await trace(engine, promptOf(70), 5, { layers: [1] })
  const root = engine.open(promptOf(130, 2), { fanOut: 32 })
  await root.output()
  const siblings = Array.from({ length: 15 }, () => root.fork())
  const [family] = await Promise.all([
    follow(root, 5), ...siblings.map(sibling => follow(sibling, 4)), trace(engine, promptOf(20, 3), 6)
  ])
  for (const sequence of [root, ...siblings]) sequence.close()
  return [...plain, ...family]
}

for (const format of ['i8', 'q8', 'q4', 'exact'] as const) {
  test(`${format} in the forms of another processor: every graph compiles, bits alone and in a crowd, ` +
    'same numbers', async t => {
    const [here, other] = [await load(t, path, format, false), await load(t, path, format, true)]
    assert.equal(other.model.operators.format, format)
    assert.ok(other.model.operators.operators.every(name => /uint8|padding row/.test(name)), other.messages.join())
    for (const shape of shapes) {
      await other.model.sessions.prepare(shape)
      assert.ok(other.model.sessions.find(shape), other.messages.join())
    }
    const alone = await trace(other.engine, promptOf(70), 5)
    const others = Array.from({ length: 31 }, (_, index) => trace(other.engine, promptOf(2 + 3 * index, index), 3))
    const [crowded] = await Promise.all([trace(other.engine, promptOf(70), 5), ...others])
    sameBits(crowded, alone)
    const [expected, rows] = [await rowsOf(here), await rowsOf(other)]
    for (const [step, row] of rows.entries()) {
      for (const [at, logit] of row.entries()) assert.ok(Math.abs(logit - expected[step]![at]!) < 1e-3, `${step} ${at}`)
    }
  })
}

for (const family of ['qwen2', 'qwen3'] as const) {
  test(`${family} with a padding row and with a zero point computes the same numbers`, async t => {
    const folder = join(directory, family)
    writeTinyCheckpoint(folder, { family })
    for (const format of ['i8', 'q8'] as const) {
      const [here, other] = [await load(t, folder, format, false), await load(t, folder, format, true)]
      const [expected, rows] = [await trace(here.engine, promptOf(40), 3), await trace(other.engine, promptOf(40), 3)]
      for (const [step, row] of rows.entries()) {
        for (const [at, logit] of row.entries()) {
          assert.ok(Math.abs(logit - expected[step]![at]!) < 1e-3, `${step} ${at}`)
        }
      }
    }
  })
}

/** A processor on which exactly the products that are named compute wrongly. */
class Found extends SelfTest {
  readonly #wrong: readonly string[]

  constructor (threads: number, wrong: readonly string[]) {
    super({ threads, cacheDir: null })
    this.#wrong = wrong
  }

  override async product (kind: MatrixKind): Promise<Finding> {
    const operator = operatorName(kind)
    return { operator, error: this.#wrong.includes(operator) ? 0.4 : 0, tolerance: 1e-5, rowsAlike: true }
  }
}

/** The format that a model runs in, and its engine's profile, where some products are found wrong. */
async function profileOf (
  t: TestContext, format: WeightFormat, wrong: readonly string[]
): Promise<{ readonly format: string, readonly profile: DeviceProfile }> {
  const model = closedAfter(t, await loadModel({
    model: path, format, threads: 2, cacheDir: directory, contextLength: 0, selfTest: count => new Found(count, wrong)
  }))
  const engine = closedAfter(t, new Engine(model, {
    contextLength: 256, maxSequences: 32, kvCacheBytes: 2 ** 26, prefixCacheBytes: 0, prefillTokensPerStep: 64
  }))
  return { format: model.operators.format, profile: engine.profile }
}

test('signed 8-bit rows that pass the self-test give an engine the profile of cheap rows; all else that of the ' +
  'processor', async t => {
  const [signed, unsigned] = ['int8', 'uint8'].map(levels =>
    [`${levels} rows on a fixed scale`, `${levels} rows`, `rotated ${levels} rows`]) as [string[], string[]]
  assert.deepEqual(await profileOf(t, 'i8', []), { format: 'i8', profile: cheapRowsProfile })
  assert.deepEqual(await profileOf(t, 'i8', signed), { format: 'i8', profile: cpuProfile })
  assert.deepEqual(await profileOf(t, 'i8', [...signed, ...unsigned]), { format: 'q8', profile: cpuProfile })
  for (const format of weightFormats.filter(one => one !== 'i8')) {
    assert.deepEqual(await profileOf(t, format, []), { format, profile: cpuProfile })
  }
  assert.ok(cheapRowsProfile.scheduling.searchRowsBesideStreams > cpuProfile.scheduling.searchRowsBesideStreams)
})
