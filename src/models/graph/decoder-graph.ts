/**
 * DecoderConfig → ONNX graph of a Llama-like decoder: KV cache in place, logits only of the rows asked for, every
 * layer's hidden state an output that costs nothing (with a padding row, a copy) unless it is fetched. Weights are
 * external; `decoder-weights.ts` makes them under the names used here. Layers are `decoder-layers.ts`.
 */
import type { DecoderConfig, ScoreHead } from '../decoder-config.js'
import { groupSize } from '../formats/dequantize.js'
import { dataTypes } from '../../runtime/tensor.js'
import { isSmoothed, type WeightLayout } from '../quantization/weight-format.js'
import { DecoderLayers, type DecoderGraphOptions } from './decoder-layers.js'
import { needsPaddingRow } from './matrix-products.js'
import { partName } from './run-shape.js'
import { declareSharedPart, declareSharedPrefix } from './shared-prefix-attention.js'

/** How many of the most probable tokens the graph lists. */
export const topCount = 128

/** A model file, and the names of the weights that it is run with. */
export interface WrittenGraph { readonly model: Uint8Array, readonly weights: ReadonlySet<string> }

class DecoderGraph extends DecoderLayers {
  /** Rows of the embedding as they go through the layers, [batch, steps, D]. */
  embedded (result: string): string {
    if (!this.layout.rotatesHidden) return this.lookedUp(result)
    return this.products.rotateHidden(this.lookedUp(this.graph.fresh('embedding')), this.config.hiddenSize, result)
  }

  /** Rows of the embedding, [batch, steps, D]. */
  lookedUp (result: string): string {
    const { graph, config: { vocabularySize, hiddenSize } } = this
    if (this.layout.embedding === 'float') {
      return graph.node('Gather', [graph.external('embedding', 'float32', [vocabularySize, hiddenSize]), 'input_ids'],
        [result])
    }
    const [values, scales] = [graph.external('embedding.values', 'uint8', [vocabularySize, hiddenSize]),
      graph.external('embedding.scales', 'float32', [vocabularySize, hiddenSize / groupSize])]
    // Not GatherBlockQuantized, which computes value by value: the bits are the same.
    const fresh = (): string => graph.fresh('embedding')
    const lookUp = (table: string): string => graph.node('Gather', [table, 'input_ids'], [fresh()], { axis: 0 })
    const floats = graph.node('Cast', [lookUp(values)], [fresh()], { to: dataTypes.float32.onnx })
    const levels = graph.node('Sub', [floats, graph.constant('embedding_centre', 'float32', [], [128])], [fresh()])
    const groups = graph.node('Reshape', [levels,
      graph.constant('embedding_groups', 'int64', [4], [0, 0, -1, groupSize])], [fresh()])
    const scaleOfGroup = graph.node('Unsqueeze', [lookUp(scales), 'last_axis'], [fresh()])
    return graph.node('Reshape', [graph.node('Mul', [groups, scaleOfGroup], [fresh()]),
      graph.constant('embedding_joined', 'int64', [3], [0, 0, hiddenSize])], [result])
  }

  /**
   * The decoder up to the final norm, or as far as it is probed.
   * @returns normalised hidden states [batch, steps, D]; null where the final norm is not reached
   */
  body (): string | null {
    const { graph, config } = this
    const depth = this.shape.probedLayers ?? config.layers
    let residual = this.padRows(this.embedded(this.hiddenOutput(0)), config.hiddenSize)
    const firstNorm = graph.external('layer0.attention_norm', 'float32', [config.hiddenSize])
    let x = graph.node('SimplifiedLayerNormalization', [residual, firstNorm], [graph.fresh('norm')],
      { axis: -1, epsilon: this.epsilon })
    for (let layer = 0; layer < depth; layer++) {
      const attended = this.linear(this.attention(x, layer), `layer${layer}.attention_output`)
      ;[x, residual] = this.addAndNorm(attended, residual, `layer${layer}.feed_forward_norm`, graph.fresh('residual'))
      const last = layer + 1 === config.layers
      const transformed = this.feedForward(x, layer)
      if (layer + 1 === depth && !last) {
        this.asHidden(depth, name => graph.node('Add', [transformed, residual], [name]))
        return null
      }
      const before = residual
      const norm = last ? 'final_norm' : `layer${layer + 1}.attention_norm`
      const add = (sum: string): string => {
        [x, residual] = this.addAndNorm(transformed, before, norm, sum)
        return sum
      }
      if (last) add(graph.fresh('residual'))
      else this.asHidden(layer + 1, add)
    }
    return this.asHidden(config.layers, name => graph.node('Identity', [x], [name]))
  }

