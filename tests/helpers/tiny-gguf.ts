/** Writes a small random Llama-family GGUF file: the fixture of everything that needs a model but not a good one. */
import { writeFileSync } from 'node:fs'

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
}

type Metadata = string | number | { readonly float: number } | readonly string[] | readonly number[]

const chatTemplate = "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"

/** GPT-2's printable stand-in of each byte. */
function byteTokens (): string[] {
  const printable = (byte: number): boolean => (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174
  let next = 256
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(printable(byte) ? byte : next++))
}

const controlTokens = ['<|endoftext|>', '<|im_start|>', '<|im_end|>']
const merges = ['t h', 'Ġ t', 'a n', 'i n', 'th e']

/** The vocabulary: three control tokens, 256 bytes, a few merged ones. 264 tokens. */
export const tinyVocabulary = [...controlTokens, ...byteTokens(), ...merges.map(merge => merge.replace(' ', ''))]

class Writer {
  readonly parts: Buffer[] = []
  size = 0
  bytes (buffer: Buffer): void { this.parts.push(buffer); this.size += buffer.length }
  u32 (value: number): void { const b = Buffer.alloc(4); b.writeUInt32LE(value); this.bytes(b) }
  u64 (value: number): void { const b = Buffer.alloc(8); b.writeBigUInt64LE(BigInt(value)); this.bytes(b) }
  f32 (value: number): void { const b = Buffer.alloc(4); b.writeFloatLE(value); this.bytes(b) }
  text (value: string): void { const b = Buffer.from(value); this.u64(b.length); this.bytes(b) }

  value (value: Metadata): void {
    if (typeof value === 'string') { this.u32(8); this.text(value) } else if (typeof value === 'number') { this.u32(4); this.u32(value) } else if ('float' in value) { this.u32(6); this.f32(value.float) } else {
      this.u32(9)
      this.u32(typeof value[0] === 'string' ? 8 : 5)
      this.u64(value.length)
      for (const one of value) if (typeof one === 'string') this.text(one); else this.u32(one)
    }
  }
}

/** Numbers in (−½, ½) from a seed. */
function noise (seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32 - 0.5
  }
}

/** The file's bytes: 2 layers, hidden 64, 4 query and 2 kv heads of 16, feed-forward 128, context 512 unless told otherwise. */
export function tinyGguf ({ layers = 2, hiddenSize = 64, queryHeads = 4, kvHeads = 2, feedForwardSize = 128, contextLength = 512, seed = 1, metadata = {}, without = [] }: TinyOptions = {}): Buffer {
  const headSize = hiddenSize / queryHeads
  const entries: Record<string, Metadata> = {
    'general.architecture': 'llama',
    'llama.block_count': layers,
    'llama.context_length': contextLength,
    'llama.embedding_length': hiddenSize,
    'llama.feed_forward_length': feedForwardSize,
    'llama.attention.head_count': queryHeads,
    'llama.attention.head_count_kv': kvHeads,
    'llama.rope.freq_base': { float: 10000 },
    'llama.attention.layer_norm_rms_epsilon': { float: 1e-5 },
    'tokenizer.ggml.model': 'gpt2',
    'tokenizer.ggml.pre': 'smollm',
    'tokenizer.ggml.tokens': tinyVocabulary,
    'tokenizer.ggml.token_type': tinyVocabulary.map((_, id) => id < controlTokens.length ? 3 : 1),
    'tokenizer.ggml.merges': merges,
    'tokenizer.ggml.bos_token_id': 1,
    'tokenizer.ggml.eos_token_id': 2,
    'tokenizer.chat_template': chatTemplate,
    ...metadata
  }
  const shapes: Record<string, readonly number[]> = { 'token_embd.weight': [tinyVocabulary.length, hiddenSize], 'output_norm.weight': [hiddenSize] }
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
  const writer = new Writer()
  writer.bytes(Buffer.from('GGUF'))
  writer.u32(3)
  writer.u64(tensors.length)
  writer.u64(Object.keys(entries).length)
  for (const [key, value] of Object.entries(entries)) { writer.text(key); writer.value(value) }
  let offset = 0
  for (const [name, shape] of tensors) {
    writer.text(name)
    writer.u32(shape.length)
    for (const dim of [...shape].reverse()) writer.u64(dim)
    writer.u32(0)
    writer.u64(offset)
    offset += Math.ceil(4 * shape.reduce((a, b) => a * b, 1) / 32) * 32
  }
  writer.bytes(Buffer.alloc((32 - writer.size % 32) % 32))
  const random = noise(seed)
  for (const [name, shape] of tensors) {
    const values = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => name.includes('norm') ? 1 + 0.2 * random() : 0.6 * random())
    writer.bytes(Buffer.concat([Buffer.from(values.buffer), Buffer.alloc((32 - values.byteLength % 32) % 32)]))
  }
  return Buffer.concat(writer.parts)
}

/** Writes the file. */
export function writeTinyGguf (path: string, options: TinyOptions = {}): void { writeFileSync(path, tinyGguf(options)) }
