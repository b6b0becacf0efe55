/**
 * DecoderConfig → ONNX graph of a Llama-like decoder over packed tokens and a paged KV cache, for a device. Everything
 * but attention is computed in float32; queries, keys, values and the cache are float16. Weights are external, under
 * the names of the processor's graph (`graph/decoder-graph.ts`), so that both read the same converted files.
 */
import { GraphWriter } from '../../runtime/graph.js'
import type { DecoderConfig, ScoreHead } from '../decoder-config.js'
import { groupSize } from '../formats/dequantize.js'
import { topCount } from '../graph/decoder-graph.js'
import { decoderMatrices } from '../graph/decoder-matrices.js'
import { MatrixProducts } from '../graph/matrix-products.js'
import type { WeightLayout } from '../quantization/weight-format.js'
import { writeSampling } from './sampling-graph.js'

const microsoft = 'com.microsoft'
/** ONNX's numbers of the types that values are cast to. */
const [float32, float16] = [1, 10]

/**
 * What a graph computes: hidden states of some layers; nothing above the highest of them (`none`), or what the head
 * says of some rows: all `logits`, for a host that sorts them itself; `sampling`, see `sampling-graph.ts`; or that and
 * all logits of a few rows, `picked`.
 */
export interface PackedGraphKind {
  readonly stateLayers: readonly number[]
  readonly head: 'none' | 'logits' | 'sampling' | 'picked'
}

/** Sizes that are compiled into a graph. */
export interface PackedGraphSizes {
  /** Rows of the rotary tables: the longest sequence. */
  readonly ropePositions: number
  /** Positions of a block of the cache. */
  readonly blockSize: number
  /** Width of a block table. */
  readonly maxBlocksPerSequence: number
}

/** A model file, the names of the weights that it is run with, and how many nodes it has. */
export interface WrittenPackedGraph {
  readonly model: Uint8Array
  readonly weights: ReadonlySet<string>
  readonly nodes: number
}

/** Layers that a graph runs: at least one. */
export const depthOf = ({ layers }: DecoderConfig, { stateLayers, head }: PackedGraphKind): number =>
  head === 'none' ? Math.max(1, ...stateLayers) : layers

/** Logits that come with every row. */
export const topKOf = ({ outputSize }: DecoderConfig): number => Math.min(topCount, outputSize)

/** Names of a layer's two tensors of the cache. */
export const cacheNames = (layer: number): readonly [key: string, value: string] =>
  [`key_cache_${layer}`, `value_cache_${layer}`]

class PackedGraph {
  readonly graph = new GraphWriter()
  readonly products = new MatrixProducts(this.graph, 1)
  readonly config: DecoderConfig
  readonly layout: WeightLayout
  readonly kind: PackedGraphKind
  readonly sizes: PackedGraphSizes
  readonly matrices: ReadonlyMap<string, readonly [number, number]>
  readonly epsilon: { readonly float: number }

  constructor (config: DecoderConfig, layout: WeightLayout, kind: PackedGraphKind, sizes: PackedGraphSizes) {
    this.config = config
    this.layout = layout
    this.kind = kind
    this.sizes = sizes
    this.matrices = decoderMatrices(config)
    this.epsilon = { float: config.normEpsilon }
  }

  node (operator: string, inputs: readonly string[], stem: string, attributes = {}, domain = ''): string {
    return this.graph.node(operator, inputs, [this.graph.fresh(stem)], attributes, domain)
  }

  vector (name: string, size: number): string { return this.graph.external(name, 'float32', [size]) }

  /** x · Wᵀ for a named matrix. */
  linear (x: string, name: string, result?: string): string {
    return this.products.multiply(x, name, this.layout.matrices.get(name)!, this.matrices.get(name)!, result)
  }

  norm (x: string, weight: string, size = this.config.hiddenSize): string {
    return this.node('SimplifiedLayerNormalization', [x, this.vector(weight, size)], 'norm',
      { axis: -1, epsilon: this.epsilon })
  }

  /** Adds to the residual and normalises the sum. @returns [normalised, new residual] */
  addAndNorm (x: string, residual: string, weight: string): [string, string] {
    const [normalised, sum] = [this.graph.fresh('norm'), this.graph.fresh('residual')]
    this.graph.node('SkipSimplifiedLayerNormalization', [x, residual, this.vector(weight, this.config.hiddenSize)],
      [normalised, '', '', sum], { epsilon: this.epsilon }, microsoft)
    return [normalised, sum]
  }

