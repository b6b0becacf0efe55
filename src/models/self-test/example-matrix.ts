/** Matrices of every kind for the self-test to multiply with, with integers at the ends of their range. */
import { floatsToHalves, halfToFloat } from '../../runtime/float16.js'
import { Tensor } from '../../runtime/tensor.js'
import { operatorBlocks } from '../quantization/operator-blocks.js'
import type { Blocks, MatrixKind, Rows } from '../quantization/weight-format.js'

/** N and K of each matrix. */
export const [outputs, inputs] = [32, 192] as const

/** A matrix as its operator takes it, and as numbers. */
export interface ExampleMatrix {
  readonly weights: Map<string, Tensor>
  readonly value: (output: number, input: number) => number
}

/** Integers up to a largest magnitude, about half of them at an end of the range. */
export function levels (count: number, most: number, random: () => number): number[] {
  const sign = (): number => random() < 0.5 ? -1 : 1
  return Array.from({ length: count }, () => random() < 0.5 ? sign() * most : Math.round((2 * random() - 1) * most))
}

function rowMatrix (name: string, { levels: held }: Rows, random: () => number): ExampleMatrix {
  const [values, zero] = [levels(inputs * outputs, 127, random), held === 'uint8' ? 128 : 0]
  const scales = Float32Array.from({ length: outputs }, () => 0.5 + random())
  const data = held === 'uint8' ? Uint8Array.from(values, value => value + zero) : Int8Array.from(values)
  const weights = new Map([
    [`${name}.values`, Tensor.from(held, [inputs, outputs], data)],
    [`${name}.scales`, Tensor.from('float32', [outputs], scales)]
  ])
  return { weights, value: (output, input) => values[input * outputs + output]! * scales[output]! }
}

function blockMatrix (name: string, kind: Blocks, random: () => number): ExampleMatrix {
  const { bits, size } = kind
  const [count, centre] = [inputs / size, 2 ** (bits - 1)]
  const values = Uint8Array.from(levels(outputs * inputs, centre - 0.5, random), value => Math.floor(value + centre))
  const scales = Float32Array.from({ length: outputs * count }, () => 0.5 + random())
  // Of a few levels, whole and parts.
  const offsets = scales.map(() => kind.offsets ? centre * (random() - 0.5) : 0)
  const taken = operatorBlocks({ levels: values, scales, offsets }, kind, outputs)
  const blocks = taken.scales.length / outputs
  const weights = new Map([
    [`${name}.values`, Tensor.from('uint8', [outputs, blocks, size * bits / 8], taken.values)],
    [`${name}.scales`, Tensor.from('float32', [outputs, blocks], taken.scales)]
  ])
  if (taken.zeros) {
    weights.set(`${name}.zeros`, Tensor.from('uint8', [outputs, taken.zeros.length / outputs], taken.zeros))
  }
  const value = (output: number, input: number): number => {
    const block = output * count + Math.floor(input / size)
    return (values[output * inputs + input]! - centre) * scales[block]! + offsets[block]!
  }
  return { weights, value }
}

function floatMatrix (name: string, random: () => number): ExampleMatrix {
  const values = Float32Array.from({ length: inputs * outputs }, () => 2 * random() - 1)
  const weights = new Map([[name, Tensor.from('float32', [inputs, outputs], values)]])
  return { weights, value: (output, input) => values[input * outputs + output]! }
}

function halfMatrix (name: string, random: () => number): ExampleMatrix {
  const halves = floatsToHalves(Float32Array.from({ length: inputs * outputs }, () => 2 * random() - 1))
  const weights = new Map([[name, Tensor.from('float16', [inputs, outputs], halves)]])
  return { weights, value: (output, input) => halfToFloat(halves[input * outputs + output]!) }
}

/** @param name what the weights' names begin with */
export function exampleMatrix (name: string, kind: MatrixKind, random: () => number): ExampleMatrix {
  if (kind.operator === 'float') return floatMatrix(name, random)
  if (kind.operator === 'half') return halfMatrix(name, random)
  return kind.operator === 'rows' ? rowMatrix(name, kind, random) : blockMatrix(name, kind, random)
}
