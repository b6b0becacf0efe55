/**
 * How the matrices of a decoder are held. One format names a kind for each matrix; a kind is an operator and a layout
 * of weights. What each costs in speed and quality is in docs/engine.md.
 */
import type { DecoderConfig } from '../decoder-config.js'
import { decoderMatrices, matrixTensors } from '../graph/decoder-matrices.js'
import { embeddingTensor } from '../formats/decoder-tensors.js'
import { groupSize, type Grouping } from '../formats/dequantize.js'
import type { TensorFile } from '../formats/tensor-file.js'
import { canRotateHidden, rotationSize } from './rotation.js'

/**
 * `i8`: 8-bit rows after rotation and smoothing. `q8`: 8-bit blocks of 64. `q4`: 4-bit blocks of 32, the file's own
 * where it has them, and a head of 8 bits where it has more. `exact`: the integers, scales and offsets of the file.
 * `f32`: float32.
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
  /** `file`: the file's own integers; `rounded`: ours. */
  readonly values: 'file' | 'rounded'
  /** Whether each block has an offset, too: see `sumChannels` of operator-blocks.ts. */
  readonly offsets: boolean
  /**
   * Whether a row of zeros is multiplied behind the others: where a row alone is computed by another kernel than one
   * among others.
   */
  readonly paddingRow: boolean
}

/**
 * 8-bit integers with a scale per output, multiplied with whole rows of activations rounded to 8 bits
 * (MatMulIntegerToFloat).
 */
