/**
 * Attention of rows that share the beginning of their sequences: its keys and values are stored once, [kv heads, P,
 * head size], and read once a step for all rows; each row's own rest lies in its slot. One softmax goes over both
 * parts, so the result is that of ordinary attention up to rounding: scores of the prefix come from one matrix product,
 * those of the rest from GroupQueryAttention, whose own output is rescaled by the share of probability that the rest
 * has. All rows of a part have the same length, so nothing is masked or padded, and a row's bits depend on no other
 * row. The idea is that of Hydragen (Juravsky et al. 2024, arXiv 2402.05099).
 */
import type { Dim, GraphWriter } from '../../runtime/graph.js'
import type { DecoderConfig } from '../decoder-config.js'
import { partName } from './run-shape.js'

const microsoft = 'com.microsoft'

/** What attention needs to know of a model. */
export type AttentionHeads = Pick<DecoderConfig, 'queryHeads' | 'kvHeads' | 'headSize' | 'ropeInterleaved'>

/**
 * Whether rows of a part have the same bits however many they are. Not where every query head has a key head of its
 * own: a lone row would be multiplied by another kernel than two.
 */
export const canSharePrefix = ({ queryHeads, kvHeads, headSize }: AttentionHeads): boolean =>
  queryHeads > kvHeads && headSize <= 128

/**
 * Whether sums over positions are taken in pieces of fixed length. Products of two inputs are computed one head a
 * thread, as long as there are no more threads than heads; else the columns of one may be divided among threads or not,
 * by the number of rows, and the order of the sum over more than 256 positions goes with it.
 */
export const sharesInPieces = ({ kvHeads }: AttentionHeads, threads: number): boolean => threads > kvHeads

/** Positions of a piece: a product over so many is a single sum, in order. */
const pieceLength = 128

/** Constants of all shared parts. */
export function declareSharedPrefix (
  graph: GraphWriter, { kvHeads, queryHeads, headSize }: AttentionHeads, pieces: boolean
): void {
  const group = queryHeads / kvHeads
  graph.constant('by_group', 'int64', [4], [-1, kvHeads, group, headSize])
  graph.constant('scores_by_group', 'int64', [4], [0, kvHeads, group, -1])
  graph.constant('by_kv_head', 'int64', [3], [kvHeads, -1, headSize])
  graph.constant('by_kv_head_and_group', 'int64', [4], [kvHeads, -1, group, headSize])
  graph.constant('joined_heads', 'int64', [3], [-1, 1, queryHeads * headSize])
  if (pieces) declarePieces(graph, kvHeads, headSize)
}

/** Constants of sums in pieces. */
function declarePieces (graph: GraphWriter, kvHeads: number, headSize: number): void {
  graph.constant('piece_length', 'int64', [1], [pieceLength])
  graph.constant('weights_by_piece', 'int64', [4], [kvHeads, 0, -1, pieceLength])
  graph.constant('values_by_piece', 'int64', [4], [kvHeads, -1, pieceLength, headSize])
  graph.constant('piece_axis', 'int64', [1], [1])
  graph.constant('of_prefix', 'int64', [2], [0, 2])
  graph.constant('of_rest', 'int64', [2], [1, 3])
}

/** How many of a part's positions are in whole pieces and how many are left: `prefix_cut` and `rest_cut` int64 [2]. */
function declareCuts (graph: GraphWriter, part: number): void {
  const lengths = partName(part, 'lengths')
  const fresh = (): string => graph.fresh('cut')
  const whole = graph.node('Mul', [graph.node('Div', [lengths, 'piece_length'], [fresh()]), 'piece_length'], [fresh()])
  const cuts = graph.node('Concat', [whole, graph.node('Sub', [lengths, whole], [fresh()])], [fresh()], { axis: 0 })
  for (const kind of ['prefix', 'rest']) {
    graph.node('Gather', [cuts, `of_${kind}`], [partName(part, `${kind}_cut`)], { axis: 0 })
  }
}

/**
 * A product over positions, piece by piece, then the sum of the pieces: its order does not depend on how an operator
 * cuts it among threads.
 * @param weights [kv heads, rows, L]
 * @param values [kv heads, L, head size]
 * @param cut of L
 */
function sumInPieces (graph: GraphWriter, weights: string, values: string, cut: string): string {
  const fresh = (): string => graph.fresh('piece')
  const [wholeWeights, restWeights, wholeValues, restValues] = [fresh(), fresh(), fresh(), fresh()]
  graph.node('Split', [weights, cut], [wholeWeights, restWeights], { axis: 2 })
  graph.node('Split', [values, cut], [wholeValues, restValues], { axis: 1 })
  const apart = graph.node('Reshape', [wholeWeights, 'weights_by_piece'], [fresh()])
  const weightPieces = graph.node('Transpose', [apart], [fresh()], { perm: [0, 2, 1, 3] })
  const valuePieces = graph.node('Reshape', [wholeValues, 'values_by_piece'], [fresh()])
  const products = graph.node('MatMul', [weightPieces, valuePieces], [fresh()])
  const sum = graph.node('ReduceSum', [products, 'piece_axis'], [fresh()], { keepdims: 0 })
  return graph.node('Add', [sum, graph.node('MatMul', [restWeights, restValues], [fresh()])], [fresh()])
}

/**
 * A shared part's inputs beside those of every part. `positions` int64 [b, 1]: place of each row's token in the whole
 * sequence; `lengths` int64 [2]: the prompt's P and the rows' own T, the new token included; `rest_shape` int64 [3]: kv
 * heads, −1, T; `ones` float32 [kv heads, T, head size]; `prefix_key_l`, `prefix_value_l` float32 [kv heads, P, head
 * size]. `seqlens_k` is T − 1 and `total_sequence_length` T here.
 */
