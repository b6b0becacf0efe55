/**
 * The files beside an ONNX graph that hold its weights, as torch.onnx.export writes them. Reads the graph's protobuf
 * messages as far as tensors may be in them. Source: onnx.proto (TensorProto.external_data).
 */
import { stat } from 'node:fs/promises'
import { dirname, isAbsolute, join, normalize } from 'node:path'
import { refuseModel } from './formats/decoder-tensors.js'

/** Of each kind of message, the fields that lead to tensors, by number, and the kind that they hold. */
const fieldsOf = {
  model: { 7: 'graph', 25: 'function' },
  graph: { 1: 'node', 5: 'tensor', 15: 'sparse' },
  function: { 7: 'node', 11: 'attribute' },
  node: { 5: 'attribute' },
  attribute: { 5: 'tensor', 6: 'graph', 10: 'tensor', 11: 'graph', 22: 'sparse', 23: 'sparse' },
  sparse: { 1: 'tensor', 2: 'tensor' },
  tensor: { 13: 'entry' },
  entry: {}
} as const satisfies Record<string, Readonly<Record<number, string>>>

type Kind = keyof typeof fieldsOf

/** Graphs within graphs, at most. */
const maxDepth = 64

/** A field of a message: its number, and its bytes where it has a length. */
interface Field { readonly number: number, readonly bytes: Uint8Array | null }

/** The fields of a message. @throws Error for bytes that are none */
function * fields (message: Uint8Array): Generator<Field> {
  let at = 0
  const varint = (): number => {
    for (let value = 0, scale = 1; ; scale *= 128) {
      const byte = message[at++]
      if (byte === undefined || scale > 2 ** 63) throw new Error('it is cut short')
      value += (byte & 127) * scale
      if (byte < 128) return value
    }
  }
  while (at < message.length) {
    const tag = varint()
    const number = Math.floor(tag / 8)
    switch (tag % 8) {
      case 0: varint(); yield { number, bytes: null }; break
      case 1: at += 8; yield { number, bytes: null }; break
      case 2: {
        const length = varint()
        if (at + length > message.length) throw new Error('it is cut short')
        yield { number, bytes: message.subarray(at, at + length) }
        at += length
        break
      }
      case 5: at += 4; yield { number, bytes: null }; break
      default: throw new Error('it has a field of an unknown type')
    }
  }
}

/** Adds the locations that tensors in a message name. */
function collect (message: Uint8Array, kind: Kind, found: Set<string>, depth = 0): void {
  if (depth > maxDepth) throw new Error('its graphs are nested too deeply')
  if (kind === 'entry') {
    const [key, value] = [1, 2].map(wanted =>
      [...fields(message)].findLast(({ number }) => number === wanted)?.bytes ?? new Uint8Array())
    if (Buffer.from(key!).toString() === 'location') found.add(Buffer.from(value!).toString())
    return
  }
  const inside: Readonly<Record<number, Kind>> = fieldsOf[kind]
  for (const { number, bytes } of fields(message)) {
    const next = inside[number]
    if (next && bytes) collect(bytes, next, found, depth + 1)
  }
}

/**
 * Paths of the files that hold a graph's weights; none where it holds them itself.
 * @param path of the graph's file
 * @param graph its bytes
 * @throws RequestError for a graph that cannot be read, and for a file that is missing or not below the graph's folder
 */
export async function externalDataFiles (path: string, graph: Uint8Array): Promise<string[]> {
  const locations = new Set<string>()
  try {
    collect(graph, 'model', locations)
  } catch (error) {
    throw refuseModel({ path }, `cannot read its graph: ${(error as Error).message}`)
  }
  const files: string[] = []
  for (const location of locations) {
    const inside = normalize(location)
    if (location === '' || isAbsolute(location) || inside.split(/[\\/]/)[0] === '..') {
      throw refuseModel({ path }, `its weights must be in files in the graph's folder; got ${JSON.stringify(location)}`)
    }
    const file = join(dirname(path), inside)
    if (!(await stat(file).then(found => found.isFile(), () => false))) {
      throw refuseModel({ path }, `its weights are in ${JSON.stringify(location)}, which is not beside it`)
    }
    files.push(file)
  }
  return files
}
