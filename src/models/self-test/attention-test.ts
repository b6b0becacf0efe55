/**
 * Tests attention on this processor with a model's heads: decoding behind more keys than one thread keeps to itself,
 * and rows that share a prompt. Results are compared with exact arithmetic, and the bits of a row computed alone with
 * its bits among so many rows that each thread has whole ones.
 */
import { GraphWriter } from '../../runtime/graph.js'
import { Tensor } from '../../runtime/tensor.js'
import { partName } from '../graph/run-shape.js'
import {
  declareSharedPart, declareSharedPrefix, sharedPrefixAttention, sharesInPieces, type AttentionHeads
} from '../graph/shared-prefix-attention.js'
import { randomNumbers, relativeError, sameBits, type Compile, type Compiled, type Finding } from './finding.js'

const tolerance = 1e-4
/**
 * How many keys to decode behind: more than a block of the largest caches has. ONNX Runtime's flash attention takes
 * keys in blocks that fit the second-level cache, of cache bytes / (32 · head size) keys (256 keys of 64 channels with
 * a cache of 512 KiB, 1,024 with one of 2 MiB), and divides more than one block among threads.
 */
const decodeKeys = ({ headSize }: AttentionHeads): number => Math.ceil(2 ** 18 / headSize) + 45
/** Keys of each row, and positions of a prompt that is shared: more than one piece, and not a whole number of them. */
const [restKeys, promptLength] = [301, 301] as const
/** Rows that share a prompt, in the runs that are compared. */
const sharedRows = [1, 2, 8] as const
/** Row counts to compare: one, two, and enough that threads do not outnumber rows times heads, within a time bound. */
function decodeRows ({ queryHeads }: AttentionHeads, threads: number): number[] {
  return [...new Set([1, 2, Math.min(8, Math.max(2, Math.ceil(threads / queryHeads)))])]
}

/** Numbers from −1 to 1, the same for one seed. They repeat after a while: a tenth of the cost of drawing all. */
function noise (count: number, seed: number): Float32Array {
  const random = randomNumbers(seed)
  const period = Float32Array.from({ length: Math.min(count, 8191) }, () => 2 * random() - 1)
  const values = new Float32Array(count)
  for (let at = 0; at < count; at += period.length) {
    values.set(period.subarray(0, Math.min(period.length, count - at)), at)
  }
  return values
}

/** Reads the keys and values of a run's first row, by key head. */
export type Read = (kind: 'key' | 'value', kvHead: number, position: number) => Float32Array

/** Attention of one row by one head, in float64. @returns [head size] */
export function exactHead (
  { queryHeads, kvHeads, headSize }: AttentionHeads, query: Float32Array, head: number, positions: number, read: Read
): Float64Array {
  const kvHead = Math.floor(head * kvHeads / queryHeads)
  const scores = new Float64Array(positions)
  for (let position = 0; position < positions; position++) {
    const key = read('key', kvHead, position)
    let sum = 0
    for (let at = 0; at < headSize; at++) sum += query[head * headSize + at]! * key[at]!
    scores[position] = sum / Math.sqrt(headSize)
  }
  const largest = scores.reduce((most, score) => Math.max(most, score), -Infinity)
  const weights = scores.map(score => Math.exp(score - largest))
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  const result = new Float64Array(headSize)
  for (let position = 0; position < positions; position++) {
    const value = read('value', kvHead, position)
    for (let at = 0; at < headSize; at++) result[at]! += weights[position]! / total * value[at]!
  }
  return result
}

const integers = (
  type: 'int32' | 'int64', values: readonly number[], dims: readonly number[] = [values.length]
): Tensor => Tensor.from(type, dims, type === 'int32' ? Int32Array.from(values) : BigInt64Array.from(values, BigInt))

/** The rows' own keys and values, [rows, kv heads, keys, head size], and the queries, keys and values of a step. */
class Rows {
  readonly heads: AttentionHeads
  /** Keys of a row, the step's included. */
  readonly keys: number
  readonly width: number
  readonly steps: Float32Array
  readonly cache: ReadonlyArray<{ readonly kind: 'key' | 'value', readonly tensor: Tensor }>

