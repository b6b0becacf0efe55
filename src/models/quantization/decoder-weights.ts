/** Every weight of a decoder, as tensors: calibrated and converted once, then read from the cache. */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { RequestError } from '../../errors.js'
import { Tensor } from '../../runtime/tensor.js'
import { activationPeaks } from './calibration.js'
import {
  convertWeights, headHoldsEmbedding, peakWeight, readForLayout, uncalibrated, type Calibrated
} from './convert-weights.js'
import type { DecoderConfig } from '../decoder-config.js'
import { decoderMatrices, outputParts } from '../graph/decoder-matrices.js'
import { ropeFactorsTensor } from '../formats/decoder-tensors.js'
import { groupSize } from '../formats/dequantize.js'
import type { TensorFile } from '../formats/tensor-file.js'
import { smoothingFactors } from './smoothing.js'
import { readCache, writeCache } from './weight-cache.js'
import {
  fitScales, granularity, isSmoothed, onFixedScale, weightLayout, type DeviceFormat, type WeightLayout
} from './weight-format.js'

/** Raise it when names, formats or layouts change. */
const cacheVersion = 6

/**
 * Rotary tables: cos and sin of position · base^(−2i / head size) / divisor_i, times the magnitude, [positions, head
 * size / 2]. Divisors are the configuration's and those of a tensor that GGUF files may have.
 */
async function rotaryTables (
  file: TensorFile, { headSize, ropeBase, ropeDivisors, ropeMagnitude }: DecoderConfig, positions: number
): Promise<Map<string, Tensor>> {
  const factors = file.tensors.has(ropeFactorsTensor) ? await file.read(ropeFactorsTensor) : null
  const half = headSize / 2
  const cos = Tensor.allocate('float32', [positions, half])
  const sin = Tensor.allocate('float32', [positions, half])
  for (let i = 0; i < half; i++) {
    const frequency = ropeBase ** (-2 * i / headSize) / (factors?.[i] ?? 1) / (ropeDivisors?.[i] ?? 1)
    for (let position = 0; position < positions; position++) {
      cos.data[position * half + i] = ropeMagnitude * Math.cos(position * frequency)
      sin.data[position * half + i] = ropeMagnitude * Math.sin(position * frequency)
    }
  }
  return new Map([['rope_cos', cos], ['rope_sin', sin]])
}

export interface WeightOptions {
  readonly format: DeviceFormat
  /** Of the format. */
  readonly layout: WeightLayout
  /** What the cache is called: default the format's name. */
  readonly cacheName?: string
  readonly cacheDir: string
  /** SHA-256 of the model file: what the cache is keyed by. */
  readonly sha256: string
  /** Rows of the rotary tables. */
  readonly ropePositions: number
  /** Tells the processor's kernels apart: what is calibrated with them is kept for them. */
  readonly kernels: string
  /** Threads of the calibration. */
  readonly threads: number
  /** Tokens of ordinary texts, asked for only if the format is calibrated. */
  readonly calibration: () => ReadonlyArray<readonly number[]>
  readonly onProgress: (message: string) => void
}

/** @throws RequestError for a matrix that the format cannot hold */
function checkFormat (config: DecoderConfig, { format, layout }: WeightOptions): void {
  for (const [name, [, columns]] of decoderMatrices(config)) {
    const multiple = granularity(layout.matrices.get(name)!)
    if (columns % multiple !== 0) {
      throw new RequestError('invalid_request', `format ${format} requires matrices whose input size is a ` +
        `multiple of ${multiple}; ${name} has ${columns}; use f32`, { param: 'format' })
    }
  }
}

/** Matrices that are smoothed. */
const smoothed = (layout: WeightLayout): string[] =>
  [...layout.matrices.keys()].filter(name => isSmoothed(layout, name))

/** What a layout needs to know of the values that the float32 model computes on the calibration texts. */
async function calibrate (
  file: TensorFile, config: DecoderConfig, { layout, threads, calibration, onProgress }: WeightOptions
): Promise<Calibrated> {
  if (smoothed(layout).length === 0) return uncalibrated
  onProgress('calibrating')
  const texts = calibration()
  const { rotatesHidden } = layout
  const exact = { ...weightLayout(config, 'f32', file.tensors), rotatesHidden }
  const weights = await rotaryTables(file, config, Math.max(...texts.map(text => text.length)))
  for await (const {
    name, type, dims, data
  } of convertWeights({ file, config, layout: exact, ...uncalibrated })) {
    const tensor = Tensor.allocate(type, dims)
    tensor.data.set(data as never)
    weights.set(name, tensor)
  }
  const peaks = await activationPeaks(config, exact, weights, texts, threads)
  const smoothing = new Map<string, Float32Array>()
  for (const name of smoothed(layout)) {
    smoothing.set(name, smoothingFactors(peaks.get(name)!, await readForLayout(file, config, layout, name)))
  }
  const largest = (name: string): number => peaks.get(name)!.reduce((most, peak) => Math.max(most, peak), 0)
  return { smoothing, peaks: new Map(onFixedScale(layout).map(name => [name, largest(name)])) }
}

