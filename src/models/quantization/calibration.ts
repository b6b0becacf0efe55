/**
 * What the matrices of a model multiply on ordinary text: the largest magnitude of every input channel. Runs the
 * float32 graph over a few short chats, once, when weights are converted.
 */
import { Session, SharedWeights } from '../../runtime/session.js'
import { Tensor } from '../../runtime/tensor.js'
import type { DecoderConfig } from '../decoder-config.js'
import { buildDecoderGraph } from '../graph/decoder-graph.js'
import { decoderMatrices } from '../graph/decoder-matrices.js'
import { partName } from '../graph/run-shape.js'
import type { WeightLayout } from './weight-format.js'

/** Inputs of a run over a whole text, KV left out; the head reads every position. */
const feedsOf = (text: readonly number[]): Map<string, Tensor> => new Map<string, Tensor>([
  ['input_ids', Tensor.from('int64', [1, text.length], BigInt64Array.from(text, BigInt))],
  [partName(0, 'seqlens_k'), Tensor.from('int32', [1], Int32Array.of(text.length - 1))],
  [partName(0, 'total_sequence_length'), Tensor.from('int32', [1], Int32Array.of(text.length))],
  ['rows', Tensor.from('int64', [text.length], BigInt64Array.from(text, (_, position) => BigInt(position)))],
  ['inverse_temperature', Tensor.from('float32', [text.length, 1], new Float32Array(text.length).fill(1))]
])

/**
 * @param layout of the float32 format
 * @param weights every external initializer of the float32 graph, at least; disposed of here
 * @param texts tokens of each text, at least two
 * @returns by matrix the largest magnitudes over all texts, [K]
 */
export async function activationPeaks (
  config: DecoderConfig, layout: WeightLayout, weights: ReadonlyMap<string, Tensor>,
  texts: ReadonlyArray<readonly number[]>, threads: number
): Promise<Map<string, Float32Array>> {
  const longest = Math.max(...texts.map(text => text.length))
  const shared = new SharedWeights(weights)
  const graph = buildDecoderGraph(config, layout, longest, { peaks: true })
  const session = await Session.create(graph.model, { weights: shared.only(graph.weights), threads })
  const matrices = decoderMatrices(config)
  const kv = Array.from({ length: 2 * config.layers }, () =>
    Tensor.allocate('float32', [1, config.kvHeads, longest, config.headSize]))
  const peaks = new Map([...matrices].map(([name, [, columns]]) => [name, new Float32Array(columns)]))
  const outputs = new Map([...matrices].map(([name, [, columns]]) => [name, Tensor.allocate('float32', [columns])]))
  try {
    for (const text of texts) {
      const fetched = new Map([...outputs].map(([name, tensor]) => [`peak_${name}`, tensor]))
      const feeds = feedsOf(text)
      for (const [index, tensor] of kv.entries()) {
        const name = `${index < config.layers ? 'key' : 'value'}_${index % config.layers}`
        feeds.set(partName(0, `past_${name}`), tensor)
        fetched.set(partName(0, `present_${name}`), tensor)
      }
      await session.run(feeds, fetched)
      for (const [name, tensor] of outputs) {
        const seen = tensor.data as Float32Array
        peaks.set(name, peaks.get(name)!.map((peak, channel) => Math.max(peak, seen[channel]!)))
      }
    }
    return peaks
  } finally {
    session.dispose()
    shared.dispose()
    for (const tensor of [...kv, ...outputs.values()]) tensor.dispose()
  }
}