  constructor (heads: AttentionHeads, count: number, keys: number) {
    const { queryHeads, kvHeads, headSize } = heads
    this.heads = heads
    this.keys = keys
    this.width = (queryHeads + 2 * kvHeads) * headSize
    this.steps = noise(count * this.width, 5)
    this.cache = (['key', 'value'] as const).map((kind, index) => {
      const tensor = Tensor.allocate('float32', [count, kvHeads, keys, headSize])
      tensor.data.set(noise(count * kvHeads * keys * headSize, 7 + index) as never)
      return { kind, tensor }
    })
  }

  /** Runs a step of the first `count` rows. @returns the output of the first, [query heads · head size] */
  async run (
    session: Compiled, count: number, more: (count: number) => ReadonlyMap<string, Tensor>, shared: boolean
  ): Promise<Float32Array> {
    const { kvHeads, queryHeads, headSize } = this.heads
    const name = (text: string): string => shared ? partName(0, text) : text
    const size = [count, kvHeads, this.keys, headSize]
    const views = this.cache.map(({ kind, tensor }) => ({ kind, view: tensor.view(0, size) }))
    const y = Tensor.allocate('float32', [count, 1, queryHeads * headSize])
    const own = new Map([
      ['qkv', Tensor.from('float32', [count, 1, this.width], this.steps.slice(0, count * this.width))],
      [name('seqlens_k'), integers('int32', new Array<number>(count).fill(this.keys - 1))],
      [name('total_sequence_length'), integers('int32', [this.keys])],
      ...more(count)
    ])
    const inputs = new Map([...own, ...views.map(({ kind, view }) => [name(`past_${kind}_0`), view] as const)])
    const present = views.map(({ kind, view }) => [name(`present_${kind}_0`), view] as const)
    await session.run(inputs, new Map([['y', y], ...present]))
    const first = (y.data as Float32Array).slice(0, queryHeads * headSize)
    for (const tensor of [y, ...inputs.values()]) tensor.dispose()
    return first
  }

  /** The first row's own keys and values, the step's included. */
  read (kind: 'key' | 'value', kvHead: number, position: number): Float32Array {
    const { kvHeads, queryHeads, headSize } = this.heads
    const { tensor } = this.cache[kind === 'key' ? 0 : 1]!
    const start = (kvHead * this.keys + position) * headSize
    if (position < this.keys - 1) return (tensor.data as Float32Array).subarray(start, start + headSize)
    const step = (queryHeads + (kind === 'key' ? 0 : kvHeads) + kvHead) * headSize
    return this.steps.subarray(step, step + headSize)
  }

  dispose (): void { for (const { tensor } of this.cache) tensor.dispose() }
}

/** Compares runs of different numbers of rows with each other and, for the first and last head, exact arithmetic. */
async function compare (
  operator: string, { heads, steps }: Rows, counts: readonly number[], run: (count: number) => Promise<Float32Array>,
  positions: number, read: Read
): Promise<Finding> {
  const results: Float32Array[] = []
  for (const count of counts) results.push(await run(count))
  const [alone] = results as [Float32Array]
  const errors = (heads.kvHeads === 1 ? [0] : [0, heads.queryHeads - 1]).map(head => {
    const given = alone.subarray(head * heads.headSize, (head + 1) * heads.headSize)
    return relativeError(given, exactHead(heads, steps, head, positions, read))
  })
  const rowsAlike = results.every(result => sameBits(result, alone))
  return { operator, error: Math.max(...errors), tolerance, rowsAlike }
}

/** Declares the inputs and outputs of the rows' own keys and values. */
function declareRows (
  graph: GraphWriter, { queryHeads, kvHeads, headSize }: AttentionHeads, name: (text: string) => string
): string {
  graph.input('qkv', 'float32', ['batch', 1, (queryHeads + 2 * kvHeads) * headSize])
  graph.input(name('seqlens_k'), 'int32', ['batch'])
  graph.input(name('total_sequence_length'), 'int32', [1])
  for (const kind of ['key', 'value']) {
    graph.input(name(`past_${kind}_0`), 'float32', ['batch', kvHeads, 'capacity', headSize])
    graph.output(name(`present_${kind}_0`), 'float32', ['batch', kvHeads, 'capacity', headSize])
  }
  graph.output('y', 'float32', ['batch', 1, queryHeads * headSize])
  return 'qkv'
}