export interface Rows {
  readonly operator: 'rows'
  /** Whether after a rotation, too. */
  readonly rotated: boolean
  /**
   * What a row of activations is rounded on: its own largest magnitude, or a scale fixed for all, of rows that follow a
   * norm without weights in a model whose hidden state is rotated; larger values than `fixedLimit` are cut off there.
   */
  readonly scale: 'row' | 'fixed'
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

/**
 * Where a fixed scale ends, in root mean squares of a row: where normally distributed values, and rotated rows have
 * nearly such, lose least by 8 bits, cut off or rounded (Banner et al. 2019, arXiv 1810.05723).
 */
export const fixedLimit = 3.92

/** How a model's matrices are held. */
export interface WeightLayout {
  /**
   * Whether the hidden state that goes from layer to layer is rotated. Matrices then have the rotation, and the weights
   * of the norms.
   */
  readonly rotatesHidden: boolean
  /** By name in the decoder graph. */
  readonly matrices: ReadonlyMap<string, MatrixKind>
  /**
   * `groups`: the file's own integers, each group of 32 with a scale; they are what the file says, bit for bit.
   * `float`: where the file has others.
   */
  readonly embedding: 'groups' | 'float'
}

const float: MatrixKind = { operator: 'float' }
const rows = (rotated: boolean, scale: Rows['scale'] = 'row'): MatrixKind =>
  ({ operator: 'rows', rotated, scale, levels: 'int8' })
const blocks = (bits: Blocks['bits'], size: Blocks['size'], values: Blocks['values'], offsets = false): MatrixKind =>
  ({ operator: 'blocks', bits, size, values, offsets, paddingRow: false })

const fourBits = blocks(4, groupSize, 'rounded', true)

/** Every kind that a matrix can be of in a format. */
export const kindsOfFormat: Readonly<Record<WeightFormat, readonly MatrixKind[]>> = {
  i8: [rows(false, 'fixed'), rows(false), rows(true)],
  q8: [blocks(8, 64, 'rounded')],
  q4: [blocks(4, groupSize, 'file'), fourBits, blocks(8, groupSize, 'rounded'), blocks(8, groupSize, 'file', true)],
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

/** What multiplies a norm's output: in a model whose hidden state is rotated, rows with nearly the same peak. */
const followsNorm = /\.(qkv|gate_up)$|^head$/

/**
 * The file's own blocks; float32 for a matrix with a tensor of another encoding. Tensors of fewer and of more bits
 * share 8.
 */
function exactKind (groupings: ReadonlyArray<Grouping | undefined>): MatrixKind {
  if (!groupings.every(grouping => grouping !== undefined)) return float
  const bits = groupings.every(grouping => grouping.bits === 4) ? 4 : 8
  return blocks(bits, groupSize, 'file', groupings.some(({ centred }) => !centred))
}

/** Most of what 4 bits lose they lose in the head, which files of 4 bits therefore hold in more. */
function fourBitKind (name: string, groupings: ReadonlyArray<Grouping | undefined>): MatrixKind {
  const own = exactKind(groupings)
  if (name === 'head') return own.operator === 'blocks' ? own : blocks(8, groupSize, 'rounded')
  return own.operator === 'blocks' && own.bits === 4 ? own : fourBits
}

/** The layout of a model in a format. @param tensors of a file that `decoderConfigFromGguf` accepts */
export function weightLayout (
  config: DecoderConfig, format: WeightFormat, tensors: TensorFile['tensors']
): WeightLayout {
  const rotatesHidden = format === 'i8' && canRotateHidden(config.hiddenSize)
  const groupingOf = (tensor: string): Grouping | undefined => tensors.get(tensor)!.encoding.grouping
  const kindOf = (name: string): MatrixKind => {
    const groupings = (): Array<Grouping | undefined> => matrixTensors(config, name).map(groupingOf)
    // A few scores cost nothing and are all that comes out.
    if (config.scoreHead && (name === 'head' || name === 'score_hidden')) return float
    switch (format) {
      case 'i8': return rows(unevenRows.test(name), rotatesHidden && followsNorm.test(name) ? 'fixed' : 'row')
      case 'q8': return blocks(8, 64, 'rounded')
      case 'q4': return fourBitKind(name, groupings())
      case 'exact': return exactKind(groupings())
      case 'f32': return float
    }
  }
  return {
    rotatesHidden,
    matrices: new Map([...decoderMatrices(config).keys()].map(name => [name, kindOf(name)])),
    embedding: groupingOf(embeddingTensor)?.centred === true ? 'groups' : 'float'
  }
}

/** Forms of a kind with the same numbers, the fastest first. */
export function formsOf (kind: MatrixKind): MatrixKind[] {
  if (kind.operator === 'rows') return [kind, { ...kind, levels: 'uint8' }]
  return kind.operator === 'blocks' ? [kind, { ...kind, paddingRow: true }] : [kind]
}

/** Matrices whose activations are rounded on a fixed scale. */
export const onFixedScale = ({ matrices }: WeightLayout): string[] =>
  [...matrices].flatMap(([name, kind]) => kind.operator === 'rows' && kind.scale === 'fixed' ? [name] : [])

/** What a fixed scale may cut off of the largest magnitude that was met, as a multiple of where it ends. */
const mostCutOff = 1.5

/**
 * A layout in which rows that are further from normal are rounded on their own scale.
 * @param peakOf the largest magnitude that a matrix met in calibration, in root mean squares of a row
 */
export function fitScales (layout: WeightLayout, peakOf: (name: string) => number): WeightLayout {
  const uneven = onFixedScale(layout).filter(name => peakOf(name) > mostCutOff * fixedLimit)
  const byRow = uneven.map(name => [name, { ...layout.matrices.get(name)!, scale: 'row' } as MatrixKind] as const)
  return { ...layout, matrices: new Map([...layout.matrices, ...byRow]) }
}

/** Whether factors are moved from the activations to the weights of a matrix: not where a rotation has spread them. */
export function isSmoothed ({ matrices, rotatesHidden }: WeightLayout, name: string): boolean {
  return matrices.get(name)!.operator === 'rows' && !(rotatesHidden && followsNorm.test(name))
}

/** Values along the input that a kind handles together: their number must be a multiple of it. */
export function granularity (kind: MatrixKind): number {
  if (kind.operator === 'blocks') return kind.size
  return kind.operator === 'rows' && kind.rotated ? rotationSize : 1
}
