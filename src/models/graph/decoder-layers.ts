/**
 * The layers of a decoder in ONNX: norms, attention over a KV cache in place, feed-forward, and the padding row that
 * some matrix products need. Inputs, outputs and the head are `decoder-graph.ts`.
 */
import { GraphWriter } from '../../runtime/graph.js'
import type { DecoderConfig } from '../decoder-config.js'
import { decoderMatrices, outputParts } from './decoder-matrices.js'
import { MatrixProducts, needsPaddingRow } from './matrix-products.js'
import { partName, privateShape, type RunShape } from './run-shape.js'
import { sharedPrefixAttention } from './shared-prefix-attention.js'
import type { MatrixKind, WeightLayout } from '../quantization/weight-format.js'

export const microsoft = 'com.microsoft'

/** Which graph of a decoder is written. */
export interface DecoderGraphOptions {
  /**
   * Also give `peak_<matrix>` [K]: the largest magnitude of each channel of what the matrix multiplies, over all
   * positions.
   */
  readonly peaks?: boolean
  /** The parts of the batch. Default: one private part. With others a row has one position. */
  readonly shape?: RunShape
  /** Whether a shared prompt is read in pieces of fixed length; see `sharesInPieces`. Default no. */
  readonly pieces?: boolean
}

/** A graph to which the layers of a decoder can be added. */
export class DecoderLayers {
  readonly graph = new GraphWriter()
  readonly products = new MatrixProducts(this.graph)
  readonly config: DecoderConfig
  readonly layout: WeightLayout
  readonly matrices: ReadonlyMap<string, readonly [number, number]>
  readonly epsilon: { readonly float: number }
  readonly peaks: boolean
  readonly shape: RunShape
  readonly pieces: boolean
  /** Whether a row of zeros goes through the layers after the batch's rows, since some of their products need one. */
  readonly padded: boolean

  constructor (
    config: DecoderConfig, layout: WeightLayout,
    { peaks = false, shape = privateShape, pieces = false }: DecoderGraphOptions
  ) {
    this.peaks = peaks
    this.shape = shape
    this.pieces = pieces
    this.padded = [...layout.matrices].some(([name, kind]) => name.startsWith('layer') && needsPaddingRow(kind))
    this.config = config
    this.layout = layout
    this.matrices = decoderMatrices(config)
    this.epsilon = { float: config.normEpsilon }
  }

  kindOf (name: string): MatrixKind { return this.layout.matrices.get(name)! }

  /** x · Wᵀ for a named matrix, as a value named `result`. */
  linear (x: string, name: string, result = this.graph.fresh(name)): string {
    return this.products.multiply(x, name, this.kindOf(name), this.shapeOf(x, name), result)
  }

  /** The shape of a matrix that x is multiplied with; has x observed where it is calibrated. */
  shapeOf (x: string, name: string): readonly [number, number] {
    const shape = this.matrices.get(name)!
    if (this.peaks) this.peakOf(x, name, shape[1])
    return shape
  }

  /** Makes the largest magnitude of each channel of x an output, for calibration. */
  peakOf (x: string, name: string, columns: number): void {
    const { graph } = this
    const shape = graph.constant(graph.fresh('columns'), 'int64', [2], [-1, columns])
    const sizes = graph.node('Abs', [graph.node('Reshape', [x, shape], [graph.fresh('channels')])],
      [graph.fresh('sizes')])
    graph.node('ReduceMax', [sizes, 'first_axis'], [`peak_${name}`], { keepdims: 0 })
    graph.output(`peak_${name}`, 'float32', [columns])
  }

  /** Adds to the residual and normalises the sum. @returns [normalised, new residual] */
  addAndNorm (x: string, residual: string, weight: string, sum: string): [string, string] {
    const { graph } = this
    const normalised = graph.fresh('norm')
    graph.node('SkipSimplifiedLayerNormalization',
      [x, residual, graph.external(weight, 'float32', [this.config.hiddenSize])], [normalised, '', '', sum],
      { epsilon: this.epsilon }, microsoft)
    return [normalised, sum]
  }

  /** Of queries, keys and values side by side. */
  get qkvColumns (): number {
    const { queryHeads, kvHeads, headSize } = this.config
    return (queryHeads + 2 * kvHeads) * headSize
  }

  /** Queries, keys and values side by side, before rotation. */
  queryKeyValue (x: string, layer: number): string {
    const { graph, qkvColumns, config: { family, queryHeads, kvHeads } } = this
    const product = this.unpadded(this.linear(x, `layer${layer}.qkv`), qkvColumns)
    if (family === 'qwen2') {
      return graph.node('Add', [product, graph.external(`layer${layer}.qkv.bias`, 'float32', [qkvColumns])],
        [graph.fresh('qkv')])
    }
    if (family !== 'qwen3') return product
    const [query, key, value] = ['query', 'key', 'value'].map(stem => graph.fresh(stem)) as [string, string, string]
    graph.node('Split', [product, 'qkv_parts'], [query, key, value], { axis: -1 })
    return graph.node('Concat', [this.headNorm(query, `layer${layer}.query_norm`, queryHeads),
      this.headNorm(key, `layer${layer}.key_norm`, kvHeads), value], [graph.fresh('qkv')], { axis: -1 })
  }

