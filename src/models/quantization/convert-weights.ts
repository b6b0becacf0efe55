/**
 * A model file's tensors → the weights that the decoder graph names, in the layout of a format. Knows no cache and no
 * sessions.
 */
import { RequestError } from '../../errors.js'
import { floatsToHalves, largestHalf } from '../../runtime/float16.js'
import type { DecoderConfig } from '../decoder-config.js'
import { decoderMatrices, matrixTensors } from '../graph/decoder-matrices.js'
import { embeddingTensor, scoreTensors } from '../formats/decoder-tensors.js'
import { groupSize } from '../formats/dequantize.js'
import type { TensorFile } from '../formats/tensor-file.js'
import { operatorBlocks } from './operator-blocks.js'
import { blocksOfGroups, quantizeBlocks, quantizeRows, type QuantizedBlocks } from './quantize.js'
import { rotate, rotateHidden } from './rotation.js'
import { divide, scaleColumns, smoothMatrix, valueFactors, type Smoothing } from './smoothing.js'
import type { Weight } from './weight-cache.js'
import type { Blocks, Rows, WeightLayout } from './weight-format.js'

const finalNormTensor = 'output_norm.weight'
/** The final norm's weights where the graph's norms have none. */
export const finalNormWeights = 'final_norm.weights'
/** What holds the largest magnitude that a matrix met in calibration. */
export const peakWeight = (matrix: string): string => `${matrix}.peak`

/** What the float32 model computed on the calibration texts. */
export interface Calibrated {
  /** Factors of the matrices that are smoothed. */
  readonly smoothing: Smoothing
  /** Of the matrices whose activations are rounded on a fixed scale: the largest magnitude that they multiply. */
  readonly peaks: ReadonlyMap<string, number>
}

/** Of a layout that needs none. */
export const uncalibrated: Calibrated = { smoothing: new Map(), peaks: new Map() }

/** Typed arrays of one kind, end to end. */
function joined<T extends Float32Array | Uint8Array> (parts: readonly T[], make: (length: number) => T): T {
  const whole = make(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) { whole.set(part, at); at += part.length }
  return whole
}

/** [N, K] → [K, N], as MatMul takes it. */
function transpose (matrix: Float32Array, rows: number, columns: number): Float32Array {
  const transposed = new Float32Array(matrix.length)
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) transposed[column * rows + row] = matrix[row * columns + column]!
  }
  return transposed
}

/** A matrix as the file has it, float32 [N, K]. */
async function readMatrix (file: TensorFile, config: DecoderConfig, name: string): Promise<Float32Array> {
  const parts: Float32Array[] = []
  for (const tensor of matrixTensors(config, name)) parts.push(await file.read(tensor))
  return joined(parts, length => new Float32Array(length))
}

/** The norm whose output a matrix multiplies; null for one that multiplies something else. */
function normBefore ({ scoreHead }: DecoderConfig, name: string): string | null {
  if (name === 'score_hidden') return finalNormTensor
  if (name === 'head') return scoreHead?.hiddenLayer ? null : finalNormTensor
  const [layer, kind] = name.split('.') as [string, string]
  const norms: Record<string, string> = { qkv: 'attn_norm', gate_up: 'ffn_norm' }
  return norms[kind] === undefined ? null : `blk.${layer.slice('layer'.length)}.${norms[kind]}.weight`
}

/** Whether a matrix's products are added to the hidden state. */
const addsToHidden = (name: string): boolean => /\.(attention_output|down)$/.test(name)

/**
 * A matrix as a layout has it before any rounding, float32 [N, K]: where the hidden state is rotated, with the weights
 * of the norm before it, and rotated where it meets the hidden state.
 */
export async function readForLayout (
  file: TensorFile, config: DecoderConfig, layout: WeightLayout, name: string
): Promise<Float32Array> {
  const matrix = await readMatrix(file, config, name)
  if (!layout.rotatesHidden) return matrix
  const { hiddenSize } = config
  const norm = normBefore(config, name)
  if (norm !== null) {
    scaleColumns(matrix, await file.read(norm))
    rotateHidden(matrix, hiddenSize)
  }
  return addsToHidden(name) ? rotateHidden(matrix, hiddenSize, matrix.length / hiddenSize) : matrix
}

