/**
 * Products with a decoder's matrices, in the operators of each kind of matrix (`weight-format.ts`). Used by both the
 * decoder's graph and the self-test, so that what is tested is what is served. Knows no layers.
 */
import type { GraphWriter } from '../../runtime/graph.js'
import { dataTypes, type DataType } from '../../runtime/tensor.js'
import { sumChannels } from '../quantization/operator-blocks.js'
import { hadamardMatrix, hiddenRotation, hiddenRotationSize, rotationSize } from '../quantization/rotation.js'
import { fixedLimit, type Blocks, type MatrixKind, type Rows } from '../quantization/weight-format.js'

const microsoft = 'com.microsoft'

/** Whether products with a kind of matrix need a row of zeros after the rows of x. */
export const needsPaddingRow = (kind: MatrixKind): boolean => kind.operator === 'blocks' && kind.paddingRow

/**
 * How products with blocks are computed (MatMulNBits's accuracy level): 4 rounds activations to 8 bits, 1 keeps them.
 */
export type BlockAccuracy = 1 | 4

/** Rows as 8-bit integers, what a step between them is, and what each row is multiplied by after that. */
interface Levels { readonly rounded: string, readonly step: string, readonly peak: string | null }

export class MatrixProducts {
  readonly #graph: GraphWriter
  readonly #accuracy: BlockAccuracy
  /** Names of the constants so far. */
  readonly #constants = new Set<string>()

  constructor (graph: GraphWriter, accuracy: BlockAccuracy = 4) {
    this.#graph = graph
    this.#accuracy = accuracy
  }

  /**
   * x · Wᵀ for x [batch, steps, K] or, with blocks, floats and halves, [rows, K].
   * @param name of the matrix: the names of its weights, which are externals, begin with it
   * @param shape of the matrix, [N, K]
   * @returns the name of the product, [batch, steps, N] or [rows, N]
   */
  multiply (
    x: string, name: string, kind: MatrixKind, shape: readonly [number, number], result = this.#graph.fresh(name)
  ): string {
    if (kind.operator === 'rows') {
      return this.#integerProduct(this.#levels(x, kind), name, kind, shape, result)
    }
    if (kind.operator === 'blocks') return this.#blocks(x, name, kind, shape, result)
    if (kind.operator === 'half') return this.#halves(x, name, shape, result)
    return this.#graph.node('MatMul', [x, this.#graph.external(name, 'float32', [shape[1], shape[0]])], [result])
  }

