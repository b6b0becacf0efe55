import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { DecoderConfig } from '../../../../src/models/decoder-config.js'
import { encodings, newGroups, type Encoding } from '../../../../src/models/formats/dequantize.js'
import type { LocatedTensor } from '../../../../src/models/formats/tensor-file.js'
import {
  operatorBlocks, sumChannels, type OperatorBlocks
} from '../../../../src/models/quantization/operator-blocks.js'
import {
  blocksOfGroups, quantizeBlocks, quantizeRows, type QuantizedBlocks
} from '../../../../src/models/quantization/quantize.js'
import {
  hadamardMatrix, hiddenRotation, rotate, rotateHidden, rotationSize
} from '../../../../src/models/quantization/rotation.js'
import { divide, smoothingFactors, smoothMatrix } from '../../../../src/models/quantization/smoothing.js'
import {
  fitScales, isSmoothed, weightLayout, type WeightLayout
} from '../../../../src/models/quantization/weight-format.js'
import { randomNumbers } from '../../../../src/models/self-test/finding.js'
import { packageRoot } from '../../../../src/package-root.js'
import { sameBits } from '../../../helpers/same-bits.js'

const wave = (length: number, seed: number): Float32Array =>
  Float32Array.from({ length }, (_, at) => Math.sin(at * 1.7 + seed) * (1 + at % 5))

/** x · Wᵀ. @param matrix [N, K] */
const product = (x: Float32Array, matrix: Float32Array): number[] =>
  Array.from({ length: matrix.length / x.length }, (_, row) =>
    x.reduce((sum, value, column) => sum + value * matrix[row * x.length + column]!, 0))

const near = (actual: readonly number[], expected: readonly number[], tolerance: number): void => {
  for (const [index, value] of actual.entries()) {
    assert.ok(Math.abs(value - expected[index]!) <= tolerance, `${index}: ${value} and ${expected[index]}`)
  }
}

test('rounded rows are transposed, and no value is further off than half a step of its row', () => {
  const matrix = wave(3 * 8, 1)
  const { values, scales } = quantizeRows(matrix, 3)
  for (let row = 0; row < 3; row++) {
    for (let column = 0; column < 8; column++) {
      assert.ok(Math.abs(values[column * 3 + row]! * scales[row]! - matrix[row * 8 + column]!) <= scales[row]! * 0.5001)
    }
  }
  assert.deepEqual([...quantizeRows(new Float32Array(4), 2).values], [0, 0, 0, 0])
})

test('the rotation is orthogonal, and turned weights give what straight ones gave', () => {
  const turn = hadamardMatrix(rotationSize)
  for (let a = 0; a < rotationSize; a += 7) {
    for (let b = 0; b < rotationSize; b++) {
      const dot = turn.subarray(a * rotationSize, (a + 1) * rotationSize)
        .reduce((sum, value, at) => sum + value * turn[b * rotationSize + at]!, 0)
      assert.ok(Math.abs(dot - (a === b ? 1 : 0)) < 1e-6)
    }
  }
  const x = wave(128, 2)
  const matrix = wave(5 * 128, 3)
  // Symmetric, so the fast transform of a row is that row times the matrix.
  const turned = rotate(x.slice())
  near([...turned.subarray(0, rotationSize)], product(x.subarray(0, rotationSize), turn), 1e-4)
  near(product(turned, rotate(matrix.slice())), product(x, matrix), 1e-2)
})

for (const width of [64, 192, 576, 896, 2048]) {
  test(`hidden states of ${width} are turned by an orthogonal matrix that is its own inverse and spreads a peak`, () => {
    const x = wave(2 * width, 2)
    const turned = rotateHidden(x.slice(), width)
    near([...rotateHidden(turned.slice(), width)], [...x], 1e-5 * Math.max(...x.map(Math.abs)))
    const square = (values: Float32Array): number => values.reduce((sum, value) => sum + value * value, 0)
    near([square(turned)], [square(x)], 1e-5 * square(x))

    const peak = new Float32Array(width)
    peak[width - 3] = 1
    const most = Math.max(...rotateHidden(peak, width).map(Math.abs))
    assert.ok(most < 1.5 / Math.sqrt(width), `a peak of 1 becomes values up to ${most}`)
  })
}

