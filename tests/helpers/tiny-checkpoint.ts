/**
 * Writes small random checkpoints in Hugging Face's layout, the same every time: the fixtures of everything that reads
 * safetensors. What transformers computes with them is in tests/fixtures/expected-families.json, written by
 * scripts/expected-families.py.
 *
 *   node dist/tests/helpers/tiny-checkpoint.js DIR
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { chatTemplate, controlTokens, merges, noise, tinyVocabulary } from './tiny-vocabulary.js'

export type TinyFamily = 'llama' | 'qwen2' | 'qwen3'

export interface TinyCheckpointOptions {
  readonly family: TinyFamily
  /**
   * A language model's head unless told otherwise; `score`: …ForSequenceClassification; `process`: Qwen's process
   * reward model; `value`: trl's value head.
   */
  readonly head?: 'tied' | 'untied' | 'score' | 'process' | 'value'
  /** Numbers that a score head gives. */
  readonly labels?: number
  readonly dtype?: 'F32' | 'F16' | 'BF16'
  readonly shards?: number
  readonly seed?: number
  /** Of each attention head. Default 16, in qwen3 32. */
  readonly headSize?: number
  /** Put in place of fields of config.json. */
  readonly config?: Readonly<Record<string, unknown>>
  /** Put in place of fields of tokenizer.json. */
  readonly tokenizer?: Readonly<Record<string, unknown>>
  readonly template?: string | null
}

const [layers, hiddenSize, queryHeads, kvHeads, feedForwardSize] = [2, 64, 4, 2, 128]

type Shapes = Record<string, readonly number[]>

function headShapes (head: NonNullable<TinyCheckpointOptions['head']>, labels: number): Shapes {
  switch (head) {
    case 'tied': return {}
    case 'untied': return { 'lm_head.weight': [tinyVocabulary.length, hiddenSize] }
    case 'score': return { 'score.weight': [labels, hiddenSize] }
    case 'process': return {
      'score.0.weight': [hiddenSize, hiddenSize],
      'score.0.bias': [hiddenSize],
      'score.2.weight': [labels, hiddenSize],
      'score.2.bias': [labels]
    }
    case 'value': return {
      'lm_head.weight': [tinyVocabulary.length, hiddenSize],
      'v_head.summary.weight': [labels, hiddenSize],
      'v_head.summary.bias': [labels]
    }
  }
}

function shapesOf (family: TinyFamily, headSize: number): Shapes {
  const [query, kv] = [queryHeads * headSize, kvHeads * headSize]
  const shapes: Shapes = {
    'model.embed_tokens.weight': [tinyVocabulary.length, hiddenSize], 'model.norm.weight': [hiddenSize]
  }
  for (let layer = 0; layer < layers; layer++) {
    const inLayer: Shapes = {
      'input_layernorm.weight': [hiddenSize],
      'self_attn.q_proj.weight': [query, hiddenSize],
      'self_attn.k_proj.weight': [kv, hiddenSize],
      'self_attn.v_proj.weight': [kv, hiddenSize],
      'self_attn.o_proj.weight': [hiddenSize, query],
      'post_attention_layernorm.weight': [hiddenSize],
      'mlp.gate_proj.weight': [feedForwardSize, hiddenSize],
      'mlp.up_proj.weight': [feedForwardSize, hiddenSize],
      'mlp.down_proj.weight': [hiddenSize, feedForwardSize],
      ...(family === 'qwen2'
        ? { 'self_attn.q_proj.bias': [query], 'self_attn.k_proj.bias': [kv], 'self_attn.v_proj.bias': [kv] }
        : {}),
      ...(family === 'qwen3' ? { 'self_attn.q_norm.weight': [headSize], 'self_attn.k_norm.weight': [headSize] } : {})
    }
    for (const [name, shape] of Object.entries(inLayer)) shapes[`model.layers.${layer}.${name}`] = shape
  }
  return shapes
}

/** Half precision by cutting bits off: exact for what is written here, which has few. */
function halfBits (value: number): number {
  const bits = new Uint32Array(Float32Array.of(value).buffer)[0]!
  const exponent = (bits >>> 23 & 255) - 112
  return exponent <= 0 ? 0 : bits >>> 16 & 0x8000 | exponent << 10 | bits >>> 13 & 0x3FF
}

function encode (values: Float32Array, dtype: 'F32' | 'F16' | 'BF16'): Buffer {
  if (dtype === 'F32') return Buffer.from(values.buffer)
  const bits = Uint16Array.from(values, value =>
    dtype === 'F16' ? halfBits(value) : new Uint32Array(Float32Array.of(value).buffer)[0]! >>> 16)
  return Buffer.from(bits.buffer)
}

/** A safetensors file's bytes. */
export function safetensors (tensors: ReadonlyArray<{
  readonly name: string, readonly shape: readonly number[], readonly dtype: string, readonly data: Buffer
}>): Buffer {
  let offset = 0
  const header = Object.fromEntries(tensors.map(({ name, shape, dtype, data }) => {
    const info = { dtype, shape, data_offsets: [offset, offset + data.length] }
    offset += data.length
    return [name, info]
  }))
  const text = Buffer.from(JSON.stringify({ __metadata__: { format: 'pt' }, ...header }))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(text.length))
  return Buffer.concat([length, text, ...tensors.map(({ data }) => data)])
}

const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true }

