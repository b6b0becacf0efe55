/**
 * Writes GGUF files, version 3: metadata and tensors given as bytes in their encoding. Knows no architecture. Source:
 * the format's specification (ggml, docs/gguf.md).
 */

/**
 * A metadata value: text, truth, an unsigned 32-bit integer, a 32-bit float, a list of texts or of signed 32-bit
 * integers.
 */
export type Metadata = string | boolean | number | { readonly float: number } | readonly string[] | readonly number[]

/** Encodings by their number in the format: values per block, bytes per block. */
export const ggufEncodings = {
  F32: { id: 0, blockSize: 1, blockBytes: 4 },
  Q4_0: { id: 2, blockSize: 32, blockBytes: 18 },
  Q4_1: { id: 3, blockSize: 32, blockBytes: 20 },
  Q8_0: { id: 8, blockSize: 32, blockBytes: 34 }
} as const

export interface TensorShape {
  readonly name: string
  /** Slowest axis first: a matrix is [rows, columns]. */
  readonly shape: readonly number[]
  readonly encoding: keyof typeof ggufEncodings
}

/** What every tensor's data begins on a multiple of, in bytes, unless the metadata say otherwise. */
const defaultAlignment = 32
const valueTypes = { uint32: 4, int32: 5, float32: 6, bool: 7, string: 8, array: 9 } as const

const u32 = (value: number): Buffer => { const bytes = Buffer.alloc(4); bytes.writeUInt32LE(value); return bytes }
const i32 = (value: number): Buffer => { const bytes = Buffer.alloc(4); bytes.writeInt32LE(value); return bytes }
const u64 = (
  value: number
): Buffer => { const bytes = Buffer.alloc(8); bytes.writeBigUInt64LE(BigInt(value)); return bytes }
const f32 = (value: number): Buffer => { const bytes = Buffer.alloc(4); bytes.writeFloatLE(value); return bytes }
const text = (
  value: string
): Buffer => { const bytes = Buffer.from(value); return Buffer.concat([u64(bytes.length), bytes]) }

function metadataValue (value: Metadata): Buffer {
  if (typeof value === 'string') return Buffer.concat([u32(valueTypes.string), text(value)])
  if (typeof value === 'boolean') return Buffer.concat([u32(valueTypes.bool), Buffer.of(Number(value))])
  if (typeof value === 'number') return Buffer.concat([u32(valueTypes.uint32), u32(value)])
  if ('float' in value) return Buffer.concat([u32(valueTypes.float32), f32(value.float)])
  const texts = typeof value[0] === 'string'
  const entries = value.map(one => typeof one === 'string' ? text(one) : i32(one))
  return Buffer.concat([u32(valueTypes.array), u32(texts ? valueTypes.string : valueTypes.int32), u64(value.length),
    ...entries])
}

const padded = (size: number, alignment = defaultAlignment): number => Math.ceil(size / alignment) * alignment

/** Bytes of a tensor's data, without padding. */
export function tensorBytes ({ shape, encoding }: TensorShape): number {
  const { blockSize, blockBytes } = ggufEncodings[encoding]
  return shape.reduce((product, size) => product * size, 1) / blockSize * blockBytes
}

/** Zeros that bring a tensor's data to the next one's beginning. */
export const tensorPadding = (tensor: TensorShape, alignment = defaultAlignment): Buffer =>
  Buffer.alloc(padded(tensorBytes(tensor), alignment) - tensorBytes(tensor))

/**
 * All that comes before the first tensor's data, padding included. Then come the tensors in this order, each with its
 * padding.
 */
export function ggufHeader (metadata: Readonly<Record<string, Metadata>>, tensors: readonly TensorShape[]): Buffer {
  const given = metadata['general.alignment']
  const alignment = typeof given === 'number' ? given : defaultAlignment
  let offset = 0
  const infos = tensors.map(tensor => {
    const info = Buffer.concat([text(tensor.name), u32(tensor.shape.length), ...tensor.shape.toReversed().map(u64),
      u32(ggufEncodings[tensor.encoding].id), u64(offset)])
    offset += padded(tensorBytes(tensor), alignment)
    return info
  })
  const entries = Object.entries(metadata).flatMap(([key, value]) => [text(key), metadataValue(value)])
  const header = Buffer.concat([Buffer.from('GGUF'), u32(3), u64(tensors.length), u64(Object.keys(metadata).length),
    ...entries, ...infos])
  return Buffer.concat([header, Buffer.alloc(padded(header.length, alignment) - header.length)])
}