/** The file's own integers of a matrix. */
async function readBlocks (
  file: TensorFile, config: DecoderConfig, name: string, bits: 4 | 8
): Promise<QuantizedBlocks> {
  const parts: QuantizedBlocks[] = []
  for (const tensor of matrixTensors(config, name)) {
    parts.push(blocksOfGroups(await file.readGroups(tensor), file.tensors.get(tensor)!.encoding.grouping!.bits, bits))
  }
  return {
    levels: joined(parts.map(part => part.levels), length => new Uint8Array(length)),
    scales: joined(parts.map(part => part.scales), length => new Float32Array(length)),
    offsets: joined(parts.map(part => part.offsets), length => new Float32Array(length))
  }
}

function blockWeights (name: string, quantized: QuantizedBlocks, kind: Blocks, rows: number): Weight[] {
  const { values, scales, zeros } = operatorBlocks(quantized, kind, rows)
  const blocks = scales.length / rows
  return [
    { name: `${name}.values`, type: 'uint8', dims: [rows, blocks, kind.size * kind.bits / 8], data: values },
    { name: `${name}.scales`, type: 'float32', dims: [rows, blocks], data: scales },
    ...(zeros ? [{ name: `${name}.zeros`, type: 'uint8', dims: [rows, zeros.length / rows], data: zeros } as const] : [])
  ]
}

function rowWeights (name: string, matrix: Float32Array, { rotated }: Rows, rows: number, columns: number): Weight[] {
  const { values, scales } = quantizeRows(rotated ? rotate(matrix) : matrix, rows)
  return [{ name: `${name}.values`, type: 'int8', dims: [columns, rows], data: values },
    { name: `${name}.scales`, type: 'float32', dims: [rows], data: scales }]
}

/** What converts one model: its file, its shape, a layout, and what calibration found. */
export interface Conversion extends Calibrated {
  readonly file: TensorFile,
  readonly config: DecoderConfig,
  readonly layout: WeightLayout
}

/** @throws RequestError for numbers that 16-bit floats do not reach */
function halfWeights (name: string, matrix: Float32Array, rows: number, columns: number): Weight {
  const largest = matrix.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
  if (!(largest <= largestHalf)) {
    throw new RequestError('invalid_request', `format f16 holds magnitudes up to ${largestHalf}; ${name} has ` +
      `${largest}: use q8 or f32`, { param: 'format' })
  }
  return { name, type: 'float16', dims: [columns, rows], data: floatsToHalves(transpose(matrix, rows, columns)) }
}

async function matrixWeights (
  { file, config, layout, smoothing }: Conversion, name: string, rows: number, columns: number
): Promise<Weight[]> {
  const kind = layout.matrices.get(name)!
  if (kind.operator === 'blocks' && kind.values === 'file') {
    return blockWeights(name, await readBlocks(file, config, name, kind.bits), kind, rows)
  }
  const matrix = smoothMatrix(config, name, await readForLayout(file, config, layout, name), columns, smoothing)
  if (kind.operator === 'float') {
    return [{ name, type: 'float32', dims: [columns, rows], data: transpose(matrix, rows, columns) }]
  }
  if (kind.operator === 'half') return [halfWeights(name, matrix, rows, columns)]
  return kind.operator === 'rows'
    ? rowWeights(name, matrix, kind, rows, columns)
    : blockWeights(name, quantizeBlocks(matrix, kind), kind, rows)
}

/** Whether the head's integers are the embedding's, so that one copy serves both. */
export function headHoldsEmbedding (
  { tiedEmbeddings, scoreHead }: DecoderConfig, { matrices, embedding }: WeightLayout
): boolean {
  const head = matrices.get('head')!
  return tiedEmbeddings && !scoreHead && embedding === 'groups' && head.operator === 'blocks' &&
    head.values === 'file' && head.bits === 8
}

