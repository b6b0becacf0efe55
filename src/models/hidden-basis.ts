/** Hidden states as a graph computes them → the model's own: rotated back where its layout rotates them. */
import type { Tensor } from '../runtime/tensor.js'
import type { DecoderConfig } from './decoder-config.js'
import { finalNormWeights } from './quantization/convert-weights.js'
import { rotateHidden } from './quantization/rotation.js'
import type { WeightLayout } from './quantization/weight-format.js'

/** @param state of a layer as the graph has it, [D]. @returns the model's, in memory of its own */
export type HiddenBasis = (layer: number, state: Float32Array) => Float32Array

/** How hidden states of a model are read; null: as they are. */
export function hiddenBasis (
  { layers, hiddenSize }: Pick<DecoderConfig, 'layers' | 'hiddenSize'>, { rotatesHidden }: WeightLayout,
  weights: ReadonlyMap<string, Tensor>
): HiddenBasis | null {
  if (!rotatesHidden) return null
  const normWeights = weights.get(finalNormWeights)!.data as Float32Array
  return (layer, state) => {
    const own = rotateHidden(state.slice(), hiddenSize)
    // The last state is the final norm's output, and its weights are in the head.
    if (layer === layers) for (let at = 0; at < hiddenSize; at++) own[at]! *= normWeights[at]!
    return own
  }
}