export function declareSharedPart (
  graph: GraphWriter, { kvHeads, headSize }: AttentionHeads, part: number, pieces: boolean
): void {
  graph.input(partName(part, 'positions'), 'int64', [partName(part, 'batch'), 1])
  graph.input(partName(part, 'lengths'), 'int64', [2])
  graph.input(partName(part, 'rest_shape'), 'int64', [3])
  graph.input(partName(part, 'ones'), 'float32', [kvHeads, partName(part, 'rest'), headSize])
  if (pieces) declareCuts(graph, part)
}

/** Which shared part of which layer; whether sums over its positions are taken in pieces. */
export interface SharedAttention { readonly layer: number, readonly part: number, readonly pieces: boolean }

/** @returns attention's output, [b, 1, query heads · head size] */
export function sharedPrefixAttention (
  graph: GraphWriter, config: AttentionHeads, qkv: string, { layer, part, pieces }: SharedAttention
): string {
  const { queryHeads, kvHeads, headSize } = config
  const fresh = (stem: string): string => graph.fresh(stem)
  const own = (name: string): string => partName(part, name)
  const group = queryHeads / kvHeads
  /** A value [kv heads, b · group, columns]. */
  const ofKvHeads = (stem: string, columns: Dim): string =>
    graph.shaped(fresh(stem), [kvHeads, own('grouped_rows'), columns])
  /** [b, kv heads · group, columns] → [kv heads, b · group, columns]. */
  const byKvHead = (x: string, grouped: string, shape: string, columns: Dim): string => {
    const apart = graph.shaped(fresh('grouped'), [own('batch'), kvHeads, group, columns])
    return graph.node('Reshape', [graph.node('Transpose', [graph.node('Reshape', [x, grouped], [apart])],
      [fresh('turned')], { perm: [1, 0, 2, 3] }), shape], [ofKvHeads('by_kv_head', columns)])
  }
  const rotate = (x: string, heads: number): string =>
    graph.node('RotaryEmbedding', [x, own('positions'), 'rope_cos', 'rope_sin'], [fresh('rotated')],
      { num_heads: heads, rotary_embedding_dim: 0, interleaved: config.ropeInterleaved ? 1 : 0 }, microsoft)

  const prefix = ['key', 'value'].map(kind =>
    graph.input(own(`prefix_${kind}_${layer}`), 'float32', [kvHeads, own('prefix'), headSize]))
  const [query, key, value] = ['query', 'key', 'value'].map(fresh) as [string, string, string]
  graph.node('Split', [qkv, 'qkv_parts'], [query, key, value], { axis: -1 })
  const rotated = rotate(query, queryHeads)
  const [rest, restScores] = [fresh('rest'), fresh('rest_scores')]
  graph.node('GroupQueryAttention', [rotated, rotate(key, kvHeads), value, own(`past_key_${layer}`),
    own(`past_value_${layer}`), own('seqlens_k'), own('total_sequence_length')],
  [rest, own(`present_key_${layer}`), own(`present_value_${layer}`), restScores],
  { num_heads: queryHeads, kv_num_heads: kvHeads, qk_output: 1 }, microsoft)

  const prefixScores = graph.node('FusedMatMul', [byKvHead(rotated, 'by_group', 'by_kv_head', headSize), prefix[0]!],
    [ofKvHeads('prefix_scores', own('prefix'))], { transB: 1, alpha: { float: 1 / Math.sqrt(headSize) } }, microsoft)
  const ownScores = byKvHead(restScores, 'scores_by_group', own('rest_shape'), own('rest'))
  const scores = graph.node('Concat', [prefixScores, ownScores], [ofKvHeads('scores', own('length'))], { axis: -1 })
  const [onPrefix, onRest] = [ofKvHeads('on_prefix', own('prefix')), ofKvHeads('on_rest', own('rest'))]
  graph.node('Split', [graph.node('Softmax', [scores], [fresh('probabilities')], { axis: -1 }), own('lengths')],
    [onPrefix, onRest], { axis: -1 })
  // A sum, once per channel. Not ReduceSum: the order in which it adds depends on where in memory a row begins, and so
  // on the other rows. The ones are there for each head, since one matrix for all would make one product of them, whose
  // rows are divided among threads.
  const sum = (weights: string, values: string, kind: 'prefix' | 'rest'): string => {
    if (pieces) return sumInPieces(graph, weights, values, own(`${kind}_cut`))
    return graph.node('MatMul', [weights, values], [ofKvHeads(`of_${kind}`, headSize)])
  }
  const share = sum(onRest, own('ones'), 'rest')
  const ofRest =
    graph.node('Mul', [byKvHead(rest, 'by_group', 'by_kv_head', headSize), share], [fresh('of_rest')])
  const joined = graph.node('Add', [sum(onPrefix, prefix[1]!, 'prefix'), ofRest], [fresh('joined')])
  const apart = graph.shaped(fresh('grouped'), [kvHeads, own('batch'), group, headSize])
  const turned = graph.node('Transpose', [graph.node('Reshape', [joined, 'by_kv_head_and_group'], [apart])],
    [fresh('turned')], { perm: [1, 0, 2, 3] })
  return graph.node('Reshape', [turned, 'joined_heads'],
    [graph.shaped(fresh('attention'), [own('batch'), 1, queryHeads * headSize])])
}
