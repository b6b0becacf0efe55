/** GGUF metadata → DecoderConfig. Refuses what the graph would compute wrongly. */
import { families, type DecoderConfig, type Family } from '../decoder-config.js'
import { checkDecoder, positiveNumber, refuseModel, scoreTensors } from './decoder-tensors.js'
import type { GgufFile } from './gguf.js'

/** Keys whose presence changes the computation in ways the graph does not do. */
const unsupportedKeys = ['rope.scaling.type', 'rope.scale_linear', 'attention.sliding_window', 'expert_count',
  'attention.logit_softcapping', 'final_logit_softcapping']

/** @throws RequestError for families and features that are not supported */
function familyOf (file: GgufFile): Family {
  const family = file.metadata['general.architecture'] as Family
  if (!families.includes(family)) {
    throw refuseModel(file,
      `architecture ${JSON.stringify(family)} is not supported; supported are ${families.join(', ')}`)
  }
  for (const key of unsupportedKeys) {
    const value = file.metadata[`${family}.${key}`]
    if (value !== undefined && value !== 'none' && value !== 0) {
      throw refuseModel(file, `${family}.${key} = ${JSON.stringify(value)} is not supported`)
    }
  }
  return family
}

/** The decoder a file holds. @throws RequestError for families, features and shapes that are not supported */
export function decoderConfigFromGguf (file: GgufFile): DecoderConfig {
  const family = familyOf(file)
  const number = (key: string, fallback?: number): number =>
    positiveNumber(file, `metadata ${family}.${key}`, file.metadata[`${family}.${key}`] ?? fallback)
  const tokens = file.metadata['tokenizer.ggml.tokens']
  if (!Array.isArray(tokens) || tokens.length === 0) throw refuseModel(file, 'it has no vocabulary')
  const queryHeads = number('attention.head_count')
  const hiddenSize = number('embedding_length')
  const headSize = number('attention.key_length', hiddenSize / queryHeads)
  const scores = file.tensors.get(`${scoreTensors.output}.weight`)
  const config: DecoderConfig = {
    family,
    layers: number('block_count'),
    hiddenSize,
    queryHeads,
    kvHeads: number('attention.head_count_kv', queryHeads),
    headSize,
    feedForwardSize: number('feed_forward_length'),
    vocabularySize: tokens.length,
    outputSize: scores ? scores.shape[0]! : tokens.length,
    // A layer before the scores has another activation in GGUF files: its tensor is refused as unknown.
    scoreHead: scores ? { hiddenLayer: false, bias: file.tensors.has(`${scoreTensors.output}.bias`) } : null,
    contextLength: number('context_length'),
    ropeBase: number('rope.freq_base', 10000),
    ropeInterleaved: family === 'llama',
    normEpsilon: number('attention.layer_norm_rms_epsilon'),
    tiedEmbeddings: !file.tensors.has('output.weight')
  }
  for (const key of ['attention.value_length', 'rope.dimension_count']) {
    const value = number(key, headSize)
    if (value !== headSize) throw refuseModel(file, `${key} must be the head size ${headSize}; got ${value}`)
  }
  checkDecoder(file, config)
  return config
}
