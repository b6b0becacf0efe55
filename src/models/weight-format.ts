/**
 * How the matrices of a decoder are held. One format names a kind for each matrix; a kind is an operator and a layout of weights.
 * What each costs in speed and quality is in docs/engine.md.
 */
import type { DecoderConfig } from './decoder-config.js'
import { decoderMatrices, matrixTensors } from './decoder-matrices.js'
import { embeddingTensor } from './decoder-tensors.js'
import { groupSize, type Grouping } from './dequantize.js'
import type { TensorFile } from './tensor-file.js'
import { rotationSize } from './rotation.js'

/**
 * `i8`: 8-bit rows after smoothing and rotation. `q8`: 8-bit blocks of 64. `q4`: 4-bit blocks of 32 after smoothing. `exact`: the
 * integers and scales of the file. `f32`: float32.
 */
export const weightFormats = ['i8', 'q8', 'q4', 'exact', 'f32'] as const
/** A setting's value: see `weightFormats`. */
export type WeightFormat = (typeof weightFormats)[number]

/** Integers with a scale per block along the input, multiplied with activations rounded to 8 bits in the same blocks (MatMulNBits, accuracy level 4). */
export interface Blocks {
  readonly operator: 'blocks'
  readonly bits: 4 | 8
  /** Values along the input that share a scale. Rows are computed alike in any batch with 8 bits in 32 and 64 and with 4 bits in 32; not with others. */
  readonly size: 32 | 64
  /** `file`: the file's own integers; `rounded`: ours; `smoothed`: ours, with factors moved from the activations to the weights. */
  readonly values: 'file' | 'rounded' | 'smoothed'
  /** Each block also has an offset, which multiplies the sum of its activations in float32. */
  readonly offsets: boolean
}

/** 8-bit integers with a scale per output, multiplied with whole rows of activations rounded to 8 bits (MatMulIntegerToFloat). Smoothed; `rotated` says after a rotation, too. */
export interface Rows { readonly operator: 'rows', readonly rotated: boolean }

/** With each kind a row's result has the same bits whatever rows it is computed with. */
export type MatrixKind = { readonly operator: 'float' } | Blocks | Rows

/** How a model's matrices are held. */
export interface WeightLayout {
  /** By name in the decoder graph. */
  readonly matrices: ReadonlyMap<string, MatrixKind>
  /** `groups`: the file's own integers, each group of 32 with a scale; they are what the file says, bit for bit. `float`: where the file has others. */
  readonly embedding: 'groups' | 'float'
}

const float = { operator: 'float' } as const

/** What a down projection multiplies has a few large values in each row, other ones every time: 8 bits hold a row only after a rotation. */
const unevenRows = /\.down$/

/** The file's own blocks; float32 for a matrix with a tensor of another encoding. Tensors of fewer and of more bits share 8. */
function exactKind (groupings: ReadonlyArray<Grouping | undefined>): MatrixKind {
  if (!groupings.every(grouping => grouping !== undefined)) return float
  return { operator: 'blocks', bits: groupings.every(({ bits }) => bits === 4) ? 4 : 8, size: groupSize, values: 'file', offsets: groupings.some(({ centred }) => !centred) }
}

/** The layout of a model in a format. @param tensors of a file that `decoderConfigFromGguf` accepts */
export function weightLayout (config: DecoderConfig, format: WeightFormat, tensors: TensorFile['tensors']): WeightLayout {
  const groupingOf = (tensor: string): Grouping | undefined => tensors.get(tensor)!.encoding.grouping
  const kindOf = (name: string): MatrixKind => {
    // A few scores cost nothing and are all that comes out.
    if (config.scoreHead && (name === 'head' || name === 'score_hidden')) return float
    switch (format) {
      case 'i8': return { operator: 'rows', rotated: unevenRows.test(name) }
      case 'q8': return { operator: 'blocks', bits: 8, size: 64, values: 'rounded', offsets: false }
      case 'q4': return { operator: 'blocks', bits: 4, size: 32, values: 'smoothed', offsets: false }
      case 'exact': return exactKind(matrixTensors(config, name).map(groupingOf))
      case 'f32': return float
    }
  }
  return {
    matrices: new Map([...decoderMatrices(config).keys()].map(name => [name, kindOf(name)])),
    embedding: groupingOf(embeddingTensor)?.centred === true ? 'groups' : 'float'
  }
}

/** Whether factors are moved from the activations to the weights of a kind. */
export const isSmoothed = (kind: MatrixKind): boolean => kind.operator === 'rows' || (kind.operator === 'blocks' && kind.values === 'smoothed')

/** Values along the input that a kind handles together: their number must be a multiple of it. */
export function granularity (kind: MatrixKind): number {
  if (kind.operator === 'blocks') return kind.size
  return kind.operator === 'rows' && kind.rotated ? rotationSize : 1
}
