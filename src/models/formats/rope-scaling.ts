/**
 * How a model's rotary frequencies are stretched to a longer context than it was first trained for, from the keys of
 * GGUF files and of config.json. Sources: llama.cpp (llama-model.cpp, llama-context.cpp, ggml's rope_yarn) and
 * transformers (modeling_rope_utils.py).
 */
import { positiveNumber, refuseModel } from './decoder-tensors.js'
import type { Fields } from './json-files.js'

/** What frequencies and rotated values are changed by. */
export interface RopeScaling {
  /** The head's frequencies are divided by these, [head size / 2]; null where they are not. */
  readonly divisors: readonly number[] | null
  /** Rotated queries and keys are multiplied by this. */
  readonly magnitude: number
}

/** What scaling depends on: the head's size and the base of its frequencies. */
export interface RopeShape { readonly headSize: number, readonly ropeBase: number }

const unscaled: RopeScaling = { divisors: null, magnitude: 1 }
/** In float32, as the references hold them. */
const divisorsOf = ({ headSize }: RopeShape, divisor: (pair: number) => number): number[] =>
  Array.from({ length: headSize / 2 }, (_, pair) => Math.fround(divisor(pair)))

const linear = (shape: RopeShape, factor: number): RopeScaling =>
  ({ divisors: factor === 1 ? null : divisorsOf(shape, () => factor), magnitude: 1 })

/** By how much YaRN has attention grow with the context. */
const yarnMagnitude = (factor: number, share = 1): number => factor <= 1 ? 1 : 0.1 * share * Math.log(factor) + 1

/** The parameters of YaRN (Peng et al. 2023, arXiv 2309.00071). */
interface Yarn {
  readonly factor: number
  /** The context before, tokens. */
  readonly trained: number
  /** Turns within it from which on a pair keeps its frequency, and up to which it is divided whole. */
  readonly fast: number
  readonly slow: number
  /** Whether the range between them is rounded to whole pairs. */
  readonly truncate: boolean
}

function yarnDivisors (shape: RopeShape, { factor, trained, fast, slow, truncate }: Yarn): number[] {
  const { headSize, ropeBase } = shape
  const pairOf = (turns: number): number =>
    headSize * Math.log(trained / (turns * 2 * Math.PI)) / (2 * Math.log(ropeBase))
  const [from, to] = truncate
    ? [Math.floor(pairOf(fast)), Math.ceil(pairOf(slow))]
    : [pairOf(fast), pairOf(slow)]
  const [low, high] = [Math.max(from, 0), Math.min(to, headSize - 1)]
  const width = high === low ? 0.001 : high - low
  return divisorsOf(shape, pair => {
    const stretched = Math.min(1, Math.max(0, (pair - low) / width))
    return 1 / (stretched / factor + 1 - stretched)
  })
}

/** Long waves are divided by a factor, short ones not at all, those between in proportion. */
function llama3Divisors (
  shape: RopeShape, factor: number, low: number, high: number, trained: number
): number[] {
  return divisorsOf(shape, pair => {
    const wavelength = 2 * Math.PI * shape.ropeBase ** (2 * pair / shape.headSize)
    const share = Math.min(1, Math.max(0, (trained / wavelength - low) / (high - low)))
    return 1 / ((1 - share) / factor + share)
  })
}

/**
 * Scaling by a GGUF file's keys. Without a type it is linear; `rope.scale_linear` is an older name of the factor.
 * @param value of a key behind the family's name
 * @param contextLength tokens
 * @throws RequestError for scaling that is not supported, or without sense
 */
export function ropeScalingOfGguf (
  file: { readonly path: string }, value: (key: string) => unknown, shape: RopeShape, contextLength: number
): RopeScaling {
  const number = (key: string, fallback: number): number =>
    positiveNumber(file, `metadata ${key}`, value(key) || fallback)
  const type = value('rope.scaling.type') ?? 'linear'
  const factor = number(value('rope.scaling.factor') === undefined ? 'rope.scale_linear' : 'rope.scaling.factor', 1)
  const attention = number('rope.scaling.attn_factor', 1)
  switch (type) {
    case 'none': return { divisors: null, magnitude: attention }
    case 'linear': return { ...linear(shape, factor), magnitude: attention }
    case 'yarn': return {
      divisors: yarnDivisors(shape, {
        factor,
        trained: number('rope.scaling.original_context_length', contextLength),
        fast: number('rope.scaling.yarn_beta_fast', 32),
        slow: number('rope.scaling.yarn_beta_slow', 1),
        truncate: true
      }),
      magnitude: yarnMagnitude(factor) * attention
    }
    default: throw refuseModel(file,
      `rope.scaling.type = ${JSON.stringify(type)} is not supported; supported are none, linear, yarn`)
  }
}

/** Rotary parameters: `rope_scaling` where it says something, else `rope_parameters`, as transformers 5 writes them. */
function ropeFields ({ rope_parameters: parameters, rope_scaling: scaling }: Fields): Fields {
  return { ...(scaling && Object.keys(scaling).length > 0 ? scaling : parameters) as object | null }
}

/** The base of a config.json's rotary frequencies. @throws RequestError for one that is no positive number */
export const ropeBaseOf = (path: string, fields: Fields): number =>
  positiveNumber({ path }, 'config.json: rope_theta', ropeFields(fields)['rope_theta'] ?? fields['rope_theta'] ?? 10000)

/**
 * Scaling by a config.json.
 * @param contextLength tokens
 * @throws RequestError for kinds of scaling that are not supported
 */
export function ropeScalingOf (path: string, fields: Fields, shape: RopeShape, contextLength: number): RopeScaling {
  const rope = ropeFields(fields)
  const type = rope['rope_type'] ?? rope['type'] ?? 'default'
  const number = (key: string, value: unknown = rope[key]): number =>
    positiveNumber({ path }, `config.json: ${key} of the rotary scaling ${JSON.stringify(type)}`, value)
  const partial = rope['partial_rotary_factor'] ?? fields['partial_rotary_factor'] ?? 1
  if (partial !== 1) {
    throw refuseModel({ path }, `config.json: partial_rotary_factor = ${JSON.stringify(partial)} is not supported`)
  }
  const trained = (): number => number('original_max_position_embeddings',
    fields['original_max_position_embeddings'] ?? rope['original_max_position_embeddings'] ?? contextLength)
  switch (type) {
    case 'default': return unscaled
    // It stretches what is longer than the context, and nothing longer is read here.
    case 'dynamic': return unscaled
    case 'linear': return linear(shape, number('factor'))
    case 'llama3': return {
      divisors: llama3Divisors(shape, number('factor'), number('low_freq_factor'), number('high_freq_factor'),
        trained()),
      magnitude: 1
    }
    case 'yarn': {
      const factor = number('factor', rope['factor'] ?? contextLength / trained())
      const implied = rope['mscale'] && rope['mscale_all_dim']
        ? yarnMagnitude(factor, number('mscale')) / yarnMagnitude(factor, number('mscale_all_dim'))
        : yarnMagnitude(factor)
      return {
        divisors: yarnDivisors(shape, {
          factor,
          trained: trained(),
          fast: number('beta_fast', rope['beta_fast'] || 32),
          slow: number('beta_slow', rope['beta_slow'] || 1),
          truncate: rope['truncate'] !== false
        }),
        magnitude: number('attention_factor', rope['attention_factor'] ?? implied)
      }
    }
    default: throw refuseModel({ path }, `config.json: rotary scaling ${JSON.stringify(type)} is not supported; ` +
      'supported are default, linear, dynamic, yarn, llama3')
  }
}
