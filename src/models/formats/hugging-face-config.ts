/**
 * A Hugging Face config.json → DecoderConfig, and the names of its tensors → GGUF's. Refuses what the graph would
 * compute wrongly.
 */
import { families, type DecoderConfig, type Family, type ScoreHead, type ScoreKind } from '../decoder-config.js'
import { positiveNumber, positiveSize, refuseModel, scoreTensors } from './decoder-tensors.js'
import { checkFixedFields, type Fields, type FixedFields } from './json-files.js'
import { ropeBaseOf, ropeScalingOf } from './rope-scaling.js'
import type { StoredTensor } from './tensor-file.js'

/**
 * Fields that change what is computed, with the values under which they do not. Those of other families are here since
 * a model that names them was not made for what these compute.
 */
const fixedFields: FixedFields = [
  ['hidden_act', ['silu', 'swish', null, undefined]],
  ['mlp_bias', [false, null, undefined]],
  ['use_sliding_window', [false, null, undefined]],
  ['quantization_config', [null, undefined]],
  ['compression_config', [null, undefined]],
  ['is_causal', [true, null, undefined]],
  ['use_bidirectional_attention', [false, null, undefined]],
  ['attention_multiplier', [null, undefined]],
  ['query_pre_attn_scalar', [null, undefined]],
  ['embedding_multiplier', [1, null, undefined]],
  ['residual_multiplier', [1, null, undefined]],
  ['logits_scaling', [1, null, undefined]],
  ['logit_scale', [1, null, undefined]],
  ['scale_emb', [1, null, undefined]],
  ['attn_logit_softcapping', [0, null, undefined]],
  ['final_logit_softcapping', [0, null, undefined]],
  ['clip_qkv', [null, undefined]],
  ['no_rope_layers', [null, undefined]],
  ['num_experts', [0, 1, null, undefined]],
  ['num_local_experts', [0, 1, null, undefined]]
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

/** Numbers of config.json that are no sizes. */
const fractions = ['rms_norm_eps']

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

const scoreKinds: Readonly<Record<string, ScoreKind>> = {
  single_label_classification: 'exclusive', multi_label_classification: 'independent', regression: 'numbers'
}

/**
 * What the numbers of a classifier are by the `problem_type` of its config.json; null where it has none.
 * @param path of the folder, for messages
 * @throws RequestError for one that is unknown
 */
export function scoreKindOf (path: string, { problem_type: type }: Fields): ScoreKind | null {
  if (type === undefined || type === null) return null
  const kind = Object.hasOwn(scoreKinds, String(type)) ? scoreKinds[String(type)] : undefined
  if (kind) return kind
  throw refuseModel({ path }, `config.json: problem_type = ${JSON.stringify(type)} is not supported; supported are ` +
    Object.keys(scoreKinds).join(', '))
}

/**
 * The token that a config.json says batches are filled up with; null where it names none.
 * @param path of the folder, for messages
 * @throws RequestError for a pad_token_id that is no token's number
 */
export function padTokenOf (path: string, { pad_token_id: token }: Fields): number | null {
  if (token === undefined || token === null) return null
  if (typeof token === 'number' && Number.isInteger(token)) return token
  throw refuseModel({ path }, `config.json: pad_token_id must be the number of a token; got ${JSON.stringify(token)}`)
}

/** The tensors of a checkpoint, and what its files call them. */
export interface NamedTensors {
  /** By GGUF's names. */
  readonly tensors: ReadonlyMap<string, StoredTensor>
  /** The name in the files. */
  storedName (name: string): string | undefined
}

/** Whether a tensor is of a head that transformers reads before the padding; trl's values are of every position. */
export const isPooled = (storedName: string): boolean => storedName.startsWith('score.')

function scoreHeadOf (
  path: string, fields: Fields, { tensors, storedName }: NamedTensors, padToken: number | null
): ScoreHead | null {
  if (!tensors.has(`${output}.weight`)) return null
  return {
    hiddenLayer: tensors.has(`${hidden}.weight`),
    bias: tensors.has(`${output}.bias`),
    padToken: isPooled(storedName(`${output}.weight`)!) ? padToken : null,
    scores: scoreKindOf(path, fields) ?? 'exclusive'
  }
}

/** What transformers takes where a config.json of Qwen 3 does not say. */
const qwen3HeadSize = 128

/**
 * The decoder of a checkpoint.
 * @param path its folder, for messages
 * @param fields of config.json
 * @throws RequestError for families and features that are not supported
 */
export function decoderConfigFromHuggingFace (path: string, fields: Fields, named: NamedTensors): DecoderConfig {
  const { tensors } = named
  const family = fields['model_type'] as Family
  if (!families.includes(family)) {
    throw refuseModel({ path },
      `config.json: model_type ${JSON.stringify(family)} is not supported; supported are ${families.join(', ')}`)
  }
  checkComputation(path, fields, family)
  const number = (key: string, value = fields[key]): number =>
    (fractions.includes(key) ? positiveNumber : positiveSize)({ path }, `config.json: ${key}`, value)
  const [hiddenSize, queryHeads, vocabularySize, contextLength] = [number('hidden_size'),
    number('num_attention_heads'), number('vocab_size'), number('max_position_embeddings')]
  const headSize =
    number('head_dim', fields['head_dim'] ?? (family === 'qwen3' ? qwen3HeadSize : hiddenSize / queryHeads))
  const ropeBase = ropeBaseOf(path, fields)
  const scaling = ropeScalingOf(path, fields, { headSize, ropeBase }, contextLength)
  const padToken = padTokenOf(path, fields)
  return {
    family,
    layers: number('num_hidden_layers'),
    hiddenSize,
    queryHeads,
    kvHeads: number('num_key_value_heads', fields['num_key_value_heads'] ?? queryHeads),
    headSize,
    feedForwardSize: number('intermediate_size'),
    vocabularySize,
    outputSize: tensors.get(`${output}.weight`)?.shape[0] ?? vocabularySize,
    scoreHead: scoreHeadOf(path, fields, named, padToken),
    contextLength,
    ropeBase,
    ropeDivisors: scaling.divisors,
    ropeMagnitude: scaling.magnitude,
    ropeInterleaved: false,
    normEpsilon: number('rms_norm_eps'),
    tiedEmbeddings: !tensors.has('output.weight'),
    padToken
  }
}