  hiddenOutput (layer: number): string {
    this.graph.output(`hidden_${layer}`, 'float32', ['batch', 'steps', this.config.hiddenSize])
    return `hidden_${layer}`
  }

  /**
   * Has a hidden state written and makes it an output.
   * @param write under the name it is given, as it goes through the layers
   * @returns that name
   */
  asHidden (layer: number, write: (name: string) => string): string {
    const output = this.hiddenOutput(layer)
    if (!this.padded) return write(output)
    const state = write(this.graph.fresh('state'))
    this.unpadded(state, this.config.hiddenSize, output)
    return state
  }

  /** Scores of a classifier for some rows. */
  scores (rows: string, { hiddenLayer, bias }: ScoreHead): string {
    const { graph, config } = this
    const added = (x: string, name: string, size: number, result: string): string =>
      graph.node('Add', [x, graph.external(name, 'float32', [size])], [result])
    const before = hiddenLayer
      ? graph.node('Relu', [added(this.linear(rows, 'score_hidden'), 'score_hidden.bias', config.hiddenSize,
        graph.fresh('added'))], [graph.fresh('relu')])
      : rows
    return bias
      ? added(this.linear(before, 'head'), 'head.bias', config.outputSize, 'logits')
      : this.linear(before, 'head', 'logits')
  }

  /** Logits of the vocabulary for some rows. */
  vocabularyLogits (rows: string): string {
    const { graph, config: { hiddenSize }, products } = this
    const kind = this.kindOf('head')
    const smoothing = (): string => graph.external('head.smoothing', 'float32', [hiddenSize])
    const smoothed =
      isSmoothed(this.layout, 'head') ? graph.node('Mul', [rows, smoothing()], [graph.fresh('smoothed')]) : rows
    if (!needsPaddingRow(kind)) return this.linear(smoothed, 'head', 'logits')
    return products.dropRow(this.linear(products.appendRow(smoothed, hiddenSize), 'head'), 'logits')
  }

  /** Logits, their largest, and the largest probabilities at temperature 1 and at the row's own. */
  head (x: string): void {
    const { graph, config } = this
    const rows = graph.node('Gather', [graph.node('Reshape', [x, 'flat'], [graph.fresh('flat')]), 'rows'],
      [graph.fresh('rows')], { axis: 0 })
    const logits = config.scoreHead ? this.scores(rows, config.scoreHead) : this.vocabularyLogits(rows)
    graph.node('TopK', [logits, 'top_count'], ['top_logits', 'top_ids'], { axis: -1 })
    // A temperature does not change which token is the most probable.
    const first = graph.node('Gather', ['top_ids', graph.constant('first_place', 'int64', [1], [0])],
      [graph.fresh('first')], { axis: -1 })
    const peak = (scaled: string): string =>
      graph.node('GatherElements', [graph.node('Softmax', [scaled], [graph.fresh('probabilities')], { axis: -1 }),
        first], [graph.fresh('peak')], { axis: -1 })
    const tempered = graph.node('Mul', [logits, 'inverse_temperature'], [graph.fresh('tempered')])
    graph.node('Concat', [peak(logits), peak(tempered)], ['peak'], { axis: -1 })
    const top = Math.min(topCount, config.outputSize)
    graph.output('logits', 'float32', ['rows', config.outputSize])
    graph.output('top_logits', 'float32', ['rows', top])
    graph.output('top_ids', 'int64', ['rows', top])
    graph.output('peak', 'float32', ['rows', 2])
  }