  /** Rows of the embedding, [T, D]. */
  embedded (): string {
    const { graph, config: { vocabularySize, hiddenSize } } = this
    if (this.layout.embedding === 'float') {
      const table = graph.external('embedding', 'float32', [vocabularySize, hiddenSize])
      return this.node('Gather', [table, 'input_ids'], 'embedded', { axis: 0 })
    }
    const [values, scales] = [graph.external('embedding.values', 'uint8', [vocabularySize, hiddenSize]),
      graph.external('embedding.scales', 'float32', [vocabularySize, hiddenSize / groupSize])]
    return this.node('GatherBlockQuantized', [values, 'input_ids', scales], 'embedded',
      { bits: 8, block_size: groupSize, gather_axis: 0, quantize_axis: 1 }, microsoft)
  }

  /** Queries, keys and values side by side, before rotation, [T, (N + 2 K) · H]. */
  queryKeyValue (x: string, layer: number): string {
    const { graph, config: { family, queryHeads, kvHeads, headSize } } = this
    const product = this.linear(x, `layer${layer}.qkv`)
    if (family === 'llama') return product
    if (family === 'qwen2') {
      return this.node('Add', [product, this.vector(`layer${layer}.qkv.bias`, (queryHeads + 2 * kvHeads) * headSize)],
        'qkv')
    }
    const parts = ['query', 'key', 'value'].map(stem => graph.fresh(stem)) as [string, string, string]
    graph.node('Split', [product, 'qkv_parts'], parts, { axis: -1 })
    return this.node('Concat', [this.headNorm(parts[0], `layer${layer}.query_norm`, queryHeads),
      this.headNorm(parts[1], `layer${layer}.key_norm`, kvHeads), parts[2]], 'qkv', { axis: -1 })
  }

  /** Normalises each head of x alone. */
  headNorm (x: string, weight: string, heads: number): string {
    const { headSize } = this.config
    const shaped = (from: string, ...dims: number[]): string => this.node('Reshape',
      [from, this.graph.constant(this.graph.fresh('heads'), 'int64', [dims.length], dims)], 'heads')
    return shaped(this.norm(shaped(x, 0, heads, headSize), weight, headSize), 0, heads * headSize)
  }

  attention (x: string, layer: number): string {
    const { graph, config: { queryHeads, kvHeads, headSize, ropeInterleaved }, sizes: { blockSize } } = this
    const caches = cacheNames(layer).map(name => graph.input(name, 'float16', ['blocks', blockSize, kvHeads, headSize]))
    const qkv = this.node('Cast', [this.queryKeyValue(x, layer)], 'halves', { to: float16 })
    // The outputs for the cache are left out: it is written in place. With the bounds in `attention_metadata` no node
    // reads lengths back from the device.
    const inputs = [qkv, '', '', ...caches, 'cumulative', 'past', 'block_table', 'rope_cos', 'rope_sin',
      '', '', '', '', '', '', 'attention_metadata']
    const attended = this.node('PagedAttention', inputs, 'attended', {
      num_heads: queryHeads, kv_num_heads: kvHeads, do_rotary: 1, rotary_interleaved: ropeInterleaved ? 1 : 0
    }, microsoft)
    return this.linear(this.node('Cast', [attended], 'floats', { to: float32 }), `layer${layer}.attention_output`)
  }

  feedForward (x: string, layer: number): string {
    const [gate, up] = [this.graph.fresh('gate'), this.graph.fresh('up')]
    this.graph.node('Split', [this.linear(x, `layer${layer}.gate_up`)], [gate, up], { axis: -1, num_outputs: 2 })
    // SiLU, in one node.
    const activated = this.node('QuickGelu', [gate], 'silu', { alpha: { float: 1 } }, microsoft)
    return this.linear(this.node('Mul', [activated, up], 'gated'), `layer${layer}.down`)
  }

  /** Makes the hidden states of a layer an output, if they are wanted. */
  states (x: string, layer: number): void {
    if (!this.kind.stateLayers.includes(layer)) return
    this.graph.node('Gather', [x, 'state_rows'], [`states_${layer}`], { axis: 0 })
    this.graph.output(`states_${layer}`, 'float32', ['state_rows', this.config.hiddenSize])
  }

  /** The layers that are run. @returns what the head reads, [T, D] */
  body (): string {
    const { config: { layers } } = this
    const depth = depthOf(this.config, this.kind)
    let residual = this.embedded()
    this.states(residual, 0)
    let x = this.norm(residual, 'layer0.attention_norm')
    for (let layer = 0; layer < depth; layer++) {
      const isLast = layer + 1 === layers
      ;[x, residual] = this.addAndNorm(this.attention(x, layer), residual, `layer${layer}.feed_forward_norm`)
      const transformed = this.feedForward(x, layer)
      if (layer + 1 === depth && !isLast) residual = this.node('Add', [transformed, residual], 'residual')
      else {
        [x, residual] = this.addAndNorm(transformed, residual,
          isLast ? 'final_norm' : `layer${layer + 1}.attention_norm`)
      }
      this.states(isLast ? x : residual, layer + 1)
    }
    return x
  }