async function embeddingWeights ({ file, config, layout }: Conversion): Promise<Weight[]> {
  const { vocabularySize, hiddenSize } = config
  if (headHoldsEmbedding(config, layout)) return []
  if (layout.embedding === 'float') {
    return [
      { name: 'embedding', type: 'float32', dims: [vocabularySize, hiddenSize], data: await file.read(embeddingTensor) }
    ]
  }
  const { levels, scales } = blocksOfGroups(await file.readGroups(embeddingTensor),
    file.tensors.get(embeddingTensor)!.encoding.grouping!.bits, 8)
  return [{ name: 'embedding.values', type: 'uint8', dims: [vocabularySize, hiddenSize], data: levels },
    { name: 'embedding.scales', type: 'float32', dims: [vocabularySize, hiddenSize / groupSize], data: scales }]
}

/**
 * Biases of query, key and value, end to end; those of the values carry the inverse of the factors that the next matrix
 * has.
 */
async function qkvBias ({ file, config, smoothing }: Conversion, layer: number): Promise<Weight> {
  const parts: Float32Array[] = []
  for (const part of ['attn_q', 'attn_k', 'attn_v']) parts.push(await file.read(`blk.${layer}.${part}.bias`))
  const factors = smoothing.get(`layer${layer}.attention_output`)
  if (factors) divide(parts[2]!, valueFactors(factors, config))
  const data = joined(parts, length => new Float32Array(length))
  return { name: `layer${layer}.qkv.bias`, type: 'float32', dims: [data.length], data }
}

/** A vector as the file has it. */
async function vector ({ file }: Conversion, name: string, source: string): Promise<Weight> {
  const data = await file.read(source)
  return { name, type: 'float32', dims: [data.length], data }
}

/** Every weight, one after the other, so that only one float32 matrix is in memory at a time. */
export async function * convertWeights (conversion: Conversion): AsyncGenerator<Weight> {
  const { file, config, layout: { rotatesHidden }, smoothing, peaks } = conversion
  const norm = async (name: string, source: string, matrix: string | null): Promise<Weight> => {
    const data = await file.read(source)
    if (rotatesHidden) data.fill(1)
    const factors = matrix === null ? undefined : smoothing.get(matrix)
    if (factors) divide(data, factors)
    return { name, type: 'float32', dims: [config.hiddenSize], data }
  }
  yield * await embeddingWeights(conversion)
  yield await norm('final_norm', finalNormTensor, null)
  if (rotatesHidden) yield await vector(conversion, finalNormWeights, finalNormTensor)
  for (const [name, peak] of peaks) {
    yield { name: peakWeight(name), type: 'float32', dims: [1], data: Float32Array.of(peak) }
  }
  const head = smoothing.get('head')
  if (head) {
    yield { name: 'head.smoothing', type: 'float32', dims: [config.hiddenSize], data: head.map(factor => 1 / factor) }
  }
  for (let layer = 0; layer < config.layers; layer++) {
    yield await norm(`layer${layer}.attention_norm`, `blk.${layer}.attn_norm.weight`, `layer${layer}.qkv`)
    yield await norm(`layer${layer}.feed_forward_norm`, `blk.${layer}.ffn_norm.weight`, `layer${layer}.gate_up`)
    if (config.family === 'qwen2') yield await qkvBias(conversion, layer)
    if (config.family === 'qwen3') {
      for (const part of ['query', 'key']) {
        yield await vector(conversion, `layer${layer}.${part}_norm`, `blk.${layer}.attn_${part[0]}_norm.weight`)
      }
    }
  }
  if (config.scoreHead?.bias) yield await vector(conversion, 'head.bias', `${scoreTensors.output}.bias`)
  if (config.scoreHead?.hiddenLayer) yield await vector(conversion, 'score_hidden.bias', `${scoreTensors.hidden}.bias`)
  for (const [name, [rows, columns]] of decoderMatrices(config)) {
    yield * await matrixWeights(conversion, name, rows, columns)
  }
}
