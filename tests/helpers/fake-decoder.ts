/**
 * A device without a device: a decoder of two layers whose KV are 32-bit numbers. What it says of a token is a hash of
 * the token, its position, the attention kernel it is run by and all KV before it, read through the block table: a
 * wrong table, a block that was written over, a run of another kernel or one that was not filled up gives another
 * answer. `expectedRow` says the same of a sequence alone, without blocks.
 */
import type {
  DecoderCounters, DeviceDecoder, PackedOutput, PackedPass
} from '../../src/models/device/device-decoder.js'
import { DeviceLostError } from '../../src/models/device/device-decoder.js'
import { decodeRun, shortRun } from '../../src/engine/kv/history.js'

export const vocabularySize = 200
const topK = 128
export const hiddenSize = 3

const mixed = (a: number, b: number): number => {
  const product = Math.imul(a ^ (a >>> 15) ^ b, 0x2c1b3c6d) + 0x9e3779b9 | 0
  return Math.imul(product ^ (product >>> 12), 0x297a2d39)
}

/** Of one position, both layers. */
export interface FakeKv { readonly low: number, readonly high: number }

/** What a token's KV is after those before it. @param before by position */
function kvAfter (before: (position: number) => FakeKv, token: number, position: number, kernel: string): FakeKv {
  let low = mixed(mixed(token, position), kernel.charCodeAt(0) + 256 * kernel.length)
  let high = 1
  for (let p = 0; p < position; p++) {
    const kv = before(p)
    low = mixed(low, kv.low)
    high = mixed(high, kv.high)
  }
  return { low, high: mixed(low, high) }
}

const logitsOf = ({ high }: FakeKv): Float32Array => Float32Array.from({ length: vocabularySize }, (_, id) =>
  (mixed(high, id) >>> 8) / 2 ** 22)

/** Of a layer: 0 the embedding, 2 the last. */
export const stateOf = (token: number, { low, high }: FakeKv, layer: number): Float32Array =>
  Float32Array.of(layer, layer === 0 ? token : 0, layer === 1 ? low / 2 ** 16 : layer === 2 ? high / 2 ** 16 : 0)

const logSum = (values: Float32Array, inverse: number): number => {
  const largest = Math.max(...values) * inverse
  return largest + Math.log(values.reduce((sum, value) => sum + Math.exp(value * inverse - largest), 0))
}

/** KV of a sequence alone, by how each position is run. */
export function kvOf (tokens: readonly number[], runs: readonly number[]): FakeKv[] {
  const kernels = new Map([[decodeRun, 'one'], [shortRun, 'short']])
  const all: FakeKv[] = []
  for (const [position, token] of tokens.entries()) {
    all.push(kvAfter(p => all[p]!, token, position, kernels.get(runs[position]!) ?? 'long'))
  }
  return all
}

/** Logits after a sequence alone. */
export const expectedLogits = (tokens: readonly number[], runs: readonly number[]): Float32Array =>
  logitsOf(kvOf(tokens, runs).at(-1)!)

export class FakeDecoder implements DeviceDecoder {
  readonly hiddenSize = hiddenSize
  readonly layers = 2
  readonly outputSize = vocabularySize
  readonly topK = topK
  readonly blockSize: number
  readonly numBlocks: number
  readonly maxBlocksPerSequence: number
  readonly bytesPerToken = 8
  readonly counters: DecoderCounters =
    { runs: 0, tokens: 0, copiedBlocks: 0, bytesFromHost: 0, bytesToHost: 0, hostReads: 0, nodes: 0 }

  /** What the next run throws. */
  failure: Error | null = null
  /** Called as each run ends, before it says so. */
  onRun: (pass: PackedPass) => void = () => {}
  isDisposed = false
  /** Positions of each run whose hidden states were wanted. */
  readonly stateRows: number[] = []
  #isLost = false
  readonly #cache: FakeKv[][]

