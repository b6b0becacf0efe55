/**
 * How the matrices of a decoder are held. One format names a kind for each matrix; a kind is an operator and a layout
 * of weights. What each costs in speed and quality is in docs/engine.md.
 */
import type { DecoderConfig } from '../decoder-config.js'
import { decoderMatrices, matrixTensors } from '../graph/decoder-matrices.js'
import { embeddingTensor } from '../formats/decoder-tensors.js'
import { groupSize, type Grouping } from '../formats/dequantize.js'
import type { TensorFile } from '../formats/tensor-file.js'
import { rotationSize } from './rotation.js'

/**
 * `i8`: 8-bit rows after smoothing and rotation. `q8`: 8-bit blocks of 64. `q4`: 4-bit blocks of 32 after smoothing.
 * `exact`: the integers and scales of the file. `f32`: float32.
 */
export const weightFormats = ['i8', 'q8', 'q4', 'exact', 'f32'] as const
/** A setting's value: see `weightFormats`. */
export type WeightFormat = (typeof weightFormats)[number]

/** Those of devices: `f16`, 16-bit floats, is no format of the processor's. */
export const deviceFormats = [...weightFormats, 'f16'] as const
/** A setting's value, whatever models run on. */
export type DeviceFormat = (typeof deviceFormats)[number]

/**
 * Integers with a scale per block along the input, multiplied with activations rounded to 8 bits in the same blocks
 * (MatMulNBits, accuracy level 4).
 */
export interface Blocks {
  readonly operator: 'blocks'
  readonly bits: 4 | 8
  /** Values along the input that share a scale. */
  readonly size: 32 | 64
  /**
   * `file`: the file's own integers; `rounded`: ours; `smoothed`: ours, with factors moved from the activations to the
   * weights.
   */
  readonly values: 'file' | 'rounded' | 'smoothed'
  /** Each block also has an offset, which multiplies the sum of its activations in float32. */
  readonly offsets: boolean
  /**
   * Whether a row of zeros is multiplied behind the others: where a row alone is computed by another kernel than one
   * among others.
   */
  readonly paddingRow: boolean
}

/**
 * 8-bit integers with a scale per output, multiplied with whole rows of activations rounded to 8 bits
 * (MatMulIntegerToFloat). Smoothed.
 */
export interface Rows {
  readonly operator: 'rows'
  /** Whether after a rotation, too. */
  readonly rotated: boolean
  /**
   * How levels are held: signed, or with the zero point 128 where a processor adds products of signed ones up in 16
   * bits.
   */
  readonly levels: 'int8' | 'uint8'
}

/** 16-bit floats, multiplied with activations rounded to 16-bit floats (MatMul). Of devices alone. */
export interface Halves { readonly operator: 'half' }

/**
 * Kinds differ in their forms, too: the self-test finds one in which a row's result has the same bits whatever rows it
 * is computed with.
 */
export type MatrixKind = { readonly operator: 'float' } | Halves | Blocks | Rows

/** How a model's matrices are held. */
export interface WeightLayout {
  /** By name in the decoder graph. */
  readonly matrices: ReadonlyMap<string, MatrixKind>
  /**
   * `groups`: the file's own integers, each group of 32 with a scale; they are what the file says, bit for bit.
   * `float`: where the file has others.
   */
  readonly embedding: 'groups' | 'float'
}

const float: MatrixKind = { operator: 'float' }
const rows = (rotated: boolean): MatrixKind => ({ operator: 'rows', rotated, levels: 'int8' })
const blocks = (bits: Blocks['bits'], size: Blocks['size'], values: Blocks['values'], offsets = false): MatrixKind =>
  ({ operator: 'blocks', bits, size, values, offsets, paddingRow: false })

/** Every kind that a matrix can be of in a format. */
export const kindsOfFormat: Readonly<Record<WeightFormat, readonly MatrixKind[]>> = {
  i8: [rows(false), rows(true)],
  q8: [blocks(8, 64, 'rounded')],
  q4: [blocks(4, 32, 'smoothed')],
  exact: [
    ...[false, true].flatMap(offsets => [
      blocks(4, groupSize, 'file', offsets), blocks(8, groupSize, 'file', offsets)
    ]),
    float
  ],
  f32: [float]
}

/**
 * What a down projection multiplies has a few large values in each row, other ones every time: 8 bits hold a row only
 * after a rotation.
 */
const unevenRows = /\.down$/

/**
 * The file's own blocks; float32 for a matrix with a tensor of another encoding. Tensors of fewer and of more bits
 * share 8.
 */
function exactKind (groupings: ReadonlyArray<Grouping | undefined>): MatrixKind {
  if (!groupings.every(grouping => grouping !== undefined)) return float
  const bits = groupings.every(grouping => grouping.bits === 4) ? 4 : 8
  return blocks(bits, groupSize, 'file', groupings.some(({ centred }) => !centred))
}

/** The layout of a model in a format. @param tensors of a file that `decoderConfigFromGguf` accepts */
export function weightLayout (
  config: DecoderConfig, format: WeightFormat, tensors: TensorFile['tensors']
): WeightLayout {
  const groupingOf = (tensor: string): Grouping | undefined => tensors.get(tensor)!.encoding.grouping
  const kindOf = (name: string): MatrixKind => {
    // A few scores cost nothing and are all that comes out.
    if (config.scoreHead && (name === 'head' || name === 'score_hidden')) return float
    switch (format) {
      case 'i8': return rows(unevenRows.test(name))
      case 'q8': return blocks(8, 64, 'rounded')
      case 'q4': return blocks(4, 32, 'smoothed')
      case 'exact': return exactKind(matrixTensors(config, name).map(groupingOf))
      case 'f32': return float
    }
  }
  return {
    matrices: new Map([...decoderMatrices(config).keys()].map(name => [name, kindOf(name)])),
    embedding: groupingOf(embeddingTensor)?.centred === true ? 'groups' : 'float'
  }
}

/** Forms of a kind with the same numbers, the fastest first. */
export function formsOf (kind: MatrixKind): MatrixKind[] {
  if (kind.operator === 'rows') return [kind, { ...kind, levels: 'uint8' }]
  return kind.operator === 'blocks' ? [kind, { ...kind, paddingRow: true }] : [kind]
}

/** Whether factors are moved from the activations to the weights of a kind. */
export const isSmoothed = (kind: MatrixKind): boolean => kind.operator === 'rows' ||
  (kind.operator === 'blocks' && kind.values === 'smoothed')

/** Values along the input that a kind handles together: their number must be a multiple of it. */
export function granularity (kind: MatrixKind): number {
  if (kind.operator === 'blocks') return kind.size
  return kind.operator === 'rows' && kind.rotated ? rotationSize : 1
}
