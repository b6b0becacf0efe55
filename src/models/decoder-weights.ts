/**
 * A model file's tensors → the weights that the decoder graph names, kept converted on disk so that the next start only
 * reads them. The cache is one file: a header line of JSON with its own checksum, then the tensors.
 */
import { createHash, randomBytes } from 'node:crypto'
import { mkdir, open, rename, rm, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { RequestError } from '../errors.js'
import { Tensor, type DataType, type TensorData } from '../runtime/tensor.js'
import { activationPeaks } from './calibration.js'
import type { DecoderConfig } from './decoder-config.js'
import { decoderMatrices } from './decoder-graph.js'
import type { GgufFile } from './gguf.js'
import { quantizeBlocks, quantizeRows } from './quantize.js'
import { rotate } from './rotation.js'
import { divide, smoothingFactors, smoothMatrix, type Smoothing } from './smoothing.js'
import { blockSize, granularity, matrixKind, roundsRows, type WeightFormat } from './weight-format.js'

/** Raise it when names, formats or layouts change. */
const cacheVersion = 2
const alignment = 64
const headerBytes = 1 << 20

interface Weight { readonly name: string, readonly type: DataType, readonly dims: readonly number[], readonly data: TensorData }
interface Entry { readonly name: string, readonly type: DataType, readonly dims: readonly number[], readonly offset: number, readonly sizeBytes: number }

/** Which of the file's tensors make a matrix, stacked by rows. */
function sources (name: string, tied: boolean): string[] {
  if (name === 'head') return [tied ? 'token_embd.weight' : 'output.weight']
  const [layer, kind] = name.split('.') as [string, string]
  const block = `blk.${layer.slice('layer'.length)}`
  const parts: Record<string, string[]> = { qkv: ['attn_q', 'attn_k', 'attn_v'], attention_output: ['attn_output'], gate_up: ['ffn_gate', 'ffn_up'], down: ['ffn_down'] }
  return parts[kind]!.map(part => `${block}.${part}.weight`)
}

/** [N, K] → [K, N], as MatMul takes it. */
function transpose (matrix: Float32Array, rows: number, columns: number): Float32Array {
  const transposed = new Float32Array(matrix.length)
  for (let row = 0; row < rows; row++) for (let column = 0; column < columns; column++) transposed[column * rows + row] = matrix[row * columns + column]!
  return transposed
}

async function readStacked (file: GgufFile, names: readonly string[]): Promise<Float32Array> {
  const parts: Float32Array[] = []
  for (const name of names) parts.push(await file.read(name))
  const stacked = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) { stacked.set(part, at); at += part.length }
  return stacked
}

function matrixWeights (name: string, matrix: Float32Array, rows: number, columns: number, format: WeightFormat): Weight[] {
  const kind = matrixKind(format, name)
  if (kind === 'float') return [{ name, type: 'float32', dims: [columns, rows], data: transpose(matrix, rows, columns) }]
  if (roundsRows(kind)) {
    const { values, scales } = quantizeRows(kind === 'rows8' ? matrix : rotate(matrix), rows)
    return [{ name: `${name}.values`, type: 'int8', dims: [columns, rows], data: values }, { name: `${name}.scales`, type: 'float32', dims: [rows], data: scales }]
  }
  const { values, scales } = quantizeBlocks(matrix)
  const blocks = columns / blockSize
  return [{ name: `${name}.values`, type: 'uint8', dims: [rows, blocks, blockSize], data: values }, { name: `${name}.scales`, type: 'float32', dims: [rows, blocks], data: scales }]
}

/** A matrix as the file has it, float32 [N, K]. */
const readMatrix = (file: GgufFile, config: DecoderConfig, name: string): Promise<Float32Array> => readStacked(file, sources(name, config.tiedEmbeddings))

/**
 * Converts every weight, one after the other, so that only one float32 matrix is in memory at a time.
 * @param smoothing factors of the matrices that are smoothed
 */
async function * convert (file: GgufFile, config: DecoderConfig, format: WeightFormat, smoothing: Smoothing): AsyncGenerator<Weight> {
  const norm = async (name: string, source: string, matrix: string | null): Promise<Weight> => {
    const data = await file.read(source)
    const factors = matrix === null ? undefined : smoothing.get(matrix)
    if (factors) divide(data, factors)
    return { name, type: 'float32', dims: [config.hiddenSize], data }
  }
  yield { name: 'embedding', type: 'float32', dims: [config.vocabularySize, config.hiddenSize], data: await file.read('token_embd.weight') }
  yield await norm('final_norm', 'output_norm.weight', null)
  const head = smoothing.get('head')
  if (head) yield { name: 'head.smoothing', type: 'float32', dims: [config.hiddenSize], data: head.map(factor => 1 / factor) }
  for (let layer = 0; layer < config.layers; layer++) {
    yield await norm(`layer${layer}.attention_norm`, `blk.${layer}.attn_norm.weight`, `layer${layer}.qkv`)
    yield await norm(`layer${layer}.feed_forward_norm`, `blk.${layer}.ffn_norm.weight`, `layer${layer}.gate_up`)
  }
  for (const [name, [rows, columns]] of decoderMatrices(config)) {
    yield * matrixWeights(name, smoothMatrix(config, name, await readMatrix(file, config, name), columns, smoothing), rows, columns, format)
  }
}

