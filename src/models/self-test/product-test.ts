/**
 * Tests the product with one kind of matrix on this processor, in the graph that the decoder uses: its results against
 * exact arithmetic with integers at the ends of their range, and the bits of a row alone, in pairs, and among so many
 * rows that one is left over where an operator cuts them into 128s.
 */
import { GraphWriter } from '../../runtime/graph.js'
import { SharedWeights } from '../../runtime/session.js'
import { Tensor } from '../../runtime/tensor.js'
import { MatrixProducts, needsPaddingRow, type BlockAccuracy } from '../graph/matrix-products.js'
import { rotate, rotateHidden } from '../quantization/rotation.js'
import { fixedLimit, type MatrixKind, type WeightLayout } from '../quantization/weight-format.js'
import { exampleMatrix, inputs, levels, outputs } from './example-matrix.js'
import { randomNumbers, relativeError, sameBits, type Compile, type Finding } from './finding.js'

/** Rows of x: the last is left over after 128. */
const rows = 129

/** Operators that round activations, or what they add up, lose less than this; exact ones stay far below. */
const tolerances = { float: 1e-5, half: 0.01, rows: 1e-5, blocks: 0.01 } as const

/** e.g. "rotated int8 rows" or "4-bit blocks of 32 with a padding row". */
export function operatorName (kind: MatrixKind): string {
  if (kind.operator === 'float') return 'float32'
  if (kind.operator === 'half') return 'float16'
  if (kind.operator === 'rows') {
    return `${kind.rotated ? 'rotated ' : ''}${kind.levels} rows${kind.scale === 'fixed' ? ' on a fixed scale' : ''}`
  }
  const parts = [...kind.offsets ? ['offsets'] : [], ...kind.paddingRow ? ['a padding row'] : []]
  return `${kind.bits}-bit blocks of ${kind.size}${parts.length === 0 ? '' : ` with ${parts.join(' and ')}`}`
}

/** Names of the operators that a layout's matrices are multiplied with. */
export const operatorNames = ({ matrices }: WeightLayout): string[] =>
  [...new Set([...matrices.values()].map(operatorName))]

/** How a decoder's graph has a product. */
export interface ProductUse {
  readonly accuracy: BlockAccuracy
  /** Rows that a product has at least: a row may have other bits in fewer. */
  readonly minRows: number
  /** Dimensions of rows of so many columns. */
  readonly dims: <T extends string | number>(rows: T, columns: number) => ReadonlyArray<T | number>
}

const onProcessor: ProductUse = { accuracy: 4, minRows: 1, dims: (rows, columns) => [rows, 1, columns] }
/** Of packed runs. */
export const onDevice: ProductUse = { accuracy: 1, minRows: 4, dims: (rows, columns) => [rows, columns] }

/** Whether a matrix is multiplied in a model whose hidden state is rotated: that is tested with it. */
const rotatesHidden = (kind: MatrixKind): boolean => kind.operator === 'rows' && kind.scale === 'fixed'

/** Columns of a test's results: those of the product and, where they are rotated, the rows that it multiplies. */
const widthOf = (kind: MatrixKind): number => rotatesHidden(kind) ? outputs + inputs : outputs

function graphOf (kind: MatrixKind, { accuracy, dims }: ProductUse): Uint8Array {
  const graph = new GraphWriter()
  const products = new MatrixProducts(graph, accuracy)
  const x = graph.input('x', 'float32', dims('rows', inputs))
  if (needsPaddingRow(kind)) {
    const flat = graph.node('Reshape', [x, graph.constant('flat', 'int64', [2], [-1, inputs])], ['flat_x'])
    products.dropRow(products.multiply(products.appendRow(flat, inputs), 'w', kind, [outputs, inputs]), 'flat_y')
    graph.node('Reshape', ['flat_y', graph.constant('apart', 'int64', [3], [-1, 1, outputs])], ['y'])
  } else if (rotatesHidden(kind)) {
    const rotated = products.rotateHidden(x, inputs)
    graph.node('Concat', [products.multiply(rotated, 'w', kind, [outputs, inputs]), rotated], ['y'], { axis: -1 })
  } else products.multiply(x, 'w', kind, [outputs, inputs], 'y')
  graph.output('y', 'float32', dims('rows', widthOf(kind)))
  return graph.finish()
}

/** Integers that rounding to 8 bits leaves as they are: of every 32, one is at the end of the range. */
function activations (random: () => number): Float32Array {
  const x = Float32Array.from(levels(rows * inputs, 127, random))
  for (let block = 0; block < x.length; block += 32) x[block + Math.floor(32 * random())] = 127
  return x
}

/** What a graph's products are of, to be of integers after its rotation, which is its own inverse, and their unit. */
function operandOf (kind: MatrixKind, integers: Float32Array): { x: Float32Array, unit: number } {
  if (kind.operator !== 'rows') return { x: integers, unit: 1 }
  if (kind.scale === 'row') return { x: kind.rotated ? rotate(integers.slice()) : integers, unit: 1 }
  const unit = fixedLimit / 127
  return { x: rotateHidden(integers.map(level => level * unit), inputs), unit }
}

/** @param compile makes the session: numbers and bits are those of its thread count */
export async function testProduct (
  kind: MatrixKind, threads: number, compile: Compile, use: ProductUse = onProcessor
): Promise<Finding> {
  const random = randomNumbers(7)
  const { weights, value } = exampleMatrix('w', kind, random)
  const integers = activations(random)
  const { x, unit } = operandOf(kind, integers)
  const width = widthOf(kind)
  const shared = new SharedWeights(weights)
  const session = await compile(graphOf(kind, use), { weights: shared, threads }).catch((error: unknown) => {
    shared.dispose()
    throw error
  })
  const run = async (first: number, count: number): Promise<Float32Array[]> => {
    const from = Tensor.from('float32', use.dims(count, inputs), x.slice(first * inputs, (first + count) * inputs))
    const y = new Float32Array(count * width)
    const to = Tensor.from('float32', use.dims(count, width), y)
    await session.run(new Map([['x', from]]), new Map([['y', to]]))
    const result = (to.data as Float32Array).slice()
    for (const tensor of [from, to]) tensor.dispose()
    return Array.from({ length: count }, (_, row) => result.subarray(row * width, (row + 1) * width))
  }
  try {
    const all = await run(0, rows)
    const sampled = [0, 1, rows - 1]
    const exact = sampled.map(row => Float64Array.from({ length: outputs }, (_, output) => {
      let sum = 0
      for (let input = 0; input < inputs; input++) sum += integers[row * inputs + input]! * value(output, input)
      return sum * unit
    }))
    let [error, rowsAlike] = [0, true]
    for (const [index, row] of sampled.entries()) {
      const [few, more] = [use.minRows, use.minRows + 1].map(count => Math.min(row, rows - count)) as [number, number]
      const alone = (await run(few, use.minRows))[row - few]!
      const beside = await run(more, use.minRows + 1)
      error = Math.max(error, ...[all[row]!, alone].map(result =>
        relativeError(result.subarray(0, outputs), exact[index]!)))
      rowsAlike &&= sameBits(alone, all[row]!) && beside.every((result, at) => sameBits(result, all[more + at]!))
    }
    return { operator: operatorName(kind), error, tolerance: tolerances[kind.operator], rowsAlike }
  } finally {
    session.dispose()
    shared.dispose()
  }
}