/** Decoding: one position of each row behind its own keys. One key head is enough to see how keys are divided. */
export async function testAttention (
  modelHeads: AttentionHeads, threads: number, compile: Compile
): Promise<Finding> {
  const heads = { ...modelHeads, kvHeads: 1 }
  const graph = new GraphWriter()
  const qkv = declareRows(graph, heads, text => text)
  const caches = ['past_key_0', 'past_value_0', 'seqlens_k', 'total_sequence_length']
  graph.node('GroupQueryAttention', [qkv, '', '', ...caches], ['y', 'present_key_0', 'present_value_0'],
    { num_heads: heads.queryHeads, kv_num_heads: heads.kvHeads }, 'com.microsoft')
  const counts = decodeRows(heads, threads)
  const session = await compile(graph.finish(), { threads })
  const rows = new Rows(heads, Math.max(...counts), decodeKeys(heads))
  try {
    const run = (count: number): Promise<Float32Array> => rows.run(session, count, () => new Map(), false)
    return await compare('attention', rows, counts, run, rows.keys, (...place) => rows.read(...place))
  } finally {
    session.dispose()
    rows.dispose()
  }
}

/** Decoding of rows behind one prompt whose keys and values are stored once. */
export async function testSharedPrefix (heads: AttentionHeads, threads: number, compile: Compile): Promise<Finding> {
  const { kvHeads, queryHeads, headSize } = heads
  const pieces = sharesInPieces(heads, threads)
  const graph = new GraphWriter()
  const qkv = declareRows(graph, heads, text => partName(0, text))
  for (const table of ['rope_cos', 'rope_sin']) graph.input(table, 'float32', ['positions', headSize / 2])
  graph.constant('qkv_parts', 'int64', [3], [queryHeads, kvHeads, kvHeads].map(count => count * headSize))
  declareSharedPart(graph, heads, 0, pieces)
  declareSharedPrefix(graph, heads, pieces)
  graph.node('Identity', [sharedPrefixAttention(graph, heads, qkv, { layer: 0, part: 0, pieces })], ['y'])
  const session = await compile(graph.finish(), { threads })
  const rows = new Rows(heads, Math.max(...sharedRows), restKeys)
  const size = kvHeads * promptLength * headSize
  const prompt = { key: noise(size, 11), value: noise(size, 12) }
  const places = promptLength + restKeys
  const filled = (dims: readonly [number, ...number[]], value: number): Tensor =>
    Tensor.from('float32', dims, new Float32Array(dims.reduce((product, dim) => product * dim)).fill(value))
  const prefix = (kind: 'key' | 'value'): Tensor =>
    Tensor.from('float32', [kvHeads, promptLength, headSize], prompt[kind])
  const more = (count: number): Map<string, Tensor> => new Map([
    // Tables that turn no position.
    ['rope_cos', filled([places, headSize / 2], 1)],
    ['rope_sin', filled([places, headSize / 2], 0)],
    [partName(0, 'positions'), integers('int64', new Array<number>(count).fill(places - 1), [count, 1])],
    [partName(0, 'lengths'), integers('int64', [promptLength, restKeys])],
    [partName(0, 'rest_shape'), integers('int64', [kvHeads, -1, restKeys])],
    [partName(0, 'ones'), filled([kvHeads, restKeys, headSize], 1)],
    ...(['key', 'value'] as const).map(kind => [partName(0, `prefix_${kind}_0`), prefix(kind)] as const)
  ])
  const read: Read = (kind, kvHead, position) => {
    const start = (kvHead * promptLength + position) * headSize
    if (position >= promptLength) return rows.read(kind, kvHead, position - promptLength)
    return prompt[kind].subarray(start, start + headSize)
  }
  try {
    const run = (count: number): Promise<Float32Array> => rows.run(session, count, more, true)
    return await compare('attention to shared prompts', rows, sharedRows, run, places, read)
  } finally {
    session.dispose()
    rows.dispose()
  }
}