  /**
   * x · Wᵀ in parts of equally many columns, such as gate and up. Rows are multiplied with each part by itself: what
   * follows reads a part at a time, and none has to be copied out of the whole.
   * @param parts names of the parts: with rows, the names of their weights begin with the matrix's and theirs
   */
  multiplyParts (
    x: string, name: string, kind: MatrixKind, [rows, columns]: readonly [number, number], parts: readonly string[]
  ): string[] {
    const graph = this.#graph
    const size = rows / parts.length
    const results = parts.map(part => graph.fresh(part))
    if (kind.operator === 'rows') {
      const levels = this.#levels(x, kind)
      return parts.map((part, index) =>
        this.#integerProduct(levels, `${name}.${part}`, kind, [size, columns], results[index]!))
    }
    const sizes = this.#constant(`${parts.length}_of_${size}`, 'int64', [parts.length], () => parts.map(() => size))
    graph.node('Split', [this.multiply(x, name, kind, [rows, columns]), sizes], results, { axis: -1 })
    return results
  }

  /** [n, columns] and a row of zeros: no row of x is then computed alone, wherever an operator cuts the rows. */
  appendRow (x: string, columns: number, result = this.#graph.fresh('padded')): string {
    const zero = (): number[] => new Array<number>(columns).fill(0)
    const zeros = this.#constant(`zero_row_${columns}`, 'float32', [1, columns], zero)
    return this.#graph.node('Concat', [x, zeros], [result], { axis: 0 })
  }

  /** [n + 1, columns] without its last row. */
  dropRow (x: string, result = this.#graph.fresh('rows')): string {
    const bounds = Object.entries({ from: 0, to: -1, axis: 0 }).map(([name, value]) =>
      this.#constant(`drop_${name}`, 'int64', [1], () => [value]))
    return this.#graph.node('Slice', [x, ...bounds], [result])
  }

  /** Hidden states [batch, steps, width] as `rotateHidden` of rotation.ts turns them. */
  rotateHidden (x: string, width: number, result = this.#graph.fresh('rotated')): string {
    const graph = this.#graph
    const blocks = width / hiddenRotationSize
    const factors = hiddenRotation(width)
    const [left, right] = [
      this.#constant('hidden_rotation_left', 'float32', [blocks, blocks], () => [...factors.left]),
      this.#constant('hidden_rotation_right', 'float32', [hiddenRotationSize, hiddenRotationSize],
        () => [...factors.right])
    ]
    const turned = graph.node('MatMul', [this.#inBlocks(x, hiddenRotationSize), right], [graph.fresh('turned')])
    return this.#joinedBlocks(graph.node('MatMul', [left, turned], [graph.fresh('turned')]), result)
  }

  #constant (
    name: string, type: 'int64' | 'float32' | 'uint8', dims: readonly number[], values: () => readonly number[]
  ): string {
    if (this.#constants.has(name)) return name
    this.#constants.add(name)
    return this.#graph.constant(name, type, dims, values())
  }

  /** A product with blocks of integers. */
  #blocks (
    x: string, name: string, { bits, size, offsets }: Blocks, [rows, columns]: readonly [number, number], result: string
  ): string {
    const graph = this.#graph
    const channels = offsets ? columns + 2 * sumChannels(columns) : columns
    const blocks = channels / size
    const inputs = [
      offsets ? this.#withSums(x, columns, size) : x,
      graph.external(`${name}.values`, 'uint8', [rows, blocks, size * bits / 8]),
      graph.external(`${name}.scales`, 'float32', [rows, blocks])
    ]
    if (offsets) inputs.push(graph.external(`${name}.zeros`, 'uint8', [rows, Math.ceil(blocks * bits / 8)]))
    const attributes = { K: channels, N: rows, bits, block_size: size, accuracy_level: this.#accuracy }
    return graph.node('MatMulNBits', inputs, [result], attributes, microsoft)
  }

  /** Rows of x with the sums of their blocks behind them, twice: see `sumChannels`. */
  #withSums (x: string, columns: number, size: number): string {
    const width = sumChannels(columns)
    const isIn = (at: number): boolean => Math.floor(at / width / size) === at % width
    const summing = this.#constant(`block_sums_${columns}`, 'float32', [columns, width],
      () => Array.from({ length: columns * width }, (_, at) => isIn(at) ? 1 : 0))
    // Not ReduceSum: the order in which it adds depends on where in memory a row begins.
    const sums = this.#graph.node('MatMul', [x, summing], [this.#graph.fresh('block_sums')])
    return this.#graph.node('Concat', [x, sums, sums], [this.#graph.fresh('with_sums')], { axis: -1 })
  }

  /** A product in 16-bit floats of rows that are float32 before and after it. */
  #halves (x: string, name: string, [rows, columns]: readonly [number, number], result: string): string {
    const cast = (value: string, type: DataType, to: string): string =>
      this.#graph.node('Cast', [value], [to], { to: dataTypes[type].onnx })
    const factors = [cast(x, 'float16', this.#graph.fresh('halves')),
      this.#graph.external(name, 'float16', [columns, rows])]
    return cast(this.#graph.node('MatMul', factors, [this.#graph.fresh('product')]), 'float32', result)
  }

  /** The level of zero. */
  get #zeroLevel (): string { return this.#constant('level_zero', 'uint8', [], () => [128]) }

  /** Rows of x, rotated if the kind says so, rounded to 8 bits on its scale. */
  #levels (x: string, { rotated, scale }: Rows): Levels {
    const values = rotated ? this.#rotated(x) : x
    return scale === 'row' ? this.#levelsOfRows(values) : this.#fixedLevels(values)
  }

  #fixedLevels (x: string): Levels {
    const step = this.#constant('fixed_level', 'float32', [], () => [fixedLimit / 127])
    return { rounded: this.#rounded(x, step), step, peak: null }
  }

  #rounded (x: string, step: string): string {
    return this.#graph.node('QuantizeLinear', [x, step, this.#zeroLevel], [this.#graph.fresh('levels')])
  }

  /**
   * Rows of x divided by their largest magnitude and rounded. A row of zeros, divided by zero, becomes some integers,
   * and zero again when a product is multiplied by its peak.
   */
  #levelsOfRows (x: string): Levels {
    const graph = this.#graph
    const step = this.#constant('level', 'float32', [], () => [1 / 127])
    const lastAxis = this.#constant('level_axis', 'int64', [1], () => [-1])
    const size = graph.node('Abs', [x], [graph.fresh('size')])
    const peak = graph.node('ReduceMax', [size, lastAxis], [graph.fresh('row_peak')], { keepdims: 1 })
    const scaled = graph.node('Div', [x, peak], [graph.fresh('scaled')])
    return { rounded: this.#rounded(scaled, step), step, peak }
  }

  /** A product of integers, exact whatever the other rows, times what each row's level is. */
  #integerProduct (
    { rounded, step, peak }: Levels, name: string, { levels }: Rows, [rows, columns]: readonly [number, number],
    result: string
  ): string {
    const graph = this.#graph
    const zero = this.#zeroLevel
    const values = graph.external(`${name}.values`, levels, [columns, rows])
    const scales = graph.external(`${name}.scales`, 'float32', [rows])
    const zeros = levels === 'uint8' ? [zero, zero] : [zero]
    const factors = [rounded, values, step, scales, ...zeros]
    const multiply = (to: string): string => graph.node('MatMulIntegerToFloat', factors, [to], {}, microsoft)
    return peak === null ? multiply(result) : graph.node('Mul', [multiply(graph.fresh('product')), peak], [result])
  }

  /** Turns every 64 channels of x by a Hadamard matrix, as the weights were turned. */
  #rotated (x: string): string {
    const matrix = this.#constant('rotation', 'float32', [rotationSize, rotationSize],
      () => [...hadamardMatrix(rotationSize)])
    const turned = this.#graph.node('MatMul', [this.#inBlocks(x, rotationSize), matrix], [this.#graph.fresh('turned')])
    return this.#joinedBlocks(turned, this.#graph.fresh('rotated'))
  }

  /** [batch, steps, K] as [batch, steps, K / size, size]. */
  #inBlocks (x: string, size: number): string {
    const shape = this.#constant(`in_blocks_of_${size}`, 'int64', [4], () => [0, 0, -1, size])
    return this.#graph.node('Reshape', [x, shape], [this.#graph.fresh('blocks')])
  }

  #joinedBlocks (x: string, result: string): string {
    return this.#graph.node('Reshape', [x, this.#constant('joined_blocks', 'int64', [3], () => [0, 0, -1])], [result])
  }
}