  /** Scores of a classifier. */
  scores (rows: string, { hiddenLayer, bias }: ScoreHead): string {
    const { hiddenSize, outputSize } = this.config
    const hidden = (): string => this.node('Relu', [this.node('Add',
      [this.linear(rows, 'score_hidden'), this.vector('score_hidden.bias', hiddenSize)], 'added')], 'relu')
    const before = hiddenLayer ? hidden() : rows
    if (!bias) return this.linear(before, 'head', 'logits')
    return this.graph.node('Add', [this.linear(before, 'head'), this.vector('head.bias', outputSize)], ['logits'])
  }

  head (x: string): void {
    const { graph, config, kind: { head } } = this
    graph.input('rows', 'int32', ['rows'])
    const rows = this.node('Gather', [x, 'rows'], 'rows', { axis: 0 })
    const logits = config.scoreHead ? this.scores(rows, config.scoreHead) : this.linear(rows, 'head', 'logits')
    if (head === 'logits') {
      graph.output('logits', 'float32', ['rows', config.outputSize])
      return
    }
    graph.input('inverse_temperature', 'float32', ['rows', 1])
    writeSampling(graph, config.outputSize, topKOf(config))
    if (head === 'sampling') return
    graph.input('logit_rows', 'int32', ['picked'])
    graph.node('Gather', [logits, 'logit_rows'], ['picked_logits'], { axis: 0 })
    graph.output('picked_logits', 'float32', ['picked', config.outputSize])
  }

  write (): WrittenPackedGraph {
    const { graph, config: { queryHeads, kvHeads, headSize, family }, sizes, kind } = this
    graph.input('input_ids', 'int32', ['tokens'])
    graph.input('cumulative', 'int32', ['sequences_and_one'])
    graph.input('past', 'int32', ['sequences'])
    // A fixed width: it is part of what shaders are compiled for.
    graph.input('block_table', 'int32', ['sequences', sizes.maxBlocksPerSequence])
    graph.input('attention_metadata', 'int32', [2])
    if (kind.stateLayers.length > 0) graph.input('state_rows', 'int32', ['state_rows'])
    for (const name of ['rope_cos', 'rope_sin']) graph.external(name, 'float16', [sizes.ropePositions, headSize / 2])
    if (family === 'qwen3') {
      const parts = [queryHeads, kvHeads, kvHeads].map(heads => heads * headSize)
      graph.constant('qkv_parts', 'int64', [3], parts)
    }
    const x = this.body()
    if (kind.head !== 'none') this.head(x)
    return { model: graph.finish(), weights: graph.externals, nodes: graph.nodeCount }
  }
}

/**
 * The graph of packed runs. Inputs from the host, int32: `input_ids` [T]; `cumulative` [B + 1]; `past` [B];
 * `block_table` [B, W]; `attention_metadata` [2], the longest part and the longest sequence; `rows` [R]; `state_rows`
 * [S] where there are layers; `logit_rows` [P], indices into `rows`, where logits are picked; and
 * `inverse_temperature` float32 [R, 1]. Inputs on the device, written in place: `key_cache_l`, `value_cache_l` float16
 * [blocks, block size, kv heads, head size]. Outputs float32: `states_l` [S, D]; `logits` [R, V] or `sampling`
 * [R, 2K + 2]; `picked_logits` [P, V].
 * @param layout without rows of integers, which devices have no operator for
 */
export function buildPackedGraph (
  config: DecoderConfig, layout: WeightLayout, kind: PackedGraphKind, sizes: PackedGraphSizes
): WrittenPackedGraph {
  return new PackedGraph(config, layout, kind, sizes).write()
}

/**
 * The graph that copies whole blocks of every layer on the device. Inputs: `from` int32 [pairs], `to` int64 [pairs, 1],
 * the caches; outputs: the caches' names with `_out`, to be bound to the same memory.
 */
export function buildBlockCopyGraph (
  { layers, kvHeads, headSize }: DecoderConfig, blockSize: number
): { readonly model: Uint8Array, readonly nodes: number } {
  const graph = new GraphWriter()
  const shape = ['blocks', blockSize, kvHeads, headSize]
  graph.input('from', 'int32', ['pairs'])
  graph.input('to', 'int64', ['pairs', 1])
  for (let layer = 0; layer < layers; layer++) {
    for (const name of cacheNames(layer)) {
      graph.input(name, 'float16', shape)
      const taken = graph.node('Gather', [name, 'from'], [graph.fresh('taken')], { axis: 0 })
      graph.node('ScatterND', [name, 'to', taken], [`${name}_out`])
      graph.output(`${name}_out`, 'float16', shape)
    }
  }
  return { model: graph.finish(), nodes: graph.nodeCount }
}
