/**
 * Reads safetensors files: tensors by name as float32. Knows no architecture. What the header says is checked against
 * the file before anything is allocated. Source: the format's description (huggingface/safetensors, README).
 */
import type { FileHandle } from 'node:fs/promises'
import type { RequestError } from '../../errors.js'
import { closingOnError, openFile, readExactly } from './binary-files.js'
import { refuseModel } from './decoder-tensors.js'
import { encodings, type Encoding } from './dequantize.js'
import { parseObject } from './json-files.js'
import { overlapping, type LocatedTensor } from './tensor-file.js'

/** An open file. */
export interface SafetensorsFile {
  readonly path: string
  readonly tensors: ReadonlyMap<string, LocatedTensor>
  /** The values of one of its tensors, row-major. */
  read (name: string): Promise<Float32Array>
  close (): Promise<void>
}

/** What tensors may be made of, by the format's names. */
const readable = new Map([...encodings.values()].filter(({ name }) => ['F32', 'F16', 'BF16'].includes(name))
  .map(encoding => [encoding.name, encoding]))
/** The format's own bound of a header, bytes. */
const maxHeaderBytes = 100_000_000

const broken = (path: string, why: string, cause?: unknown): RequestError =>
  refuseModel({ path: `${path} is not a usable safetensors file` }, why, cause)

const isCount = (value: unknown): value is number =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0

function encodingOf (path: string, name: string, dtype: unknown): Encoding {
  const encoding = readable.get(dtype as string)
  if (!encoding) {
    throw broken(path, `tensor ${name} has type ${JSON.stringify(dtype)}, which is not supported; supported are ` +
      `${[...readable.keys()].join(', ')}`)
  }
  return encoding
}

function checkedTensor (
  path: string, name: string, info: unknown, dataStart: number, sizeBytes: number
): LocatedTensor {
  const { dtype, shape, data_offsets: offsets } = (info ?? {}) as Record<string, unknown>
  const encoding = encodingOf(path, name, dtype)
  if (!Array.isArray(shape) || !shape.every(isCount)) {
    throw broken(path, `tensor ${name} must have a list of sizes as its shape; got ${JSON.stringify(shape)}`)
  }
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isCount)) {
    throw broken(path, `tensor ${name} must have two data_offsets; got ${JSON.stringify(offsets)}`)
  }
  const [start, end] = offsets as [number, number]
  const needed = shape.reduce((product: number, size: number) => product * size, 1) * encoding.blockBytes
  if (end - start !== needed) {
    throw broken(path, `tensor ${name} of shape [${shape.join(', ')}] in ${encoding.name} needs ${needed} bytes; its ` +
      `data_offsets span ${end - start}`)
  }
  if (dataStart + end > sizeBytes) {
    throw broken(path, `tensor ${name} ends at byte ${dataStart + end}, but the file has ${sizeBytes}: it is truncated`)
  }
  return { shape: shape as number[], encoding, offset: dataStart + start, sizeBytes: needed }
}

async function readHeader (
  file: FileHandle, path: string, sizeBytes: number
): Promise<{ header: Record<string, unknown>, dataStart: number }> {
  if (sizeBytes < 8) throw broken(path, `it has ${sizeBytes} bytes, fewer than the length of a header`)
  const length = Number((await readExactly(file, 0, 8)).getBigUint64(0, true))
  if (length > maxHeaderBytes ||
      8 + length > sizeBytes) throw broken(path, `its header length is ${length}, but the file has ${sizeBytes} bytes`)
  const bytes = new Uint8Array((await readExactly(file, 8, length)).buffer)
  try {
    return { header: parseObject(new TextDecoder('utf-8', { fatal: true }).decode(bytes)), dataStart: 8 + length }
  } catch (error) {
    throw broken(path, `its header cannot be read: ${(error as Error).message}`, error)
  }
}

/** As the format has it, every byte of data is one tensor's. @throws RequestError where it is several's, or none's */
function checkCover (path: string, tensors: ReadonlyMap<string, LocatedTensor>, dataBytes: number): void {
  const twice = overlapping(tensors)
  if (twice) throw broken(path, `tensors ${twice[0]} and ${twice[1]} overlap`)
  const covered = [...tensors.values()].reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  if (covered !== dataBytes) {
    throw broken(path, `its tensors have ${covered} of ${dataBytes} bytes of data: some belong to none, or a name ` +
      'occurs twice')
  }
}

async function parse (file: FileHandle, path: string): Promise<SafetensorsFile> {
  const { size } = await file.stat()
  const { header, dataStart } = await readHeader(file, path, size)
  const named = Object.entries(header).filter(([name]) => name !== '__metadata__')
  const tensors = new Map(named.map(([name, info]) => [name, checkedTensor(path, name, info, dataStart, size)]))
  checkCover(path, tensors, size - dataStart)
  return {
    path,
    tensors,
    async read (name) {
      const { encoding, offset, sizeBytes } = tensors.get(name)!
      const values = new Float32Array(sizeBytes / encoding.blockBytes)
      encoding.decode(await readExactly(file, offset, sizeBytes), values)
      return values
    },
    close: () => file.close()
  }
}

/**
 * Opens a safetensors file.
 * @throws RequestError naming the file and what is wrong with it
 */
export async function openSafetensors (path: string): Promise<SafetensorsFile> {
  const file = await openFile(path).catch((error: Error) => {
    throw broken(path, `cannot open it: ${error.message}`, error)
  })
  return await closingOnError(file, () => parse(file, path))
}
