/** What a part of the self-test found, and the arithmetic that its parts share. */
import type { SessionOptions } from '../../runtime/session.js'
import type { Tensor } from '../../runtime/tensor.js'

/** What one operator does on this processor. */
export interface Finding {
  /** The operator, e.g. "int8 rows". */
  readonly operator: string
  /** Root mean square of the differences from exact arithmetic, over that of the exact numbers. */
  readonly error: number
  /** The largest error of a correct operator. */
  readonly tolerance: number
  /** Whether a row's bits are the same alone, beside another and among many. */
  readonly rowsAlike: boolean
  /** Why it could not be run; the error is infinite then. */
  readonly failure?: string
}

/** A graph that is ready to run on tensors in the host's memory. */
export interface Compiled {
  run (inputs: ReadonlyMap<string, Tensor>, outputs: ReadonlyMap<string, Tensor>): Promise<void>
  dispose (): void
}

/** How a graph is made ready to run. Tests put one in its place that computes wrongly. */
export type Compile = (model: Uint8Array, options: SessionOptions) => Promise<Compiled>

export const passes = ({ error, tolerance, rowsAlike }: Finding): boolean => error <= tolerance && rowsAlike

/** What is wrong, in words; null where nothing is. */
export function problemOf (finding: Finding): string | null {
  const { operator, error, tolerance, failure } = finding
  if (passes(finding)) return null
  if (failure !== undefined) return `${operator}: ${failure}`
  // Not `error > tolerance`, which would let NaN pass.
  if (!(error <= tolerance)) return `${operator}: numbers off by ${error.toPrecision(2)} of their size`
  return `${operator}: the bits of a row depend on how many rows there are`
}

/** Root mean square of the differences over that of the expected numbers. */
export function relativeError (values: ArrayLike<number>, expected: ArrayLike<number>): number {
  let [difference, size] = [0, 0]
  for (let index = 0; index < expected.length; index++) {
    difference += (values[index]! - expected[index]!) ** 2
    size += expected[index]! ** 2
  }
  return Math.sqrt(difference / size)
}

/** Whether two rows have the same bits. */
export function sameBits (a: Float32Array, b: Float32Array): boolean {
  return a.length === b.length && a.every((value, index) => Object.is(value, b[index]))
}

/** A seeded source of numbers from 0 up to 1. */
export function randomNumbers (seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    const mixed = Math.imul(state ^ state >>> 15, 0x2c1b3c6d)
    return ((mixed ^ mixed >>> 12) >>> 0) / 2 ** 32
  }
}