/** tokenizer.json of the tiny vocabulary. */
export const tinyTokenizerJson = {
  version: '1.0',
  truncation: null,
  padding: null,
  added_tokens: controlTokens.map((content, id) => ({
    id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true
  })),
  normalizer: null,
  pre_tokenizer: { type: 'Sequence', pretokenizers: [{ type: 'Digits', individual_digits: true }, byteLevel] },
  post_processor: null,
  decoder: byteLevel,
  model: {
    type: 'BPE',
    dropout: null,
    unk_token: null,
    continuing_subword_prefix: null,
    end_of_word_suffix: null,
    fuse_unk: false,
    byte_fallback: false,
    ignore_merges: false,
    vocab: Object.fromEntries(tinyVocabulary.map((text, id) => [text, id])),
    merges
  }
}

/**
 * Writes a checkpoint's folder: 2 layers, hidden 64, 4 query and 2 kv heads of 16 (32 in qwen3), feed-forward 128, the
 * tiny vocabulary.
 */
export function writeTinyCheckpoint (folder: string, {
  family, head = 'tied', labels = 1, dtype = 'F32', shards = 1, seed = 1, headSize = family === 'qwen3' ? 32 : 16,
  config = {}, tokenizer = {}, template = chatTemplate
}: TinyCheckpointOptions): void {
  mkdirSync(folder, { recursive: true })
  const isScored = head !== 'tied' && head !== 'untied'
  const random = noise(seed)
  const tensors = Object.entries({
    ...shapesOf(family, headSize), ...headShapes(head, labels)
  }).map(([name, shape]) => {
    const count = shape.reduce((product, size) => product * size, 1)
    // Eighths of a 1/128: every format holds them exactly.
    const values = Float32Array.from({ length: count }, () =>
      name.includes('norm') ? 1 + Math.round(32 * random()) / 64 : Math.round(80 * random()) / 128)
    return { name, shape, dtype, data: encode(values, dtype) }
  })
  const write = (name: string, value: unknown): void => { writeFileSync(join(folder, name), JSON.stringify(value)) }
  const fileOf = (index: number): string => shards === 1
    ? 'model.safetensors'
    : `model-${String(index % shards + 1).padStart(5, '0')}-of-${String(shards).padStart(5, '0')}.safetensors`
  for (let shard = 0; shard < shards; shard++) {
    writeFileSync(join(folder, fileOf(shard)), safetensors(tensors.filter((_, index) => index % shards === shard)))
  }
  if (shards > 1) {
    write('model.safetensors.index.json',
      { metadata: {}, weight_map: Object.fromEntries(tensors.map(({ name }, index) => [name, fileOf(index)])) })
  }
  const architecture = { llama: 'Llama', qwen2: 'Qwen2', qwen3: 'Qwen3' }[family]
  write('config.json', {
    architectures: [`${architecture}${isScored ? 'ForSequenceClassification' : 'ForCausalLM'}`],
    model_type: family,
    hidden_act: 'silu',
    hidden_size: hiddenSize,
    intermediate_size: feedForwardSize,
    num_hidden_layers: layers,
    num_attention_heads: queryHeads,
    num_key_value_heads: kvHeads,
    head_dim: headSize,
    vocab_size: tinyVocabulary.length,
    max_position_embeddings: 512,
    rms_norm_eps: 1e-5,
    rope_theta: 10000,
    tie_word_embeddings: head === 'tied',
    bos_token_id: 1,
    eos_token_id: 2,
    pad_token_id: 0,
    ...(isScored
      ? { id2label: Object.fromEntries(Array.from({ length: labels }, (_, label) => [label, `LABEL_${label}`])) }
      : {}),
    ...config
  })
  write('tokenizer.json', { ...tinyTokenizerJson, ...tokenizer })
  write('tokenizer_config.json', {
    bos_token: '<|im_start|>',
    eos_token: '<|im_end|>',
    tokenizer_class: 'PreTrainedTokenizerFast',
    ...(template === null ? {} : { chat_template: template })
  })
}

/** The checkpoints that transformers was asked about. */
export const tinyCheckpoints: Readonly<Record<string, TinyCheckpointOptions>> = {
  llama: {
    family: 'llama',
    head: 'untied',
    shards: 3,
    config: {
      rope_scaling: {
        rope_type: 'llama3', factor: 8, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 64
      }
    }
  },
  qwen2: { family: 'qwen2', dtype: 'BF16' },
  qwen3: { family: 'qwen3', dtype: 'F16' },
  'llama-linear': { family: 'llama', config: { rope_scaling: { type: 'linear', factor: 4 } } },
  // Beyond the trained context only: nothing here is longer.
  'llama-dynamic': { family: 'llama', config: { rope_scaling: { rope_type: 'dynamic', factor: 4 } } },
  'qwen2-yarn': {
    family: 'qwen2',
    config: { rope_scaling: { rope_type: 'yarn', factor: 4, original_max_position_embeddings: 64 } }
  },
  'qwen3-yarn': {
    family: 'qwen3',
    config: {
      rope_parameters: {
        rope_type: 'yarn',
        rope_theta: 100000,
        factor: 8,
        original_max_position_embeddings: 32,
        beta_fast: 16,
        beta_slow: 2,
        mscale: 1,
        mscale_all_dim: 0.5,
        truncate: false
      }
    }
  },
  'llama-yarn': {
    family: 'llama', config: { rope_scaling: { rope_type: 'yarn', factor: 2, attention_factor: 1.5, beta_slow: 3 } }
  },
  'llama-score': { family: 'llama', head: 'score' },
  'qwen2-score': { family: 'qwen2', head: 'score', labels: 3 },
  'qwen3-score': { family: 'qwen3', head: 'score' },
  'qwen2-process': { family: 'qwen2', head: 'process', labels: 2 },
  'qwen2-value': { family: 'qwen2', head: 'value' }
}

const [, script, target] = process.argv
if (script === import.meta.filename && target !== undefined) {
  for (const [name, options] of Object.entries(tinyCheckpoints)) writeTinyCheckpoint(join(target, name), options)
}