  constructor (numBlocks: number, blockSize = 32, contextLength = 512) {
    this.numBlocks = numBlocks
    this.blockSize = blockSize
    this.maxBlocksPerSequence = Math.ceil(contextLength / blockSize)
    this.#cache = Array.from({ length: numBlocks }, () =>
      new Array<FakeKv>(blockSize).fill({ low: 0, high: 0 }))
  }

  async prepare (): Promise<void> {}

  async #begin (): Promise<void> {
    await new Promise(resolve => { setImmediate(resolve) })
    const failure = this.failure
    this.failure = null
    if (failure instanceof DeviceLostError) this.#isLost = true
    if (this.#isLost) throw failure ?? new DeviceLostError('gone')
    if (failure) throw failure
  }

  async copyBlocks (pairs: ReadonlyArray<readonly [from: number, to: number]>): Promise<void> {
    await this.#begin()
    if (new Set(pairs.map(([, to]) => to)).size !== pairs.length) throw new Error('a block is written twice')
    const read = pairs.map(([from]) => this.#cache[from]!.slice())
    for (const [index, [, to]] of pairs.entries()) this.#cache[to] = read[index]!
    this.counters.copiedBlocks += pairs.length
  }

  async run (pass: PackedPass): Promise<PackedOutput> {
    await this.#begin()
    const [kvs, isCut] = [this.#write(pass), pass.rows.length === 0 && !pass.stateLayers.includes(this.layers)]
    const logits = Array.from(pass.rows, row => logitsOf(kvs[row]!))
    if (isCut) for (const layer of pass.stateLayers) if (layer > 1) throw new Error('nothing is run above')
    const listed = logits.map(values => [...values.keys()]
      .sort((a, b) => values[b]! - values[a]! || a - b).slice(0, topK))
    this.counters.runs++
    this.stateRows.push(pass.stateRows.length)
    this.counters.tokens += pass.tokenIds.length
    this.counters.hostReads++
    this.counters.bytesToHost += logits.length * (8 * topK + 8) + pass.logitRows.length * 4 * vocabularySize
    this.onRun(pass)
    return {
      topIds: Int32Array.from(listed.flat()),
      topLogits: Float32Array.from(listed.flatMap((ids, row) => ids.map(id => logits[row]![id]!))),
      logNormalizers: Float32Array.from(logits, values => logSum(values, 1)),
      temperedLogNormalizers:
        Float32Array.from(logits, (values, row) => logSum(values, pass.inverseTemperatures[row]!)),
      logits: new Map(pass.logitRows.map(row => [row, logits[row]!])),
      hidden: new Map(pass.stateLayers.map(layer => [layer, Float32Array.from([...pass.stateRows].flatMap(row =>
        [...stateOf(pass.tokenIds[row]!, kvs[row]!, layer)]))]))
    }
  }

  /** Writes the KV of all tokens. Those of a sequence are run one after the other; sequences in any order. */
  #write (pass: PackedPass): FakeKv[] {
    const kernel = kernelOf(pass)
    const kvs: FakeKv[] = []
    const { cumulativeLengths: starts, pastLengths } = pass
    for (const [sequence, past] of pastLengths.entries()) {
      const table = pass.blockTables.subarray(sequence * this.maxBlocksPerSequence)
      const count = starts[sequence + 1]! - starts[sequence]!
      if (count > pass.longestPart || past + count > pass.longestSequence) throw new Error('bounds are too small')
      for (let at = 0; at < count; at++) {
        const position = past + at
        const kv = kvAfter(p => this.#cell(table, p), pass.tokenIds[starts[sequence]! + at]!, position, kernel)
        const high = pass.rows.length === 0 && !pass.stateLayers.includes(this.layers)
          ? this.#cell(table, position).high
          : kv.high
        this.#cache[table[Math.floor(position / this.blockSize)]!]![position % this.blockSize] = { ...kv, high }
        kvs.push(kv)
      }
    }
    return kvs
  }

  #cell (table: Int32Array, position: number): FakeKv {
    return this.#cache[table[Math.floor(position / this.blockSize)]!]![position % this.blockSize]!
  }

  async dispose (): Promise<void> { this.isDisposed = true }
}

/** The kernel of a run; another one, which no sequence alone is run by, for one that was not filled up. */
function kernelOf ({ longestPart, tokenIds, rows }: PackedPass): string {
  if (tokenIds.length < 4 || (rows.length > 0 && rows.length < 4)) return 'narrow'
  const bound = Math.min(longestPart, tokenIds.length)
  return bound === 1 ? 'one' : bound < 4 ? 'few' : bound < 32 ? 'short' : 'long'
}