/** The embedding as the head's memory shows it. */
function embeddingInHead (
  { vocabularySize, hiddenSize }: DecoderConfig, tensors: ReadonlyMap<string, Tensor>
): Map<string, Tensor> {
  const view = (part: string, columns: number): [string, Tensor] =>
    [`embedding.${part}`, tensors.get(`head.${part}`)!.view(0, [vocabularySize, columns])]
  return new Map([view('values', hiddenSize), view('scales', hiddenSize / groupSize)])
}

/** Levels of signed rows with the zero point 128, in place: the cache holds them signed, for every processor. */
function withZeroPoint (tensor: Tensor): Tensor {
  const { buffer, byteOffset, length } = tensor.data
  const words = new Int32Array(buffer as ArrayBuffer, byteOffset, length >> 2)
  for (let at = 0; at < words.length; at++) words[at]! ^= 0x80808080
  const bytes = new Uint8Array(buffer as ArrayBuffer, byteOffset, length)
  for (let at = 4 * words.length; at < length; at++) bytes[at]! ^= 0x80
  return tensor.as('uint8')
}

/** Columns of a tensor [K, N] or [N] in equal parts, in memory of their own: the tensor is disposed of. */
function columnParts (tensor: Tensor, count: number): Tensor[] {
  const { type, dims, data } = tensor
  const columns = dims.at(-1)!
  const size = columns / count
  const parts = Array.from({ length: count }, (_, part) => {
    const own = Tensor.allocate(type, [...dims.slice(0, -1), size])
    for (let row = 0; row < data.length / columns; row++) {
      const from = row * columns + part * size
      own.data.set(data.subarray(from, from + size) as never, row * size)
    }
    return own
  })
  tensor.dispose()
  return parts
}

/** Rows of a matrix whose outputs are computed in parts, under the names that the graph has for them. */
function takeApart (tensors: Map<string, Tensor>, name: string): void {
  const names = outputParts(name)
  if (names.length === 0) return
  for (const kind of ['values', 'scales']) {
    const parts = columnParts(tensors.get(`${name}.${kind}`)!, names.length)
    tensors.delete(`${name}.${kind}`)
    for (const [index, part] of parts.entries()) tensors.set(`${name}.${names[index]!}.${kind}`, part)
  }
}

/** Weights of a decoder in memory, and how they are held: a layout whose scales fit the model. */
export interface DecoderWeights { readonly tensors: Map<string, Tensor>, readonly layout: WeightLayout }

/**
 * Every external initializer of the decoder graph, by name. A cache that is missing, of another size, or whose index is
 * damaged is made anew.
 */
export async function loadDecoderWeights (
  file: TensorFile, config: DecoderConfig, options: WeightOptions
): Promise<DecoderWeights> {
  const { format, layout, cacheName = format, cacheDir, sha256, ropePositions, kernels, onProgress } = options
  checkFormat(config, options)
  const directory = join(cacheDir, 'weights')
  const calibrated = smoothed(layout).length > 0 ? `-${kernels}` : ''
  const path = join(directory, `${sha256.slice(0, 16)}-${cacheName}${calibrated}-v${cacheVersion}.bin`)
  let tensors = await readCache(path)
  if (!tensors) {
    onProgress(`converting weights to ${format}`)
    await mkdir(directory, { recursive: true })
    await writeCache(path,
      convertWeights({ file, config, layout, ...await calibrate(file, config, options) }))
    tensors = await readCache(path)
    if (!tensors) throw new Error(`cannot read back the weight cache ${path}`)
  }
  for (const [name, kind] of layout.matrices) {
    if (kind.operator !== 'rows') continue
    const values = `${name}.values`
    if (kind.levels === 'uint8') tensors.set(values, withZeroPoint(tensors.get(values)!))
    takeApart(tensors, name)
  }
  const parts = [await rotaryTables(file, config, ropePositions),
    ...(headHoldsEmbedding(config, layout) ? [embeddingInHead(config, tensors)] : [])]
  for (const part of parts) for (const [name, tensor] of part) tensors.set(name, tensor)
  return { tensors, layout: fitScales(layout, name => tensors.get(peakWeight(name))!.data[0] as number) }
}
