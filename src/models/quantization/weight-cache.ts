/**
 * The file that converted weights are kept in, so that the next start only reads them: a header line of JSON with its
 * own checksum, then the tensors. Knows no models.
 */
import { createHash, randomBytes } from 'node:crypto'
import { open, rename, rm, type FileHandle } from 'node:fs/promises'
import { Tensor, type DataType, type TensorData } from '../../runtime/tensor.js'

const alignment = 64
const headerBytes = 1 << 20

/** One tensor of a converted model, row-major. */
export interface Weight {
  readonly name: string, readonly type: DataType, readonly dims: readonly number[], readonly data: TensorData
}
interface Entry {
  readonly name: string,
  readonly type: DataType,
  readonly dims: readonly number[],
  readonly offset: number,
  readonly sizeBytes: number
}

async function writeAll (file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.byteLength;) {
    done += (await file.write(bytes, done, bytes.byteLength - done, position + done)).bytesWritten
  }
}

const checksum = (text: string): string => createHash('sha256').update(text).digest('hex')

/** Writes a cache file. It gets its name when it is whole. */
export async function writeCache (path: string, weights: AsyncIterable<Weight>): Promise<void> {
  const partial = `${path}.${process.pid}.${randomBytes(4).toString('hex')}.part`
  const file = await open(partial, 'w')
  try {
    const entries: Entry[] = []
    let offset = headerBytes
    for await (const { name, type, dims, data } of weights) {
      await writeAll(file, new Uint8Array(data.buffer, data.byteOffset, data.byteLength), offset)
      entries.push({ name, type, dims, offset, sizeBytes: data.byteLength })
      offset += Math.ceil(data.byteLength / alignment) * alignment
    }
    await file.truncate(offset)
    const index = JSON.stringify({ entries, sizeBytes: offset })
    const header = Buffer.from(`${checksum(index)}\n${index}\n`)
    if (header.byteLength > headerBytes) {
      throw new Error(`the index of ${entries.length} weights does not fit its ${headerBytes} bytes`)
    }
    await writeAll(file, header, 0)
    await file.sync()
    await file.close()
    await rename(partial, path)
  } catch (error) {
    await file.close().catch(() => {})
    await rm(partial, { force: true })
    throw error
  }
}

async function readIndex (file: FileHandle): Promise<Entry[] | null> {
  const header = Buffer.alloc(headerBytes)
  await file.read(header, 0, headerBytes, 0)
  const [sum, text] = header.toString('utf8').split('\n')
  if (sum === undefined || text === undefined || checksum(text) !== sum) return null
  const { entries, sizeBytes } = JSON.parse(text) as { entries: Entry[], sizeBytes: number }
  return (await file.stat()).size === sizeBytes ? entries : null
}

async function readTensor (file: FileHandle, { type, dims, offset, sizeBytes }: Entry): Promise<Tensor> {
  const tensor = Tensor.allocate(type, dims)
  const bytes = new Uint8Array(tensor.data.buffer, tensor.data.byteOffset, sizeBytes)
  for (let done = 0; done < sizeBytes;) {
    const { bytesRead } = await file.read(bytes, done, sizeBytes - done, offset + done)
    if (bytesRead === 0) throw new Error('unexpected end of the weight cache')
    done += bytesRead
  }
  return tensor
}

/** The tensors of a cache file; null where there is none or it is not whole. */
export async function readCache (path: string): Promise<Map<string, Tensor> | null> {
  const file = await open(path).catch(() => null)
  if (!file) return null
  try {
    const entries = await readIndex(file)
    if (!entries) return null
    const tensors = new Map<string, Tensor>()
    for (const entry of entries) tensors.set(entry.name, await readTensor(file, entry))
    return tensors
  } finally {
    await file.close()
  }
}
