import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { Engine } from '../../src/engine/engine.js'
import { openGguf } from '../../src/models/formats/gguf.js'
import { loadModel } from '../../src/models/model.js'
import { weightFormats, type WeightFormat } from '../../src/models/quantization/weight-format.js'
import { sameBits } from '../helpers/same-bits.js'
import { writeTinyGguf, type TinyEncoding } from '../helpers/tiny-gguf.js'

const directory = mkdtempSync(join(tmpdir(), 'fairlead-formats-'))
after(() => { rmSync(directory, { recursive: true }) })

const tokens = Array.from({ length: 24 }, (_, index) => 3 + (index * 37) % 256)

/**
 * Logits after a prompt, and the embedding of its last token as the graph and as JavaScript looks it up, under a
 * format.
 */
async function compute (
  model: string, format: WeightFormat
): Promise<{ logits: number[], embedding: number[], row: number[] }> {
  const loaded = await loadModel({ model, format, threads: 1, cacheDir: directory, contextLength: 0 })
  const engine = new Engine(loaded, {
    contextLength: 64,
    maxSequences: 2,
    kvCacheBytes: 2 ** 22,
    prefixCacheBytes: 0,
    prefillTokensPerStep: 64
  })
  try {
    const output = await engine.open(tokens, { layers: [0] }).output()
    return {
      logits: [...output.distribution.logits],
      embedding: [...output.hidden(0)],
      row: [...loaded.embeddings.row(tokens.at(-1)!)]
    }
  } finally {
    await engine.close()
    loaded.dispose()
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
    const { logits } = await compute(path, 'f32')
    const most: Record<WeightFormat, number> = { f32: 0, exact: 0.04, q8: 0.05, i8: 0.08, q4: 0.5 }
    for (const format of weightFormats) {
      const given = await compute(path, format)
      sameBits(given.embedding, embedding, `${format} looks embeddings up as the file has them`)
      sameBits(given.row, embedding, `${format} shows embeddings as the file has them`)
      const error = relativeError(given.logits, logits)

      assert.ok(error <= most[format], `${format}: ${error}`)
    }
  })
}

test('f16 is a format of devices: the processor refuses it', async () => {
  const path = join(directory, 'halves.gguf')
  writeTinyGguf(path)
  const options = { model: path, format: 'f16', threads: 1, cacheDir: directory, contextLength: 0 } as const
  await assert.rejects(loadModel(options), { param: 'format', message: /f16 is one of devices .* use i8, q8 or f32/ })
})
