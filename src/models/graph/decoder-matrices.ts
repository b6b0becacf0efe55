/**
 * The matrices of a decoder: their names in its graph, their shapes, and which of a model file's tensors they are made
 * of.
 */
import type { DecoderConfig } from '../decoder-config.js'
import { embeddingTensor, scoreTensors } from '../formats/decoder-tensors.js'

/** Matrices of a decoder: weight name → [output N, input K]. */
export function decoderMatrices (config: DecoderConfig): Map<string, readonly [number, number]> {
  const { hiddenSize, feedForwardSize, headSize, queryHeads, kvHeads } = config
  const matrices = new Map<string, readonly [number, number]>()
  for (let layer = 0; layer < config.layers; layer++) {
    matrices.set(`layer${layer}.qkv`, [(queryHeads + 2 * kvHeads) * headSize, hiddenSize])
    matrices.set(`layer${layer}.attention_output`, [hiddenSize, queryHeads * headSize])
    matrices.set(`layer${layer}.gate_up`, [2 * feedForwardSize, hiddenSize])
    matrices.set(`layer${layer}.down`, [hiddenSize, feedForwardSize])
  }
  if (config.scoreHead?.hiddenLayer) matrices.set('score_hidden', [hiddenSize, hiddenSize])
  return matrices.set('head', [config.outputSize, hiddenSize])
}

/** Names of the equal parts of a matrix's outputs, where they are computed apart from each other. */
export const outputParts = (name: string): readonly string[] => name.endsWith('.gate_up') ? ['gate', 'up'] : []

/** Which of the file's tensors make a matrix, stacked by rows. */
export function matrixTensors ({ tiedEmbeddings, scoreHead }: DecoderConfig, name: string): string[] {
  if (name === 'score_hidden') return [`${scoreTensors.hidden}.weight`]
  if (name === 'head') {
    return [scoreHead ? `${scoreTensors.output}.weight` : tiedEmbeddings ? embeddingTensor : 'output.weight']
  }
  const [layer, kind] = name.split('.') as [string, string]
  const block = `blk.${layer.slice('layer'.length)}`
  const parts: Record<string, string[]> = {
    qkv: ['attn_q', 'attn_k', 'attn_v'],
    attention_output: ['attn_output'],
    gate_up: ['ffn_gate', 'ffn_up'],
    down: ['ffn_down']
  }
  return parts[kind]!.map(part => `${block}.${part}.weight`)
}
