import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import { shapes, tensorsOf, writeRandomGguf } from '../../../../scripts/random-gguf.js'
import { decoderConfigFromGguf } from '../../../../src/models/formats/gguf-config.js'
import { openGguf } from '../../../../src/models/formats/gguf.js'
import { tokenizerFromGguf } from '../../../../src/models/tokenizer/tokenizer.js'
import { sameBits } from '../../../helpers/same-bits.js'
import { writeTinyGguf } from '../../../helpers/tiny-gguf.js'
import { tinyVocabulary } from '../../../helpers/tiny-vocabulary.js'

test('a random model has the shape asked for, weights of the usual size and the tokenizer of the ' +
  'other file', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'fairlead-'))
  try {
    const [other, path] = [join(directory, 'tiny.gguf'), join(directory, 'random.gguf')]
    writeTinyGguf(other)
    await writeRandomGguf(path, { layers: 2, hiddenSize: 64, queryHeads: 4, kvHeads: 2, feedForwardSize: 96 }, 'random',
      other)
    const file = await openGguf(path)
    const config = decoderConfigFromGguf(file)
    assert.deepEqual([config.layers, config.hiddenSize, config.kvHeads, config.feedForwardSize, config.vocabularySize],
      [2, 64, 2, 96, tinyVocabulary.length])
    const otherFile = await openGguf(other)
    assert.deepEqual(tokenizerFromGguf(file).encode('the end'), tokenizerFromGguf(otherFile).encode('the end'))
    await otherFile.close()
    const weights = await file.read('blk.1.ffn_down.weight')
    const deviation = Math.sqrt(weights.reduce((sum, weight) => sum + weight * weight, 0) / weights.length)
    assert.ok(Math.abs(deviation - 0.02) < 0.002, String(deviation))
    assert.ok(Math.abs(weights.reduce((sum, weight) => sum + weight, 0) / weights.length) < 0.002)
    assert.ok(!isDeepStrictEqual(weights, await file.read('blk.0.ffn_down.weight')), 'layers differ')
    sameBits(await file.read('output_norm.weight'), new Float32Array(64).fill(1))
    await file.close()
  } finally {
    rmSync(directory, { recursive: true })
  }
})

test('the shapes are as large as their names', () => {
  const millions = (name: string): number =>
    tensorsOf(shapes[name]!, 49152).reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0) / 1e6
  assert.equal(Math.round(millions('0.5b')), 491)
  assert.equal(Math.round(millions('1b')), 1074)
})
