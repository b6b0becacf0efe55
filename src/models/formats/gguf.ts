/**
 * Reads GGUF files: metadata, and tensors by name as float32 or as the integers they are stored in. Knows no
 * architecture. The header is parsed by the package gguf of Hugging Face; what it says is checked against the file
 * before anything is allocated.
 */
import type { FileHandle } from 'node:fs/promises'
import { gguf } from '@huggingface/gguf'
import type { RequestError } from '../../errors.js'
import { closingOnError, openFile, readExactly } from './binary-files.js'
import { refuseModel } from './decoder-tensors.js'
import { encodings, newGroups, type Encoding } from './dequantize.js'
import { overlapping, type LocatedTensor, type TensorFile } from './tensor-file.js'

/** An open file: its metadata and its tensors. */
export interface GgufFile extends TensorFile {
  readonly metadata: Readonly<Record<string, unknown>>
}

const maxCount = 1 << 20
/** Bytes: a large page of memory, the coarsest that there is a reason for. */
const maxAlignment = 1 << 30

const broken = (path: string, why: string, cause?: unknown): RequestError =>
  refuseModel({ path: `${path} is not a usable GGUF file` }, why, cause)

/** The fixed part of the header, before the parser walks counts that may be nonsense. */
async function checkStart (file: FileHandle, path: string, sizeBytes: number): Promise<void> {
  if (sizeBytes < 24) throw broken(path, `it has ${sizeBytes} bytes, fewer than its header`)
  const start = await readExactly(file, 0, 24)
  if (start.getUint32(0, false) !== 0x47475546) throw broken(path, 'it does not start with the magic number GGUF')
  const version = start.getUint32(4, true)
  if (version !== 2 && version !== 3) throw broken(path, `version ${version} is not supported; supported are 2 and 3`)
  for (const [what, count] of [['tensors', start.getBigUint64(8, true)],
    ['metadata entries', start.getBigUint64(16, true)]] as const) {
    if (count > maxCount) throw broken(path, `it claims ${count} ${what}`)
  }
}

/**
 * Where the tensors' data begins: the end of the header, on the next multiple of the alignment. The parser's own offset
 * is right for powers of two only.
 * @param headerEnd bytes from the start of the file
 * @throws RequestError for an alignment that the format does not have
 */
function dataStart (path: string, headerEnd: number, alignment: unknown): number {
  if (typeof alignment !== 'number' || alignment <= 0 || alignment % 8 !== 0 || alignment > maxAlignment) {
    throw broken(path, `general.alignment must be a multiple of 8 from 8 to ${maxAlignment}; got ` +
      JSON.stringify(alignment))
  }
  return Math.ceil(headerEnd / alignment) * alignment
}

function checkedTensor (
  path: string, sizeBytes: number, dataOffset: number,
  info: { name: string, shape: bigint[], dtype: number, offset: bigint }
): LocatedTensor {
  // The parser reads zeros past the end of a file.
  if (info.name === '' || info.shape.length === 0) {
    throw broken(path, 'its header is truncated or corrupt: it lists a tensor without name or shape')
  }
  const encoding = encodings.get(info.dtype)
  if (!encoding) {
    throw broken(path,
      `tensor ${info.name} has type ${info.dtype}, which is not supported; supported are ` +
        `${[...encodings.values()].map(one => one.name).join(', ')}`)
  }
  const shape = info.shape.map(Number).reverse()
  const elements = shape.reduce((product, dim) => product * dim, 1)
  if (!Number.isSafeInteger(elements) || elements < 1 || shape.at(-1)! % encoding.blockSize !== 0) {
    throw broken(path, `tensor ${info.name} has shape [${shape.join(', ')}], which ${encoding.name} does not support`)
  }
  const offset = dataOffset + Number(info.offset)
  const tensorBytes = elements / encoding.blockSize * encoding.blockBytes
  if (offset + tensorBytes > sizeBytes) {
    throw broken(path,
      `tensor ${info.name} ends at byte ${offset + tensorBytes}, but the file has ${sizeBytes}: it is truncated`)
  }
  return { shape, encoding, offset, sizeBytes: tensorBytes }
}

/** What the parser adds to the metadata. */
const ownKeys = ['version', 'tensor_count', 'kv_count']

/** @throws RequestError for names that occur twice: which of the two is meant? */
function checkNames (
  path: string, metadata: { readonly kv_count?: unknown }, names: Iterable<string>,
  tensors: ReadonlyMap<string, LocatedTensor>
): void {
  const entries = new Set([...Object.keys(metadata), ...ownKeys]).size - ownKeys.length
  if (entries !== Number(metadata.kv_count)) {
    throw broken(path, `its ${String(metadata.kv_count)} metadata entries have ${entries} names: one occurs twice`)
  }
  const seen = new Set<string>()
  for (const name of names) {
    if (seen.has(name)) throw broken(path, `tensor ${name} occurs twice`)
    seen.add(name)
  }
  const twice = overlapping(tensors)
  if (twice) throw broken(path, `tensors ${twice[0]} and ${twice[1]} overlap`)
}

/** 64-bit integers as numbers, where they are exact. */
function plainNumbers (metadata: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(metadata).map(([key, value]: [string, unknown]) =>
    [key, typeof value === 'bigint' ? Number.isSafeInteger(Number(value)) ? Number(value) : String(value) : value]))
}

async function parse (path: string, file: FileHandle): Promise<GgufFile> {
  const { size } = await file.stat()
  await checkStart(file, path, size)
  const { metadata, tensorInfos, tensorInfoByteRange } = await gguf(path,
    { allowLocalFile: true }).catch((error: unknown) => {
    throw broken(path, `cannot read its header (${error instanceof Error ? error.message : String(error)})`, error)
  })
  const plain = plainNumbers(metadata)
  const start = dataStart(path, tensorInfoByteRange[1], plain['general.alignment'] ?? 32)
  const tensors = new Map(tensorInfos.map(info => [info.name, checkedTensor(path, size, start, info)]))
  checkNames(path, metadata as object, tensorInfos.map(({ name }) => name), tensors)
  const blocksOf = async (name: string): Promise<{ encoding: Encoding, blocks: DataView, count: number }> => {
    const tensor = tensors.get(name)
    if (!tensor) throw broken(path, `it has no tensor ${name}`)
    return {
      encoding: tensor.encoding,
      blocks: await readExactly(file, tensor.offset, tensor.sizeBytes),
      count: tensor.shape.reduce((product, dim) => product * dim, 1)
    }
  }
  return {
    path,
    metadata: plain,
    tensors,
    async read (name) {
      const { encoding, blocks, count } = await blocksOf(name)
      const values = new Float32Array(count)
      encoding.decode(blocks, values)
      return values
    },
    async readGroups (name) {
      const { encoding, blocks, count } = await blocksOf(name)
      if (!encoding.grouping) throw new Error(`tensor ${name} has no groups: its type is ${encoding.name}`)
      const groups = newGroups(count)
      encoding.grouping.split(blocks, groups)
      return groups
    },
    close: () => file.close()
  }
}

/**
 * Opens a GGUF file, versions 2 and 3.
 * @throws RequestError naming the file and what is wrong with it
 */
export async function openGguf (path: string): Promise<GgufFile> {
  const file = await openFile(path).catch((error: Error) => {
    throw broken(path, `cannot open it: ${error.message}`, error)
  })
  return await closingOnError(file, () => parse(path, file))
}