async function writeAll (file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.byteLength;) done += (await file.write(bytes, done, bytes.byteLength - done, position + done)).bytesWritten
}

const checksum = (text: string): string => createHash('sha256').update(text).digest('hex')

async function writeCache (path: string, weights: AsyncIterable<Weight>): Promise<void> {
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
    if (header.byteLength > headerBytes) throw new Error(`the index of ${entries.length} weights does not fit its ${headerBytes} bytes`)
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
    if (bytesRead === 0) throw new Error('the weight cache ended while it was read')
    done += bytesRead
  }
  return tensor
}

/** The tensors of a cache file; null where there is none or it is not whole. */
async function readCache (path: string): Promise<Map<string, Tensor> | null> {
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

/** Rotary tables: cos and sin of position · base^(−2i / head size), [positions, head size / 2]. */
function rotaryTables ({ headSize, ropeBase }: DecoderConfig, positions: number): Map<string, Tensor> {
  const half = headSize / 2
  const cos = Tensor.allocate('float32', [positions, half])
  const sin = Tensor.allocate('float32', [positions, half])
  for (let i = 0; i < half; i++) {
    const frequency = ropeBase ** (-2 * i / headSize)
    for (let position = 0; position < positions; position++) {
      cos.data[position * half + i] = Math.cos(position * frequency)
      sin.data[position * half + i] = Math.sin(position * frequency)
    }
  }
  return new Map([['rope_cos', cos], ['rope_sin', sin]])
}

export interface WeightOptions {
  readonly format: WeightFormat
  readonly cacheDir: string
  /** SHA-256 of the model file: what the cache is keyed by. */
  readonly sha256: string
  /** Rows of the rotary tables. */
  readonly ropePositions: number
  /** Threads of the calibration. */
  readonly threads: number
  /** Tokens of ordinary texts, asked for only if the format is calibrated. */
  readonly calibration: () => ReadonlyArray<readonly number[]>
  readonly onProgress: (message: string) => void
}

/** @throws RequestError for a matrix that the format cannot hold */
function checkFormat (config: DecoderConfig, format: WeightFormat): void {
  for (const [name, [, columns]] of decoderMatrices(config)) {
    const multiple = granularity(matrixKind(format, name))
    if (columns % multiple !== 0) throw new RequestError('invalid_request', `format ${format} needs matrices whose inputs are a multiple of ${multiple}; ${name} has ${columns}: f32 can hold it`, { param: 'format' })
  }
}

/** Factors of every matrix that a format smooths, from what the float32 model computes on the calibration texts. */
async function smoothingOf (file: GgufFile, config: DecoderConfig, { format, threads, calibration, onProgress }: WeightOptions): Promise<Smoothing> {
  const names = [...decoderMatrices(config).keys()].filter(name => roundsRows(matrixKind(format, name)))
  if (names.length === 0) return new Map()
  onProgress('calibrating')
  const texts = calibration()
  const exact = rotaryTables(config, Math.max(...texts.map(text => text.length)))
  for await (const { name, type, dims, data } of convert(file, config, 'f32', new Map())) {
    const tensor = Tensor.allocate(type, dims)
    ;(tensor.data as Float32Array).set(data as Float32Array)
    exact.set(name, tensor)
  }
  const peaks = await activationPeaks(config, exact, texts, threads)
  const smoothing = new Map<string, Float32Array>()
  for (const name of names) smoothing.set(name, smoothingFactors(peaks.get(name)!, await readMatrix(file, config, name)))
  return smoothing
}

/** Every external initializer of the decoder graph, by name. A cache that is missing, of another size, or whose index is damaged is made anew. */
export async function loadDecoderWeights (file: GgufFile, config: DecoderConfig, options: WeightOptions): Promise<Map<string, Tensor>> {
  const { format, cacheDir, sha256, ropePositions, onProgress } = options
  checkFormat(config, format)
  const directory = join(cacheDir, 'weights')
  const path = join(directory, `${sha256.slice(0, 16)}-${format}-v${cacheVersion}.bin`)
  let tensors = await readCache(path)
  if (!tensors) {
    onProgress(`converting weights to ${format}`)
    await mkdir(directory, { recursive: true })
    await writeCache(path, convert(file, config, format, await smoothingOf(file, config, options)))
    tensors = await readCache(path)
    if (!tensors) throw new Error(`the weight cache ${path} cannot be read back`)
  }
  for (const [name, tensor] of rotaryTables(config, ropePositions)) tensors.set(name, tensor)
  return tensors
}
