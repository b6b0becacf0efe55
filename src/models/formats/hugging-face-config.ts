/**
 * A Hugging Face config.json → DecoderConfig, and the names of its tensors → GGUF's. Refuses what the graph would
 * compute wrongly.
 */
import { families, type DecoderConfig, type Family } from '../decoder-config.js'
import { positiveNumber, refuseModel, scoreTensors } from './decoder-tensors.js'
import { checkFixedFields, type Fields, type FixedFields } from './json-files.js'
import type { StoredTensor } from './tensor-file.js'

const fixedFields: FixedFields = [
  ['hidden_act', ['silu', null, undefined]],
  ['mlp_bias', [false, null, undefined]],
  ['use_sliding_window', [false, null, undefined]],
  ['quantization_config', [null, undefined]]
]

const inLayer: Readonly<Record<string, string>> = {
  'input_layernorm.weight': 'attn_norm.weight',
  'post_attention_layernorm.weight': 'ffn_norm.weight',
  'self_attn.q_proj.weight': 'attn_q.weight',
  'self_attn.k_proj.weight': 'attn_k.weight',
  'self_attn.v_proj.weight': 'attn_v.weight',
  'self_attn.q_proj.bias': 'attn_q.bias',
  'self_attn.k_proj.bias': 'attn_k.bias',
  'self_attn.v_proj.bias': 'attn_v.bias',
  'self_attn.o_proj.weight': 'attn_output.weight',
  'self_attn.q_norm.weight': 'attn_q_norm.weight',
  'self_attn.k_norm.weight': 'attn_k_norm.weight',
  'mlp.gate_proj.weight': 'ffn_gate.weight',
  'mlp.up_proj.weight': 'ffn_up.weight',
  'mlp.down_proj.weight': 'ffn_down.weight'
}

const { output, hidden } = scoreTensors

/**
 * Score heads: `score` of …ForSequenceClassification, `score.0` and `score.2` of Qwen2ForProcessRewardModel,
 * `v_head.summary` of trl's and Skywork's value heads.
 */
const outsideLayers: Readonly<Record<string, string>> = {
  'model.embed_tokens.weight': 'token_embd.weight',
  'model.norm.weight': 'output_norm.weight',
  'lm_head.weight': 'output.weight',
  'score.weight': `${output}.weight`,
  'score.bias': `${output}.bias`,
  'score.0.weight': `${hidden}.weight`,
  'score.0.bias': `${hidden}.bias`,
  'score.2.weight': `${output}.weight`,
  'score.2.bias': `${output}.bias`,
  'v_head.summary.weight': `${output}.weight`,
  'v_head.summary.bias': `${output}.bias`
}

/** GGUF's name of a tensor; its own where it has none there; null for tables that follow from the configuration. */
export function ggufName (name: string): string | null {
  if (name.endsWith('rotary_emb.inv_freq')) return null
  const layer = /^model\.layers\.(\d+)\.(.*)$/.exec(name)
  const known = layer ? inLayer[layer[2]!] : outsideLayers[name]
  if (known === undefined) return name
  return layer ? `blk.${layer[1]}.${known}` : known
}

/** Rotary parameters: `rope_scaling` beside `rope_theta`, or, since transformers 5, both in `rope_parameters`. */
function ropeOf (fields: Fields): Fields {
  const { rope_parameters: parameters, rope_scaling: scaling, rope_theta: base } = fields
  return {
    ...(base === undefined ? {} : { rope_theta: base }), ...scaling as object | null, ...parameters as object | null
  }
}

/**
 * What the rotary frequencies are divided by, [head size / 2]; null where they are not.
 * `llama3`: long waves by `factor`, short ones not at all, those between in proportion (transformers,
 * modeling_rope_utils.py).
 * @throws RequestError for kinds of scaling that are not supported
 */
export function ropeFactors (path: string, fields: Fields, { headSize, ropeBase }: DecoderConfig): Float32Array | null {
  const rope = ropeOf(fields)
  const type = rope['rope_type'] ?? rope['type'] ?? 'default'
  if (type === 'default') return null
  const number = (key: string): number =>
    positiveNumber({ path }, `config.json: ${key} of the rotary scaling ${JSON.stringify(type)}`, rope[key])
  if (type === 'linear') return new Float32Array(headSize / 2).fill(number('factor'))
  if (type !== 'llama3') {
    throw refuseModel({ path },
      `config.json: rotary scaling ${JSON.stringify(type)} is not supported; supported are default, linear, llama3`)
  }
  const [factor, low, high, trained] = [number('factor'), number('low_freq_factor'), number('high_freq_factor'),
    number('original_max_position_embeddings')]
  return Float32Array.from({ length: headSize / 2 }, (_, i) => {
    const wavelength = 2 * Math.PI * ropeBase ** (2 * i / headSize)
    const share = Math.min(1, Math.max(0, (trained / wavelength - low) / (high - low)))
    return 1 / ((1 - share) / factor + share)
  })
}

function checkComputation (path: string, fields: Fields, family: Family): void {
  checkFixedFields(path, 'config.json', fields, fixedFields)
  // Qwen 2 has biases whatever this says, the others have none.
  if (family !== 'qwen2' && fields['attention_bias'] === true) {
    throw refuseModel({ path }, `config.json: attention_bias = true is not supported for ${family}`)
  }
  const layerTypes = fields['layer_types']
  if (Array.isArray(layerTypes) && layerTypes.some(type => type !== 'full_attention')) {
    throw refuseModel({ path }, 'config.json: layer_types other than full_attention are not supported')
  }
}

/**
 * The decoder of a checkpoint.
 * @param path its folder, for messages
 * @param fields of config.json
 * @param tensors by GGUF's names
 * @throws RequestError for families and features that are not supported
 */
export function decoderConfigFromHuggingFace (
  path: string, fields: Fields, tensors: ReadonlyMap<string, StoredTensor>
): DecoderConfig {
  const family = fields['model_type'] as Family
  if (!families.includes(family)) {
    throw refuseModel({ path },
      `config.json: model_type ${JSON.stringify(family)} is not supported; supported are ${families.join(', ')}`)
  }
  checkComputation(path, fields, family)
  const number = (key: string, value = fields[key]): number =>
    positiveNumber({ path }, `config.json: ${key}`, value)
  const [hiddenSize, queryHeads, vocabularySize] = [number('hidden_size'), number('num_attention_heads'),
    number('vocab_size')]
  const scores = tensors.get(`${output}.weight`)
  return {
    family,
    layers: number('num_hidden_layers'),
    hiddenSize,
    queryHeads,
    kvHeads: number('num_key_value_heads', fields['num_key_value_heads'] ?? queryHeads),
    headSize: number('head_dim', fields['head_dim'] ?? hiddenSize / queryHeads),
    feedForwardSize: number('intermediate_size'),
    vocabularySize,
    outputSize: scores ? scores.shape[0] ?? 0 : vocabularySize,
    scoreHead: scores ? { hiddenLayer: tensors.has(`${hidden}.weight`), bias: tensors.has(`${output}.bias`) } : null,
    contextLength: number('max_position_embeddings'),
    ropeBase: number('rope_theta', ropeOf(fields)['rope_theta'] ?? 10000),
    ropeInterleaved: false,
    normEpsilon: number('rms_norm_eps'),
    tiedEmbeddings: !tensors.has('output.weight')
  }
}
