/** Writes a small random Llama-family GGUF file: the fixture of everything that needs a model but not a good one. */
import { writeFileSync } from 'node:fs'
import {
  ggufEncodings, ggufHeader, tensorBytes, tensorPadding, type Metadata, type TensorShape
} from '../../scripts/gguf-writer.js'
import { chatTemplate, controlTokens, merges, noise, tinyVocabulary } from './tiny-vocabulary.js'

export interface TinyOptions {
  readonly layers?: number
  readonly hiddenSize?: number
  readonly queryHeads?: number
  readonly kvHeads?: number
  readonly feedForwardSize?: number
  readonly contextLength?: number
  readonly seed?: number
  /** Added to, or put in place of, the metadata. */
  readonly metadata?: Readonly<Record<string, Metadata>>
  /** Tensors left out, by name. */
  readonly without?: readonly string[]
  /** How a matrix is encoded; norms are always F32, and so is all of it unless told otherwise. */
  readonly encode?: (name: string) => TinyEncoding
  /** The value at a place of an F32 matrix, row-major. */
  readonly value?: (name: string, at: number) => number
}

export type TinyEncoding = TensorShape['encoding']

/** The half-precision numbers that begin a block of 32: a scale, and a minimum of Q4_1. Values are in ±0.3. */
const blockBegins = { Q4_0: [0x28CD], Q4_1: [0x291F, 0xB4CD], Q8_0: [0x18D5] } as const

/** Random values in a tensor's encoding. */
function tensorData (tensor: TensorShape, random: () => number, value: TinyOptions['value']): Buffer {
  const { name, encoding } = tensor
  if (encoding === 'F32') {
    const matrixValue = value ? (at: number) => value(name, at) : () => 0.6 * random()
    const values = Float32Array.from({ length: tensorBytes(tensor) / 4 }, (_, at) =>
      name.includes('norm') ? 1 + 0.2 * random() : matrixValue(at))
    return Buffer.from(values.buffer)
  }
  const data = Buffer.from(Uint8Array.from({ length: tensorBytes(tensor) }, () => Math.floor((random() + 0.5) * 256)))
  for (let at = 0; at < data.length; at += ggufEncodings[encoding].blockBytes) {
    for (const [index, bits] of blockBegins[encoding].entries()) data.writeUInt16LE(bits, at + 2 * index)
  }
  return data
}

/** A decoder's metadata and the tiny vocabulary's. */
export function tinyMetadata (
  family: string,
  { layers, hiddenSize, queryHeads, kvHeads, feedForwardSize, contextLength }: Required<Pick<TinyOptions, 'layers'
    | 'hiddenSize' | 'queryHeads' | 'kvHeads' | 'feedForwardSize' | 'contextLength'>>
): Record<string, Metadata> {
  return {
    'general.architecture': family,
    [`${family}.block_count`]: layers,
    [`${family}.context_length`]: contextLength,
    [`${family}.embedding_length`]: hiddenSize,
    [`${family}.feed_forward_length`]: feedForwardSize,
    [`${family}.attention.head_count`]: queryHeads,
    [`${family}.attention.head_count_kv`]: kvHeads,
    [`${family}.rope.freq_base`]: { float: 10000 },
    [`${family}.attention.layer_norm_rms_epsilon`]: { float: 1e-5 },
    'tokenizer.ggml.model': 'gpt2',
    'tokenizer.ggml.pre': 'smollm',
    'tokenizer.ggml.tokens': tinyVocabulary,
    'tokenizer.ggml.token_type': tinyVocabulary.map((_, id) => id < controlTokens.length ? 3 : 1),
    'tokenizer.ggml.merges': merges,
    'tokenizer.ggml.bos_token_id': 1,
    'tokenizer.ggml.eos_token_id': 2,
    'tokenizer.chat_template': chatTemplate
  }
}

/**
 * The file's bytes: 2 layers, hidden 64, 4 query and 2 kv heads of 16, feed-forward 128, context 512 unless told
 * otherwise.
 */
export function tinyGguf ({
  layers = 2, hiddenSize = 64, queryHeads = 4, kvHeads = 2, feedForwardSize = 128, contextLength = 512, seed = 1,
  metadata = {}, without = [], encode = () => 'F32', value
}: TinyOptions = {}): Buffer {
  const headSize = hiddenSize / queryHeads
  const entries: Record<string, Metadata> = {
    ...tinyMetadata('llama', { layers, hiddenSize, queryHeads, kvHeads, feedForwardSize, contextLength }), ...metadata
  }
  const { length: tokens } = entries['tokenizer.ggml.tokens'] as readonly string[]
  const shapes: Record<string, readonly number[]> = {
    'token_embd.weight': [tokens, hiddenSize], 'output_norm.weight': [hiddenSize]
  }
  for (let layer = 0; layer < layers; layer++) {
    Object.assign(shapes, Object.fromEntries(Object.entries({
      attn_norm: [hiddenSize],
      ffn_norm: [hiddenSize],
      attn_q: [queryHeads * headSize, hiddenSize],
      attn_k: [kvHeads * headSize, hiddenSize],
      attn_v: [kvHeads * headSize, hiddenSize],
      attn_output: [hiddenSize, queryHeads * headSize],
      ffn_gate: [feedForwardSize, hiddenSize],
      ffn_up: [feedForwardSize, hiddenSize],
      ffn_down: [hiddenSize, feedForwardSize]
    }).map(([name, shape]) => [`blk.${layer}.${name}.weight`, shape])))
  }
  const tensors = Object.entries(shapes).filter(([name]) => !without.includes(name))
    .map(([name, shape]): TensorShape => ({ name, shape, encoding: name.includes('norm') ? 'F32' : encode(name) }))
  const random = noise(seed)
  const alignment = entries['general.alignment'] as number | undefined
  return Buffer.concat([ggufHeader(entries, tensors),
    ...tensors.flatMap(tensor => [tensorData(tensor, random, value), tensorPadding(tensor, alignment)])])
}

/** Writes the file. */
export function writeTinyGguf (path: string, options: TinyOptions = {}): void { writeFileSync(path, tinyGguf(options)) }
