/** GGUF metadata → DecoderConfig. Refuses what the graph would compute wrongly. */
import { families, type DecoderConfig, type Family } from '../decoder-config.js'
import { checkDecoder, positiveNumber, positiveSize, refuseModel, scoreTensors } from './decoder-tensors.js'
import type { GgufFile } from './gguf.js'
import { ropeScalingOfGguf } from './rope-scaling.js'

/** Keys behind the family's name that are read here, and by `ropeScalingOfGguf`. */
const readKeys = ['block_count', 'context_length', 'embedding_length', 'feed_forward_length', 'attention.head_count',
  'attention.head_count_kv', 'attention.key_length', 'attention.value_length', 'attention.layer_norm_rms_epsilon',
  'rope.dimension_count', 'rope.freq_base', 'rope.scaling.type', 'rope.scaling.factor', 'rope.scale_linear',
  'rope.scaling.attn_factor', 'rope.scaling.original_context_length', 'rope.scaling.yarn_beta_fast',
  'rope.scaling.yarn_beta_slow']
/** Keys that change nothing in the families supported, as llama.cpp computes them. */
const harmlessKeys = ['vocab_size', 'tensor_data_layout', 'pooling_type', 'rope.scaling.finetuned',
  'rope.freq_base_swa', 'attention.layer_norm_epsilon', 'expert_used_count', 'classifier.output_labels']
/** Values of other keys with which they change nothing, beside zero, false and none. */
const neutralValues: Readonly<Record<string, unknown>> = {
  'attention.causal': true,
  logit_scale: 1,
  embedding_scale: 1,
  residual_scale: 1,
  'rope.scaling.yarn_ext_factor': 1,
  'rope.scaling.yarn_attn_factor': 1
}

const isNeutral = (key: string, value: unknown): boolean =>
  value === neutralValues[key] || (!(key in neutralValues) && (value === 0 || value === false || value === 'none'))

/** Numbers that are no sizes. */
const fractions = ['rope.freq_base', 'attention.layer_norm_rms_epsilon']

/** @throws RequestError for families and features that are not supported */
function familyOf (file: GgufFile): Family {
  const family = file.metadata['general.architecture'] as Family
  if (!families.includes(family)) {
    throw refuseModel(file,
      `architecture ${JSON.stringify(family)} is not supported; supported are ${families.join(', ')}`)
  }
  const known = new Set([...readKeys, ...harmlessKeys])
  for (const [name, value] of Object.entries(file.metadata)) {
    const key = name.startsWith(`${family}.`) ? name.slice(family.length + 1) : null
    if (key !== null && !known.has(key) && !isNeutral(key, value)) {
      throw refuseModel(file, `metadata ${name} = ${JSON.stringify(value)?.slice(0, 80)} is not supported`)
    }
  }
  return family
}

/** The token that a file's batches are filled up with; null where it names none. */
function paddingOf (file: GgufFile): number | null {
  const token = file.metadata['tokenizer.ggml.padding_token_id']
  return typeof token === 'number' ? token : null
}

/** The decoder a file holds. @throws RequestError for families, features and shapes that are not supported */
export function decoderConfigFromGguf (file: GgufFile): DecoderConfig {
  const family = familyOf(file)
  const number = (key: string, fallback?: number): number =>
    (fractions.includes(key) ? positiveNumber : positiveSize)(file, `metadata ${family}.${key}`,
      file.metadata[`${family}.${key}`] ?? fallback)
  const tokens = file.metadata['tokenizer.ggml.tokens']
  if (!Array.isArray(tokens) || tokens.length === 0) throw refuseModel(file, 'it has no vocabulary')
  const queryHeads = number('attention.head_count')
  const hiddenSize = number('embedding_length')
  const headSize = number('attention.key_length', hiddenSize / queryHeads)
  const scores = file.tensors.get(`${scoreTensors.output}.weight`)
  const [contextLength, ropeBase] = [number('context_length'), number('rope.freq_base', 10000)]
  const scaling =
    ropeScalingOfGguf(file, key => file.metadata[`${family}.${key}`], { headSize, ropeBase }, contextLength)
  const padToken = paddingOf(file)
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
    scoreHead: scores
      ? { hiddenLayer: false, bias: file.tensors.has(`${scoreTensors.output}.bias`), padToken, scores: 'exclusive' }
      : null,
    contextLength,
    ropeBase,
    ropeDivisors: scaling.divisors,
    ropeMagnitude: scaling.magnitude,
    ropeInterleaved: family === 'llama',
    normEpsilon: number('attention.layer_norm_rms_epsilon'),
    tiedEmbeddings: !file.tensors.has('output.weight'),
    // What a language model's file pads with is no word of how an adapter's score head was trained.
    padToken: null
  }
  for (const key of ['attention.value_length', 'rope.dimension_count']) {
    const value = number(key, headSize)
    if (value !== headSize) throw refuseModel(file, `${key} must be the head size ${headSize}; got ${value}`)
  }
  checkDecoder(file, config)
  return config
}
