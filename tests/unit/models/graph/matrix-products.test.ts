/**
 * Products in parts: the columns of the whole product, bit for bit, in every kind of matrix. Hidden states: turned as
 * weights are.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MatrixProducts } from '../../../../src/models/graph/matrix-products.js'
import type { MatrixKind, Rows } from '../../../../src/models/quantization/weight-format.js'
import { rotateHidden } from '../../../../src/models/quantization/rotation.js'
import { exampleMatrix, inputs, outputs } from '../../../../src/models/self-test/example-matrix.js'
import { randomNumbers } from '../../../../src/models/self-test/finding.js'
import { operatorName } from '../../../../src/models/self-test/product-test.js'
import { GraphWriter } from '../../../../src/runtime/graph.js'
import { Session, SharedWeights } from '../../../../src/runtime/session.js'
import { Tensor } from '../../../../src/runtime/tensor.js'

const rows = 5
const parts = ['left', 'right']
const size = outputs / parts.length

const rowKind = (rotated: boolean, levels: Rows['levels'], scale: Rows['scale'] = 'row'): MatrixKind =>
  ({ operator: 'rows', rotated, scale, levels })
const kinds: MatrixKind[] = [
  rowKind(false, 'int8'), rowKind(false, 'uint8'), rowKind(true, 'int8'), rowKind(false, 'int8', 'fixed'),
  { operator: 'blocks', bits: 8, size: 64, values: 'rounded', offsets: false, paddingRow: false },
  { operator: 'blocks', bits: 4, size: 32, values: 'file', offsets: true, paddingRow: false },
  { operator: 'float' }
]

/** The columns of a tensor that a part has. */
function columnsOf ({ type, dims, data }: Tensor, part: number): Tensor {
  const columns = dims.at(-1)!
  const own = Tensor.allocate(type, [...dims.slice(0, -1), size])
  for (let at = 0; at < own.data.length; at++) {
    own.data[at] = data[Math.floor(at / size) * columns + part * size + at % size]!
  }
  return own
}

for (const kind of kinds) {
  test(`parts of a product with ${operatorName(kind)} are its columns`, async () => {
    const random = randomNumbers(3)
    const { weights } = exampleMatrix('w', kind, random)
    const graph = new GraphWriter()
    const products = new MatrixProducts(graph)
    const x = graph.input('x', 'float32', ['rows', 1, inputs])
    graph.output(products.multiply(x, 'w', kind, [outputs, inputs], 'whole'), 'float32', ['rows', 1, outputs])
    const results = products.multiplyParts(x, 'w', kind, [outputs, inputs], parts)
    for (const result of results) graph.output(result, 'float32', ['rows', 1, size])
    const model = graph.finish()
    for (const [index, part] of parts.entries()) {
      for (const held of kind.operator === 'rows' ? ['values', 'scales'] : []) {
        weights.set(`w.${part}.${held}`, columnsOf(weights.get(`w.${held}`)!, index))
      }
    }
    const shared = new SharedWeights(weights)
    const session = await Session.create(model, { weights: shared, threads: 2 })
    const numbers = Float32Array.from({ length: rows * inputs }, () => 2 * random() - 1)
    const from = Tensor.from('float32', [rows, 1, inputs], numbers)
    const whole = Tensor.allocate('float32', [rows, 1, outputs])
    const apart = results.map(() => Tensor.allocate('float32', [rows, 1, size]))
    try {
      await session.run(new Map([['x', from]]),
        new Map([['whole', whole], ...results.map((result, index) => [result, apart[index]!] as const)]))
      for (const [index, part] of apart.entries()) {
        assert.deepEqual(part.data, columnsOf(whole, index).data)
        assert.ok(part.data.some(value => value !== 0))
      }
    } finally {
      session.dispose()
      shared.dispose()
      for (const tensor of [from, whole, ...apart]) tensor.dispose()
    }
  })
}

for (const width of [64, 192, 576]) {
  test(`hidden states of ${width} are turned as weights are, each with the bits that it has alone`, async () => {
    const graph = new GraphWriter()
    const products = new MatrixProducts(graph)
    products.rotateHidden(graph.input('x', 'float32', ['rows', 1, width]), width, 'y')
    graph.output('y', 'float32', ['rows', 1, width])
    const session = await Session.create(graph.finish(), { threads: 2 })
    const random = randomNumbers(5)
    const states = Float32Array.from({ length: rows * width }, () => 2 * random() - 1)
    const turn = async (values: Float32Array): Promise<Float32Array> => {
      const dims = [values.length / width, 1, width]
      const [from, to] = [Tensor.from('float32', dims, values), Tensor.allocate('float32', dims)]
      await session.run(new Map([['x', from]]), new Map([['y', to]]))
      const turned = (to.data as Float32Array).slice()
      for (const tensor of [from, to]) tensor.dispose()
      return turned
    }
    try {
      const turned = await turn(states)
      for (const [at, value] of rotateHidden(states.slice(), width).entries()) {
        assert.ok(Math.abs(turned[at]! - value) < 1e-5, `[${at}] is ${turned[at]}, expected ${value}`)
      }
      for (let row = 0; row < rows; row++) {
        const [from, to] = [row * width, (row + 1) * width]
        assert.deepEqual(await turn(states.slice(from, to)), turned.slice(from, to))
      }
    } finally {
      session.dispose()
    }
  })
}