test('hidden states are turned alike by the fast transform, by two factors, and as columns', () => {
  const width = 192
  const x = wave(width, 5)
  const turned = rotateHidden(x.slice(), width)
  const { left, right } = hiddenRotation(width)
  const [blocks, size] = [width / 32, 32]
  const byFactors = Array.from({ length: width }, (_, at) => {
    const [row, column] = [Math.floor(at / size), at % size]
    let sum = 0
    for (let i = 0; i < blocks; i++) {
      for (let j = 0; j < size; j++) sum += left[row * blocks + i]! * x[i * size + j]! * right[j * size + column]!
    }
    return sum
  })
  near([...turned], byFactors, 1e-5 * Math.max(...x.map(Math.abs)))

  const matrix = wave(width * 3, 6)
  const columns = rotateHidden(matrix.slice(), width, 3)
  for (let column = 0; column < 3; column++) {
    const own = matrix.filter((_, at) => at % 3 === column)
    near([...columns.filter((_, at) => at % 3 === column)], [...rotateHidden(own, width)], 1e-4)
  }
})

test('smoothing moves magnitude to the weights and leaves every product as it was', () => {
  const config = { hiddenSize: 8, queryHeads: 4, kvHeads: 2, headSize: 2, feedForwardSize: 6 } as DecoderConfig
  const peaks = Float32Array.of(100, 1, 1, 1, 1, 1, 1, 0)
  const factors = smoothingFactors(peaks, wave(16 * 8, 4))
  assert.ok(factors[0]! > factors[1]!)
  assert.equal(factors[7], 1, 'a channel that is never used stays')

  // The norm before a matrix.
  const smoothing = new Map([['layer0.qkv', factors], ['layer0.attention_output',
    wave(8, 5).map(value => 1 + Math.abs(value))], ['layer0.down', wave(6, 6).map(value => 1 + Math.abs(value))]])
  const x = wave(8, 7)
  const qkv = wave(16 * 8, 8)
  const smoothed = smoothMatrix(config, 'layer0.qkv', qkv.slice(), 8, smoothing)
  const less = x.slice()
  divide(less, factors)
  const [before, after] = [product(x, qkv), product(less, smoothed)]
  near(after.slice(0, 12), before.slice(0, 12), 1e-3)

  // Value rows → the columns that read them, each value head by two query heads.
  const output = wave(8 * 8, 9)
  const read = (values: readonly number[]): Float32Array =>
    Float32Array.from([0, 0, 1, 1].flatMap(head => [values[12 + 2 * head]!, values[13 + 2 * head]!]))
  near(product(read(after), smoothMatrix(config, 'layer0.attention_output', output.slice(), 8, smoothing)),
    product(read(before), output), 1e-2)

  // Up rows → down columns.
  const [gateUp, down] = [wave(12 * 8, 10), wave(8 * 6, 11)]
  const up = (matrix: Float32Array): Float32Array => Float32Array.from(product(x, matrix).slice(6))
  near(product(up(smoothMatrix(config, 'layer0.gate_up', gateUp.slice(), 8, smoothing)),
    smoothMatrix(config, 'layer0.down', down.slice(), 6, smoothing)), product(up(gateUp), down), 1e-2)
})

test('8-bit blocks are within half a step of the block’s largest', () => {
  const matrix = Float32Array.from({ length: 128 }, (_, index) => Math.sin(index) * (index < 64 ? 1 : 100))
  const { levels, scales } = quantizeBlocks(matrix, { bits: 8, size: 64 })
  for (const [index, value] of matrix.entries()) {
    const scale = scales[index >> 6]!
    assert.ok(Math.abs((levels[index]! - 128) * scale - value) <= scale / 2 + 1e-6)
  }
  sameBits([...quantizeBlocks(new Float32Array(64), { bits: 8, size: 64 }).levels], new Array<number>(64).fill(128))
})

/** Written by scripts/expected-dequantized.py. */
const fixture = JSON.parse(readFileSync(join(packageRoot, 'tests/fixtures/dequantized.json'),
  'utf8')) as Record<string, { blocks: string }>

/** What blocks stand for. */
const valuesOf = ({ levels, scales, offsets }: QuantizedBlocks, bits: 4 | 8, size: number): Float32Array =>
  Float32Array.from(levels, (level, at) =>
    (level - 2 ** (bits - 1)) * scales[Math.floor(at / size)]! + offsets[Math.floor(at / size)]!)