  /** Which positions of a probe see which: all see the whole sequence, and of each other what `branches` says. */
  declareBranches (): void {
    const { graph } = this
    graph.input('positions', 'int64', ['batch', 'steps'])
    graph.input('branches', 'float32', [1, 1, 'steps', 'steps'])
    graph.input('branch_pads', 'int64', [8])
    graph.node('Pad', ['branches', 'branch_pads'], ['branch_bias'])
  }

  write (ropePositions: number): WrittenGraph {
    const { graph, config } = this
    graph.input('input_ids', 'int64', ['batch', 'steps'])
    if (this.partCount > 1) graph.input('rows_by_part', 'int64', [this.partCount])
    for (let part = 0; part < this.partCount; part++) {
      graph.input(partName(part, 'seqlens_k'), 'int32', [partName(part, 'batch')])
      graph.input(partName(part, 'total_sequence_length'), 'int32', [1])
      if (part >= this.shape.private) declareSharedPart(graph, config, part, this.pieces)
    }
    if (this.shape.probedLayers === undefined) {
      graph.input('rows', 'int64', ['rows'])
      graph.input('inverse_temperature', 'float32', ['rows', 1])
    } else this.declareBranches()
    graph.external('rope_cos', 'float32', [ropePositions, config.headSize / 2])
    graph.external('rope_sin', 'float32', [ropePositions, config.headSize / 2])
    graph.constant('flat', 'int64', [2], [-1, config.hiddenSize])
    graph.constant('qkv_parts', 'int64', [3],
      [config.queryHeads, config.kvHeads, config.kvHeads].map(heads => heads * config.headSize))
    if (this.shape.chunks) {
      graph.constant('as_one_sequence', 'int64', [3], [1, -1, this.qkvColumns])
      graph.constant('as_rows', 'int64', [3], [-1, 1, config.queryHeads * config.headSize])
    }
    graph.constant('last_axis', 'int64', [1], [-1])
    if (this.peaks) graph.constant('first_axis', 'int64', [1], [0])
    if (this.padded) graph.node('Shape', ['input_ids'], ['batch_and_steps'])
    graph.constant('top_count', 'int64', [1], [Math.min(topCount, config.outputSize)])
    if (this.shape.shared > 0) declareSharedPrefix(graph, config, this.pieces)
    const x = this.body()
    if (this.shape.probedLayers === undefined) this.head(x!)
    return { model: graph.finish(), weights: graph.externals }
  }
}

/**
 * The decoder's graph. Inputs: `input_ids` int64 [b, s], the rows of the parts one after the other, in a shape of
 * chunks [positions of all, 1]; `rows_by_part` int64 [parts], where there are several; `rows` int64 [r ≥ 1], flat
 * indices into b·s whose logits are wanted; `inverse_temperature` float32 [r, 1]. For each part p (`partName`), with
 * b_p rows: `seqlens_k` int32 [b_p], tokens in the sequence after the run − 1; `total_sequence_length` int32 [1], the
 * largest of them + 1; `past_key_l`, `past_value_l` float32 [b_p, kv heads, capacity, head size]; a shared part's
 * others are in shared-prefix-attention.ts.
 * A probe's graph has, in place of `rows` and `inverse_temperature`, `positions` int64 [1, s], the place of each token
 * in the sequence; `branches` float32 [1, 1, s, s], 0 where a token sees another of them and −∞ where not;
 * `branch_pads` int64 [8], zeros but for the fourth: how many tokens come before, which all see. Its outputs are hidden
 * states and KV of the layers that are run. Outputs: `logits` [r, V]; `top_logits`, `top_ids` [r, min(128, V)]; `peak`
 * [r, 2], the largest probability at temperature 1 and at the row's; `hidden_k` [b, s, D], transformers'
 * hidden_states[k], rotated where the layout rotates it (`hidden-basis.ts`); for each part `present_key_l`,
 * `present_value_l`, to be the same memory as the past.
 * @param ropePositions rows of the rotary tables: the longest sequence
 */
export function buildDecoderGraph (
  config: DecoderConfig, layout: WeightLayout, ropePositions: number, options: DecoderGraphOptions = {}
): WrittenGraph {
  return new DecoderGraph(config, layout, options).write(ropePositions)
}