  /** Normalises each head of x alone. */
  headNorm (x: string, weight: string, heads: number): string {
    const { graph, config: { headSize } } = this
    const apart = graph.node('Reshape',
      [x, graph.constant(graph.fresh('heads_apart'), 'int64', [4], [0, 0, heads, headSize])], [graph.fresh('heads')])
    const normalised = graph.node('SimplifiedLayerNormalization', [apart,
      graph.external(weight, 'float32', [headSize])], [graph.fresh('head_norm')], { axis: -1, epsilon: this.epsilon })
    return graph.node('Reshape', [normalised,
      graph.constant(graph.fresh('heads_joined'), 'int64', [3], [0, 0, heads * headSize])], [graph.fresh('joined')])
  }

  /**
   * [batch, steps, columns] as what goes through the layers: itself, or [batch · steps + 1, columns] with a row of
   * zeros.
   */
  padRows (x: string, columns: number): string {
    if (!this.padded) return x
    const { graph } = this
    const shape = graph.constant(graph.fresh('flat'), 'int64', [2], [-1, columns])
    const rows = graph.node('Reshape', [x, shape], [graph.shaped(graph.fresh('flat'), ['positions', columns])])
    return this.products.appendRow(rows, columns, graph.shaped(graph.fresh('padded'), ['padded_positions', columns]))
  }

  /** What goes through the layers as [batch, steps, columns]. */
  unpadded (x: string, columns: number, result?: string): string {
    if (!this.padded) return x
    const { graph, products } = this
    const rows = products.dropRow(x, graph.shaped(graph.fresh('rows'), ['positions', columns]))
    const steps = this.hasSingleSteps ? 1 : 'steps'
    return graph.node('Reshape', [rows, this.batchShape(columns)],
      [result ?? graph.shaped(graph.fresh('unpadded'), ['batch', steps, columns])])
  }

  /** The shape [batch, steps, columns], as a value. */
  batchShape (columns: number): string {
    const { graph } = this
    // A width that is known when the graph is compiled lets parts be joined.
    if (this.hasSingleSteps) return graph.constant(graph.fresh('shape'), 'int64', [3], [-1, 1, columns])
    const width = graph.constant(graph.fresh('columns'), 'int64', [1], [columns])
    return graph.node('Concat', ['batch_and_steps', width], [graph.fresh('shape')], { axis: 0 })
  }

  /** Whether each row is one position: all are where there are several parts or shared ones. */
  get hasSingleSteps (): boolean { return this.partCount > 1 || this.shape.shared > 0 }

  get partCount (): number { return this.shape.private + this.shape.shared }

  /** Everything but attention is computed over the rows of all parts at once. */
  attention (x: string, layer: number): string {
    const { graph, config, partCount } = this
    const qkv = this.queryKeyValue(x, layer)
    const columns = config.queryHeads * config.headSize
    if (partCount === 1) return this.padRows(this.partAttention(qkv, layer, 0), columns)
    const parts = Array.from({ length: partCount }, (_, part) =>
      graph.shaped(graph.fresh('part'), [partName(part, this.shape.chunks ? 'steps' : 'batch'), 1, this.qkvColumns]))
    graph.node('Split', [qkv, 'rows_by_part'], parts, { axis: 0 })
    const attended = parts.map((rows, part) => this.partAttention(rows, layer, part))
    const joined = graph.shaped(graph.fresh('attention'), ['batch', 1, columns])
    return this.padRows(graph.node('Concat', attended, [joined], { axis: 0 }), columns)
  }

  partAttention (qkv: string, layer: number, part: number): string {
    const { graph, config } = this
    const shape = ['batch', config.kvHeads, 'capacity', config.headSize].map(dim =>
      typeof dim === 'string' ? partName(part, dim) : dim)
    const past = ['key', 'value'].map(kind => graph.input(partName(part, `past_${kind}_${layer}`), 'float32', shape))
    const present = ['key', 'value'].map(kind => partName(part, `present_${kind}_${layer}`))
    for (const name of present) graph.output(name, 'float32', shape)
    if (part >= this.shape.private) {
      return sharedPrefixAttention(graph, config, qkv, { layer, part, pieces: this.pieces })
    }
    const rows = this.shape.chunks
      ? graph.node('Reshape', [qkv, 'as_one_sequence'],
        [graph.shaped(graph.fresh('sequence'), [1, partName(part, 'steps'), this.qkvColumns])])
      : qkv
    const branches = this.shape.probedLayers === undefined ? [] : ['positions', 'branch_bias']
    const attended = graph.node('GroupQueryAttention', [rows, '', '', ...past, partName(part, 'seqlens_k'),
      partName(part, 'total_sequence_length'), 'rope_cos', 'rope_sin', ...branches],
    [graph.fresh('attention'), ...present],
    {
      num_heads: config.queryHeads,
      kv_num_heads: config.kvHeads,
      do_rotary: 1,
      rotary_interleaved: config.ropeInterleaved ? 1 : 0
    }, microsoft)
    if (!this.shape.chunks) return attended
    return graph.node('Reshape', [attended, 'as_rows'],
      [graph.shaped(graph.fresh('rows'), [partName(part, 'steps'), 1, config.queryHeads * config.headSize])])
  }

  feedForward (x: string, layer: number): string {
    const { graph } = this
    const name = `layer${layer}.gate_up`
    const [gate, up] = this.products.multiplyParts(x, name, this.kindOf(name), this.shapeOf(x, name),
      outputParts(name)) as [string, string]
    const activated = graph.node('Mul', [gate, graph.node('Sigmoid', [gate], [graph.fresh('sigmoid')])],
      [graph.fresh('silu')])
    return this.linear(graph.node('Mul', [activated, up], [graph.fresh('gated')]), `layer${layer}.down`)
  }
}
