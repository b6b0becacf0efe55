import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { Engine } from '../../src/engine/engine.js'
import { openGguf } from '../../src/models/formats/gguf.js'
import { loadModel } from '../../src/models/model.js'
import { rotateHidden } from '../../src/models/quantization/rotation.js'
import { weightFormats, type WeightFormat } from '../../src/models/quantization/weight-format.js'
import { sameBits } from '../helpers/same-bits.js'
import { writeTinyGguf, type TinyEncoding } from '../helpers/tiny-gguf.js'

const directory = mkdtempSync(join(tmpdir(), 'fairlead-formats-'))
after(() => { rmSync(directory, { recursive: true }) })

const tokens = Array.from({ length: 24 }, (_, index) => 3 + (index * 37) % 256)

const layers = [0, 1, 2]

interface Computed {
  readonly logits: number[]
  /** Of each layer: the last token's, then the mean over all. */
  readonly hidden: number[][]
  /** The last token's embedding as JavaScript looks it up. */
  readonly row: number[]
}

const modelOptions = { threads: 1, cacheDir: directory, contextLength: 0 }

/** What a model with two layers says after a prompt, under a format. */
async function compute (model: string, format: WeightFormat): Promise<Computed> {
  const loaded = await loadModel({ ...modelOptions, model, format })
  const engine = new Engine(loaded, {
    contextLength: 64,
    maxSequences: 2,
    kvCacheBytes: 2 ** 22,
    prefixCacheBytes: 0,
    prefillTokensPerStep: 64
  })
  try {
    const output = await engine.open(tokens, { layers, poolFrom: 0 }).output()
    return {
      logits: [...output.distribution.logits],
      hidden: layers.map(layer => [...output.hidden(layer), ...output.pooled(layer)]),
      row: [...loaded.embeddings.row(tokens.at(-1)!)]
    }
  } finally {
    await engine.close()
    loaded.dispose()
  }
}

/** Whether numbers are those expected, up to a share of the largest. */
function near (given: readonly number[], expected: readonly number[], share: number): void {
  const most = share * Math.max(...expected.map(Math.abs))
  for (const [at, value] of given.entries()) {
    assert.ok(Math.abs(value - expected[at]!) <= most, `[${at}] is ${value}, expected ${expected[at]}`)
  }
}

/** Root mean square of the differences over that of the second. */
function relativeError (values: readonly number[], expected: readonly number[]): number {
  const square = (numbers: readonly number[]): number => numbers.reduce((sum, one) => sum + one * one, 0)
  return Math.sqrt(square(values.map((value, at) => value - expected[at]!)) / square(expected))
}

const files: Record<string, (name: string) => TinyEncoding> = {
  // As in the default model.
  'Q4_1 and Q8_0': name => name.startsWith('token_embd') ? 'Q8_0' : 'Q4_1',
  'Q4_0 beside Q8_0 in one matrix, embeddings of Q4_0': name => /attn_v|ffn_up/.test(name) ? 'Q8_0' : 'Q4_0',
  'float32 beside Q4_1, embeddings of Q4_1': name => /attn_q|ffn_down/.test(name) ? 'F32' : 'Q4_1'
}

for (const [index, [description, encode]] of Object.entries(files).entries()) {
  test(`every format computes what the file says, within its rounding: ${description}`, async () => {
    const path = join(directory, `${index}.gguf`)
    writeTinyGguf(path, { encode })
    const file = await openGguf(path)
    const embedding = [...(await file.read('token_embd.weight')).subarray(tokens.at(-1)! * 64,
      (tokens.at(-1)! + 1) * 64)]
    await file.close()
    const exact = await compute(path, 'f32')
    const most: Record<WeightFormat, number> = { f32: 0, exact: 0.04, q8: 0.05, i8: 0.08, q4: 0.2 }
    for (const format of weightFormats) {
      const given = await compute(path, format)
      // Rotated back from how it goes through the layers.
      const lookedUp = given.hidden[0]!.slice(0, embedding.length)
      if (format === 'i8') near(lookedUp, embedding, 1e-6)
      else sameBits(lookedUp, embedding, `${format} looks embeddings up as the file has them`)
      sameBits(given.row, embedding, `${format} shows embeddings as the file has them`)
      const error = relativeError(given.logits, exact.logits)
      assert.ok(error <= most[format], `${format}: ${error}`)
      for (const layer of layers) {
        const off = relativeError(given.hidden[layer]!, exact.hidden[layer]!)
        assert.ok(off <= most[format], `${format}, hidden states of layer ${layer}: ${off}`)
      }
    }
  })
}

test('where a rotated hidden state is uneven, the operators that are named have each row’s own scale', async () => {
  const path = join(directory, 'uneven.gguf')
  const peak = rotateHidden(Float32Array.from({ length: 64 }, (_, at) => at === 0 ? 1 : 0), 64)
  writeTinyGguf(path, { value: (name, at) => name === 'token_embd.weight' ? peak[at % 64]! : 0 })
  const { operators, dispose } = await loadModel({ ...modelOptions, model: path, format: 'i8' })
  dispose()
  assert.deepEqual(operators.operators.map(name => name.replace('uint8', 'int8')), ['int8 rows', 'rotated int8 rows'])
})

test('f16 is a format of devices: the processor refuses it', async () => {
  const path = join(directory, 'halves.gguf')
  writeTinyGguf(path)
  const options = { model: path, format: 'f16', threads: 1, cacheDir: directory, contextLength: 0 } as const
  await assert.rejects(loadModel(options), { param: 'format', message: /f16 is one of devices .* use i8, q8 or f32/ })
})