/** What an operator multiplies with, [N, channels]. */
function channelsOf ({ values, scales, zeros }: OperatorBlocks, bits: 4 | 8, rows: number): Float32Array {
  const columns = values.length * 8 / bits / rows
  const blocks = columns / 32
  const levelAt = (bytes: Uint8Array, row: number, column: number): number => {
    const byte = bytes[row * bytes.length / rows + Math.floor(column * bits / 8)]!
    return bits === 8 ? byte : byte >> 4 * (column & 1) & 15
  }
  return Float32Array.from({ length: rows * columns }, (_, at) => {
    const [row, column] = [Math.floor(at / columns), at % columns]
    const block = Math.floor(column / 32)
    return (levelAt(values, row, column) - levelAt(zeros!, row, block)) * scales[row * blocks + block]!
  })
}

for (const [type, { name, grouping, decode, blockBytes, blockSize }] of encodings) {
  if (!grouping) continue
  test(`the blocks of ${name} become an operator’s without a change of value`, () => {
    const bytes = Buffer.from(fixture[type]!.blocks, 'base64')
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    const expected = new Float32Array(bytes.length / blockBytes * blockSize)
    decode(view, expected)
    const groups = newGroups(expected.length)
    grouping.split(view, groups)
    for (const bits of grouping.bits === 4 ? [4, 8] as const : [8] as const) {
      const blocks = blocksOfGroups(groups, grouping.bits, bits)
      assert.equal(blocks.offsets.every(offset => offset === 0), grouping.centred)
      const most = Math.max(...expected.map(Math.abs))
      near([...valuesOf(blocks, bits, 32)], [...expected], grouping.centred ? 0 : 1e-6 * most)
    }
  })
}

for (const bits of [4, 8] as const) {
  test(`offsets of ${bits}-bit blocks become zero points and channels that multiply the blocks’ sums`, () => {
    const random = randomNumbers(4)
    for (const columns of [32, 96, 160, 192, 576, 1536, 2048]) {
      const [rows, blocks, most] = [3, columns / 32, 2 ** bits]
      const levels = Uint8Array.from({ length: rows * columns }, () => Math.floor(most * random()))
      const scales = Float32Array.from({ length: rows * blocks }, () => random() < 0.1 ? 0 : 0.5 + random())
      // In the last matrix, some of them beyond what a zero point reaches.
      const isReached = columns < 2048
      const offsets = scales.map(scale => (isReached ? 0.9 * scale : 2) * most * (random() - 0.5))
      const tolerance = bits === 4 ? (isReached ? 0.005 : 0.3) : (isReached ? 2e-4 : 0.01)
      const kind = { operator: 'blocks', bits, size: 32, values: 'file', offsets: true, paddingRow: false } as const
      const channels = channelsOf(operatorBlocks({ levels, scales, offsets }, kind, rows), bits, rows)
      const width = sumChannels(columns)
      assert.equal(channels.length, rows * (columns + 2 * width))
      if (columns % 64 === 0) assert.equal((columns + 2 * width) % 128, 0)
      const expected = valuesOf({ levels, scales, offsets }, bits, 32)
      for (let row = 0; row < rows; row++) {
        const own = channels.subarray(row * (columns + 2 * width), (row + 1) * (columns + 2 * width))
        for (let column = 0; column < columns; column++) {
          const block = Math.floor(column / 32)
          const added = own[columns + block]! + own[columns + width + block]!
          near([own[column]! + added], [expected[row * columns + column]!], tolerance)
        }
        assert.ok(own.subarray(columns + blocks, columns + width).every(value => value === 0))
      }
    }
  })
}

test('4-bit blocks with offsets keep evenly spaced values, and leave less squared error than their range would', () => {
  const matrix = wave(32 * 40, 12)
  const layout = { bits: 4, size: 32, offsets: true } as const
  const error = (values: Float32Array): number => values.reduce((sum, value, at) => sum + (value - matrix[at]!) ** 2, 0)
  const fitted = error(valuesOf(quantizeBlocks(matrix, layout), 4, 32))
  const plain = error(matrix.map((value, at) => {
    const block = matrix.subarray(at - at % 32, at - at % 32 + 32)
    const [least, most] = [Math.min(...block), Math.max(...block)]
    return Math.round((value - least) / (most - least) * 15) * (most - least) / 15 + least
  }))
  assert.ok(fitted < 0.9 * plain, `${fitted} and ${plain}`)
  const even = Float32Array.from({ length: 64 }, (_, at) => at < 32 ? 0.3 * (at % 16) - 1 : -2)
  near([...valuesOf(quantizeBlocks(even, layout), 4, 32)], [...even], 1e-6)
})

