import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { encodings } from '../../../../src/models/formats/dequantize.js'
import { halfToFloat } from '../../../../src/runtime/float16.js'
import { packageRoot } from '../../../../src/package-root.js'

/** Written by scripts/expected-dequantized.py: random blocks, and what the gguf Python package makes of them. */
const fixture = JSON.parse(readFileSync(join(packageRoot, 'tests/fixtures/dequantized.json'),
  'utf8')) as Record<string, { name: string, blocks: string, values: string }>

for (const [type, { name, blocks, values }] of Object.entries(fixture)) {
  test(`${name} decodes as the gguf package decodes it`, () => {
    const encoding = encodings.get(Number(type))!
    assert.equal(encoding.name, name)
    const bytes = Buffer.from(blocks, 'base64')
    const expected = new Float32Array(Uint8Array.from(Buffer.from(values, 'base64')).buffer)
    const decoded = new Float32Array(bytes.length / encoding.blockBytes * encoding.blockSize)
    encoding.decode(new DataView(bytes.buffer, bytes.byteOffset, bytes.length), decoded)
    assert.equal(decoded.length, expected.length)
    for (const [index, value] of expected.entries()) {
      assert.ok(Math.abs(decoded[index]! - value) <= 4e-7 * Math.max(1e-30, Math.abs(value)) +
        1e-7 * Math.max(...expected.map(Math.abs)), `${index}: ${decoded[index]} for ${value}`)
    }
  })
}

test('half-precision numbers have their values', () => {
  assert.deepEqual([0x3C00, 0xC000, 0x3555, 0x0001, 0x8000].map(halfToFloat), [1, -2, 0.333251953125, 2 ** -24, -0])
  assert.equal(halfToFloat(0x7C00), Infinity)
  assert.ok(Number.isNaN(halfToFloat(0x7E00)))
})
