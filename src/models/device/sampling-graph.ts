/**
 * What is kept of logits on a device: the largest with their ids, and the log-normalisers at temperature 1 and at the
 * row's own, side by side in one output, so that one small copy reaches the host.
 */
import type { GraphWriter } from '../../runtime/graph.js'

/**
 * Values that WebGPU's TopK sorts in one dispatch. More take log²(V) / 2 dispatches, 136 for a vocabulary of 49,152; in
 * rounds of so many it takes three, with the same result: its sort is stable, so ties go to the lower id.
 */
const oneDispatch = 2048

/** Less than any logit. */
const lowest = -3e38

/** Columns of `sampling` for K logits: K logits, K ids, the log-normaliser, the tempered one. */
export const samplingColumns = (topK: number): number => 2 * topK + 2

class Sampling {
  readonly #graph: GraphWriter
  readonly #topK: number

  constructor (graph: GraphWriter, topK: number) {
    this.#graph = graph
    this.#topK = topK
    graph.constant('top_count', 'int64', [1], [topK])
    graph.constant('lowest', 'float32', [], [lowest])
  }

  #node (operator: string, inputs: readonly string[], stem: string, attributes = {}): string {
    return this.#graph.node(operator, inputs, [this.#graph.fresh(stem)], attributes)
  }

  #shape (...dims: number[]): string {
    return this.#graph.constant(this.#graph.fresh('shape'), 'int64', [dims.length], dims)
  }

  /** [rows, size] filled up to a width with what is less than any logit. */
  #padded (x: string, size: number, width: number): string {
    if (width === size) return x
    const pads = this.#graph.constant(this.#graph.fresh('pads'), 'int64', [4], [0, 0, 0, width - size])
    return this.#node('Pad', [x, pads, 'lowest'], 'padded')
  }

  /** @returns [values, their places as float32: GatherElements takes no integers on WebGPU, and 2²⁴ is exact] */
  #top (x: string): readonly [values: string, at: string, atFloat: string] {
    const [values, at] = [this.#graph.fresh('top'), this.#graph.fresh('at')]
    this.#graph.node('TopK', [x, 'top_count'], [values, at], { axis: -1 })
    return [values, at, this.#node('Cast', [at], 'at', { to: 1 })]
  }

  /**
   * The largest values of each row, in descending order, and their ids.
   * @param ids of the values; null where an id is a value's place
   */
  largest (values: string, ids: string | null, size: number): readonly [values: string, ids: string] {
    const parts = Math.ceil(size / oneDispatch)
    if (parts === 1) {
      const [top, at, atFloat] = this.#top(values)
      return [top, ids === null ? atFloat : this.#node('GatherElements', [ids, at], 'ids', { axis: 1 })]
    }
    const width = Math.max(this.#topK, Math.ceil(size / parts))
    const apart = (x: string): string =>
      this.#node('Reshape', [this.#padded(x, size, parts * width), this.#shape(0, parts, width)], 'apart')
    const joined = (x: string): string => this.#node('Reshape', [x, this.#shape(0, parts * this.#topK)], 'joined')
    const [top, at, atFloat] = this.#top(apart(values))
    const starts = (): string => this.#graph.constant(this.#graph.fresh('starts'), 'float32', [parts, 1],
      Array.from({ length: parts }, (_, part) => part * width))
    const found = ids === null
      ? this.#node('Add', [atFloat, starts()], 'ids')
      : this.#node('GatherElements', [apart(ids), at], 'ids', { axis: 2 })
    return this.largest(joined(top), joined(found), parts * this.#topK)
  }

  /** ln Σ exp(x + shift), shifted so that no exponential overflows. */
  normalizer (shifted: string, shift: string): string {
    const sum = this.#node('ReduceSum', [this.#node('Exp', [shifted], 'exp'), 'last_axis'], 'sum', { keepdims: 1 })
    return this.#node('Add', [this.#node('Log', [sum], 'log'), shift], 'normalizer')
  }

  write (outputSize: number): void {
    const graph = this.#graph
    const [values, ids] = this.largest('logits', null, outputSize)
    for (const [name, value] of Object.entries({ first: 0, second: 1, last_axis: -1, columns: 1 })) {
      graph.constant(name, 'int64', [1], [value])
    }
    const peak = this.#node('Slice', [values, 'first', 'second', 'columns'], 'peak')
    const shifted = this.#node('Sub', ['logits', peak], 'shifted')
    const tempered = [shifted, peak].map(x => this.#node('Mul', [x, 'inverse_temperature'], 'tempered'))
    graph.node('Concat',
      [values, ids, this.normalizer(shifted, peak), this.normalizer(tempered[0]!, tempered[1]!)], ['sampling'],
      { axis: 1 })
    graph.output('sampling', 'float32', ['rows', samplingColumns(this.#topK)])
  }
}

/**
 * Adds the output `sampling` float32 [rows, 2K + 2] to a graph with the value `logits` [rows, outputSize] and the input
 * `inverse_temperature` [rows, 1].
 */
export function writeSampling (graph: GraphWriter, outputSize: number, topK: number): void {
  new Sampling(graph, topK).write(outputSize)
}