test('a scale is fixed for rows after a norm whose peak it holds, in a model whose hidden state can be rotated', () => {
  const sizes = { queryHeads: 2, kvHeads: 2, headSize: 32, feedForwardSize: 64, vocabularySize: 96, outputSize: 96 }
  const layout = (hiddenSize: number): WeightLayout => weightLayout(
    { ...sizes, layers: 1, hiddenSize, scoreHead: null } as DecoderConfig, 'i8',
    { get: () => ({ encoding: encodings.get(0) }) } as unknown as ReadonlyMap<string, LocatedTensor>)
  const scales = ({ matrices }: WeightLayout): object =>
    Object.fromEntries([...matrices].map(([name, kind]) => [name, kind.operator === 'rows' && kind.scale]))

  const whole = layout(128)
  assert.equal(whole.rotatesHidden, true)
  const rest = { 'layer0.attention_output': 'row', 'layer0.down': 'row' }
  const fixed = { 'layer0.qkv': 'fixed', 'layer0.gate_up': 'fixed', head: 'fixed', ...rest }
  assert.deepEqual(scales(whole), fixed)
  assert.deepEqual([...whole.matrices.keys()].filter(name => isSmoothed(whole, name)), Object.keys(rest))
  assert.deepEqual(scales(fitScales(whole, () => 5.8)), fixed)
  const uneven = fitScales(whole, name => name === 'layer0.qkv' ? 5.9 : 4)
  assert.deepEqual(scales(uneven), { ...fixed, 'layer0.qkv': 'row' })
  assert.deepEqual([...whole.matrices.keys()].filter(name => isSmoothed(uneven, name)), Object.keys(rest),
    'weights are what they were')

  const plain = layout(96)
  assert.equal(plain.rotatesHidden, false)
  assert.ok(Object.values(scales(plain)).every(scale => scale === 'row'))
  assert.ok([...plain.matrices.keys()].every(name => isSmoothed(plain, name)))
})

test('the exact format keeps the file’s blocks, and float32 where the file has none', () => {
  const config = {
    layers: 1,
    hiddenSize: 64,
    queryHeads: 2,
    kvHeads: 2,
    headSize: 32,
    feedForwardSize: 64,
    vocabularySize: 96,
    outputSize: 96,
    scoreHead: null,
    tiedEmbeddings: true
  } as DecoderConfig
  const encodingOf = (name: string): Encoding => [...encodings.values()].find(one => one.name === name)!
  const layout = (names: Record<string, string>, rest: string): WeightLayout => {
    const tensor = (name: string): LocatedTensor => ({ encoding: encodingOf(names[name] ?? rest) } as LocatedTensor)
    return weightLayout(config, 'exact', { get: tensor } as unknown as ReadonlyMap<string, LocatedTensor>)
  }
  const blocks = (bits: 4 | 8, offsets: boolean): object =>
    ({ operator: 'blocks', bits, size: 32, values: 'file', offsets, paddingRow: false })
  const { matrices, embedding } = layout({
    'token_embd.weight': 'Q8_0',
    'blk.0.attn_output.weight': 'Q4_0',
    'blk.0.attn_v.weight': 'Q5_1',
    'blk.0.ffn_up.weight': 'Q6_K'
  }, 'Q4_1')
  assert.equal(embedding, 'groups')
  assert.deepEqual(Object.fromEntries(matrices), {
    'layer0.qkv': blocks(8, true),
    'layer0.attention_output': blocks(4, false),
    'layer0.gate_up': { operator: 'float' },
    'layer0.down': blocks(4, true),
    head: blocks(8, false)
  })
  for (const encoding of ['F16', 'Q4_1', 'Q6_K']) {
    assert.equal(layout({ 'token_embd.weight': encoding }, 'Q8_0').embedding, 'float')
  }
})
