/**
 * Writes ONNX models: values, nodes, attributes. Weights stay outside, as external initializers that a session gets
 * by name. Source: onnx.proto (IR version 10).
 */
import { dataTypes, type DataType } from './tensor.js'

/** A size, or a name for one that is known at run time. */
export type Dim = number | string
/** An operator's attribute; a number is an integer unless it is given as a float. */
export type Attribute = number | string | readonly number[] | { readonly float: number }

type Bytes = readonly Uint8Array[]

function varint (value: number | bigint): Uint8Array {
  let rest = BigInt.asUintN(64, BigInt(value))
  const bytes: number[] = []
  for (; rest >= 128n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128)
  bytes.push(Number(rest))
  return Uint8Array.from(bytes)
}

const integer = (field: number, value: number | bigint): Bytes => [varint(field << 3), varint(value)]
const float = (field: number, value: number): Bytes =>
  [varint((field << 3) | 5), new Uint8Array(Float32Array.of(value).buffer)]
const length = (parts: Bytes): number => parts.reduce((sum, part) => sum + part.byteLength, 0)
const message = (field: number, parts: Bytes): Bytes => [varint((field << 3) | 2), varint(length(parts)), ...parts]
const string = (field: number, text: string): Bytes => message(field, [Buffer.from(text)])

function attribute (name: string, value: Attribute): Bytes {
  if (typeof value === 'number') return [...string(1, name), ...integer(3, value), ...integer(20, 2)]
  if (typeof value === 'string') return [...string(1, name), ...string(4, value), ...integer(20, 3)]
  if ('float' in value) return [...string(1, name), ...float(2, value.float), ...integer(20, 1)]
  return [...string(1, name), ...value.flatMap(item => integer(8, item)), ...integer(20, 7)]
}

function valueInfo (name: string, type: DataType, shape: readonly Dim[]): Bytes {
  const dims = shape.flatMap(dim => message(1, typeof dim === 'string' ? string(2, dim) : integer(1, dim)))
  return [...string(1, name), ...message(2, message(1, [...integer(1, dataTypes[type].onnx), ...message(2, dims)]))]
}

/** Collects a graph and writes it. Names of values are the caller's; `fresh` makes new ones. */
export class GraphWriter {
  readonly #nodes: Uint8Array[] = []
  readonly #initializers: Uint8Array[] = []
  readonly #inputs: Uint8Array[] = []
  readonly #outputs: Uint8Array[] = []
  readonly #shapes: Uint8Array[] = []
  readonly #externals = new Set<string>()
  #count = 0
  #nodeCount = 0

  /** Names of the weights that a session must be given. */
  get externals (): ReadonlySet<string> { return this.#externals }

  /** Nodes so far. */
  get nodeCount (): number { return this.#nodeCount }

  /** A value name not used before. */
  fresh (stem: string): string { return `${stem}.${this.#count++}` }

  input (name: string, type: DataType, shape: readonly Dim[]): string {
    this.#inputs.push(...message(11, valueInfo(name, type, shape)))
    return name
  }

  output (name: string, type: DataType, shape: readonly Dim[]): void {
    this.#outputs.push(...message(12, valueInfo(name, type, shape)))
  }

  /**
   * Says which shape a float32 value inside the graph has, where ONNX Runtime cannot tell: after shapes and sizes that
   * are inputs. Values without one share no memory, and planning it takes time that grows with the square of them.
   * @returns the name
   */
  shaped (name: string, shape: readonly Dim[]): string {
    this.#shapes.push(...message(13, valueInfo(name, 'float32', shape)))
    return name
  }

  /** A small constant, stored in the graph. */
  constant (
    name: string, type: 'int64' | 'float32' | 'uint8', dims: readonly number[], values: readonly number[]
  ): string {
    const data = type === 'int64'
      ? BigInt64Array.from(values, BigInt)
      : type === 'float32' ? Float32Array.from(values) : Uint8Array.from(values)
    const tensor = [...dims.flatMap(dim => integer(1, dim)), ...integer(2, dataTypes[type].onnx), ...string(8, name),
      ...message(9, [new Uint8Array(data.buffer)])]
    this.#initializers.push(...message(5, tensor))
    return name
  }

  /** A weight that the session is given by name. It may be asked for more than once. */
  external (name: string, type: DataType, dims: readonly number[]): string {
    if (this.#externals.has(name)) return name
    this.#externals.add(name)
    const location = message(13, [...string(1, 'location'), ...string(2, 'shared')])
    const tensor = [...dims.flatMap(dim => integer(1, dim)), ...integer(2, dataTypes[type].onnx), ...string(8, name),
      ...location, ...integer(14, 1)]
    this.#initializers.push(...message(5, tensor))
    return name
  }

  /** One operator. Empty input or output names are left out ones. @returns the first output's name */
  node (
    operator: string, inputs: readonly string[], outputs: readonly string[],
    attributes: Readonly<Record<string, Attribute>> = {}, domain = ''
  ): string {
    this.#nodeCount++
    const parts = [
      ...inputs.flatMap(name => string(1, name)),
      ...outputs.flatMap(name => string(2, name)),
      ...string(3, `${operator}_${outputs[0]}`),
      ...string(4, operator),
      ...Object.entries(attributes).flatMap(([name, value]) => message(5, attribute(name, value))),
      ...(domain === '' ? [] : string(7, domain))
    ]
    this.#nodes.push(...message(1, parts))
    return outputs[0]!
  }

  /** The model file: opset 21 and Microsoft's operators. */
  finish (): Uint8Array {
    const graph = [...this.#nodes, ...string(2, 'graph'), ...this.#initializers, ...this.#inputs, ...this.#outputs,
      ...this.#shapes]
    return Buffer.concat([
      ...integer(1, 10),
      ...message(7, graph),
      ...message(8, [...string(1, ''), ...integer(2, 21)]),
      ...message(8, [...string(1, 'com.microsoft'), ...integer(2, 1)])
    ])
  }
}
