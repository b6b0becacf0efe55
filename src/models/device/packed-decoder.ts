/**
 * The decoder of `device-decoder.ts` over ONNX Runtime: a paged cache in a device's memory, graphs that are compiled
 * for what runs ask for, and one run at a time. Knows no sequences.
 */
import type { DeviceTensor } from '../../runtime/device.js'
import type { Session } from '../../runtime/session.js'
import { Tensor, type Value } from '../../runtime/tensor.js'
import { RequestError } from '../../errors.js'
import { CapturedRuns, canReplay, captureOptions } from './captured-runs.js'
import {
  DeviceLostError, type DecoderCounters, type DecoderOptions, type DeviceDecoder, type PackedOutput, type PackedPass
} from './device-decoder.js'
import { sampledRows, sortedRows } from './pass-output.js'
import {
  buildBlockCopyGraph, buildPackedGraph, cacheNames, depthOf, topKOf, type PackedGraphKind
} from './packed-graph.js'
import { blockSizeOn, kvBytesPerToken, type PackedModel } from './packed-model.js'
import { checkPass, passTensors } from './packed-pass.js'
import { samplingColumns } from './sampling-graph.js'

/** A compiled graph. */
interface CompiledGraph { readonly session: Session, readonly nodes: number }

/** Recorded runs of a graph, and its nodes. */
interface RecordedGraph { readonly runs: CapturedRuns, readonly nodes: number }

/** What is made once by key; what fails is tried again. */
function once<T> (known: Map<string, Promise<T>>, key: string, make: () => Promise<T>): Promise<T> {
  const making = known.get(key) ?? make()
  if (known.has(key)) return making
  known.set(key, making)
  making.catch(() => { known.delete(key) })
  return making
}

const sizeOf = (tensors: Iterable<Value>): number => [...tensors].reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)

export class PackedDecoder implements DeviceDecoder {
  readonly hiddenSize: number
  readonly layers: number
  readonly outputSize: number
  readonly topK: number
  readonly blockSize: number
  readonly numBlocks: number
  readonly maxBlocksPerSequence: number
  readonly bytesPerToken: number
  readonly counters: DecoderCounters =
    { runs: 0, tokens: 0, copiedBlocks: 0, bytesFromHost: 0, bytesToHost: 0, hostReads: 0, nodes: 0 }

  readonly #model: PackedModel
  /** The cache's tensors by name, [blocks, block size, kv heads, head size]. */
  readonly #cache = new Map<string, DeviceTensor>()
  /** By `keyOf`. */
  readonly #graphs = new Map<string, Promise<CompiledGraph>>()
  /** By `keyOf`, of the graphs that decode runs ask for. */
  readonly #recorded = new Map<string, Promise<RecordedGraph>>()
  #copier: Promise<CompiledGraph> | null = null
  #disposed = false

  private constructor (model: PackedModel, contextLength: number, numBlocks: number) {
    const { config, device } = model
    this.#model = model
    this.hiddenSize = config.hiddenSize
    this.layers = config.layers
    this.outputSize = config.outputSize
    this.topK = topKOf(config)
    this.blockSize = blockSizeOn(device.provider.name, config.headSize)
    this.bytesPerToken = kvBytesPerToken(config)
    this.numBlocks = numBlocks
    this.maxBlocksPerSequence = Math.ceil(contextLength / this.blockSize)
  }

  /** @throws RequestError where the cache has room for no block, or the device none for the cache */
  static async open (model: PackedModel, { contextLength, kvCacheBytes }: DecoderOptions): Promise<PackedDecoder> {
    const { config, device } = model
    const blockSize = blockSizeOn(device.provider.name, config.headSize)
    const blockBytes = blockSize * kvBytesPerToken(config)
    if (kvCacheBytes < blockBytes) {
      throw new RequestError('invalid_request', `a KV cache of ${kvCacheBytes} bytes holds no block of ${blockSize} ` +
        `positions, which takes ${blockBytes}: raise kv-cache-bytes`, { param: 'kvCacheBytes' })
    }
    return await PackedDecoder.openBlocks(model, contextLength, Math.floor(kvCacheBytes / blockBytes))
  }

  /** @throws RequestError where the device has no room for so many blocks */
  static async openBlocks (model: PackedModel, contextLength: number, numBlocks: number): Promise<PackedDecoder> {
    const decoder = new PackedDecoder(model, contextLength, numBlocks)
    try {
      await decoder.#allocateCache()
      return decoder
    } catch (error) {
      await decoder.dispose().catch(() => {})
      const bytes = numBlocks * decoder.blockSize * decoder.bytesPerToken
      throw new RequestError('invalid_request', `the device has no memory for a KV cache of ${bytes} bytes: lower ` +
        `kv-cache-bytes (${(error as Error).message})`, { param: 'kvCacheBytes', cause: error })
    }
  }

  /** Zeros: memory that is used again holds what it held, and NaN in a place that is masked would spoil the sum. */
  async #allocateCache (): Promise<void> {
    const { device, config: { layers, kvHeads, headSize } } = this.#model
    const dims = [this.numBlocks, this.blockSize, kvHeads, headSize]
    const zeros = Tensor.allocate('float16', dims)
    try {
      (zeros.data as Uint16Array).fill(0)
      for (let layer = 0; layer < layers; layer++) {
        for (const name of cacheNames(layer)) {
          this.#cache.set(name, await device.allocate('float16', dims))
          await device.copy([zeros], [this.#cache.get(name)!])
        }
      }
    } finally {
      zeros.dispose()
    }
  }

  async prepare (stateLayers: readonly number[], withRows: boolean): Promise<void> {
    await this.#graph(this.#kindOf(stateLayers, withRows, false))
  }

  async run (pass: PackedPass): Promise<PackedOutput> {
    checkPass(pass, this)
    const kind = this.#kindOf(pass.stateLayers, pass.rows.length > 0, pass.logitRows.length > 0)
    if (this.#model.captures && kind.head === 'sampling' && canReplay(pass)) return await this.#replay(pass, kind)
    const graph = await this.#graph(kind)
    const inputs = passTensors(pass, this)
    // The host sorts, and takes the rows from what it sorts.
    const unused = ['inverse_temperature', 'logit_rows'].filter(name => !graph.session.inputNames.includes(name))
    const feeds = new Map<string, Value>([...inputs].filter(([name]) => !unused.includes(name)))
    this.counters.bytesFromHost += sizeOf(feeds.values())
    this.#bindCache(feeds, depthOf(this.#model.config, kind))
    const outputs = this.#outputs(pass, kind)
    try {
      await this.#execute(graph, feeds, outputs)
      this.counters.tokens += pass.tokenIds.length
      this.counters.bytesToHost += sizeOf(outputs.values())
      this.counters.hostReads += outputs.size
      return this.#read(pass, outputs)
    } finally {
      for (const tensor of [...inputs.values(), ...outputs.values()]) tensor.dispose()
    }
  }

  /** A run of one token a sequence, as it was recorded. */
  async #replay (pass: PackedPass, kind: PackedGraphKind): Promise<PackedOutput> {
    const { runs, nodes } = await this.#recordedGraph(kind)
    const outputs = this.#outputs(pass, kind)
    try {
      await this.#guarded(async () => { this.counters.bytesFromHost += await runs.run(pass, outputs) })
      this.counters.runs++
      this.counters.nodes += nodes
      this.counters.tokens += pass.tokenIds.length
      this.counters.bytesToHost += sizeOf(outputs.values())
      this.counters.hostReads += outputs.size
      return this.#read(pass, outputs)
    } finally {
      for (const tensor of outputs.values()) tensor.dispose()
    }
  }

  async copyBlocks (pairs: ReadonlyArray<readonly [number, number]>): Promise<void> {
    if (pairs.length === 0) return
    if (pairs.flat().some(block => !(block >= 0 && block < this.numBlocks))) {
      throw new Error(`copied blocks must be numbers of the ${this.numBlocks} blocks`)
    }
    const { device, config } = this.#model
    this.#copier ??= this.#compile(() => buildBlockCopyGraph(config, this.blockSize), model => device.compile(model))
    const copier = await this.#copier
    const from = Tensor.from('int32', [pairs.length], Int32Array.from(pairs, ([block]) => block))
    const to = Tensor.from('int64', [pairs.length, 1], BigInt64Array.from(pairs, ([, block]) => BigInt(block)))
    const feeds = new Map<string, Value>([['from', from], ['to', to], ...this.#cache])
    const outputs = new Map([...this.#cache].map(([name, tensor]) => [`${name}_out`, tensor]))
    try {
      await this.#execute(copier, feeds, outputs)
      this.counters.copiedBlocks += pairs.length
      this.counters.bytesFromHost += sizeOf([from, to])
    } finally {
      for (const tensor of [from, to]) tensor.dispose()
    }
  }

  async dispose (): Promise<void> {
    if (this.#disposed) return
    this.#disposed = true
    const { device } = this.#model
    const compiled = await Promise.allSettled([...this.#graphs.values(), ...this.#copier ? [this.#copier] : []])
    for (const recorded of await Promise.allSettled(this.#recorded.values())) {
      if (recorded.status === 'fulfilled') await recorded.value.runs.dispose()
    }
    await device.dispose(compiled.flatMap(one => one.status === 'fulfilled' ? [one.value.session] : []))
    await device.free([...this.#cache.values()])
    this.#cache.clear()
  }

  #kindOf (stateLayers: readonly number[], withRows: boolean, picks: boolean): PackedGraphKind {
    const sorting = picks ? 'picked' : 'sampling'
    return { stateLayers, head: !withRows ? 'none' : this.#model.sortsOnHost ? 'logits' : sorting }
  }

  /** Compiled when it is first asked for; a graph that cannot be is tried again. */
  #graph (kind: PackedGraphKind): Promise<CompiledGraph> {
    if (this.#disposed) return Promise.reject(new Error('the decoder has been disposed'))
    const key = `${kind.head} ${kind.stateLayers.join()}`
    return once(this.#graphs, key, () => this.#compileKind(kind))
  }

  #recordedGraph (kind: PackedGraphKind): Promise<RecordedGraph> {
    if (this.#disposed) return Promise.reject(new Error('the decoder has been disposed'))
    return once(this.#recorded, kind.stateLayers.join(), async () => {
      const { session, nodes } = await this.#compileKind(kind, captureOptions)
      return { runs: new CapturedRuns(this.#model.device, session, this.#cache, this), nodes }
    })
  }

  #compileKind (kind: PackedGraphKind, options: Readonly<Record<string, string>> = {}): Promise<CompiledGraph> {
    const { device, config, layout, weights, ropePositions } = this.#model
    const sizes = { ropePositions, blockSize: this.blockSize, maxBlocksPerSequence: this.maxBlocksPerSequence }
    return this.#compile(() => buildPackedGraph(config, layout, kind, sizes),
      (model, names) => device.compile(model, weights.only(names), options))
  }

  async #compile (
    write: () => { readonly model: Uint8Array, readonly nodes: number, readonly weights?: ReadonlySet<string> },
    compile: (model: Uint8Array, names: ReadonlySet<string>) => Promise<Session>
  ): Promise<CompiledGraph> {
    const { model, nodes, weights = new Set() } = write()
    return { session: await compile(model, weights), nodes }
  }

  #bindCache (feeds: Map<string, Value>, layers: number): void {
    for (let layer = 0; layer < layers; layer++) {
      for (const name of cacheNames(layer)) feeds.set(name, this.#cache.get(name)!)
    }
  }

  /** Tensors of the host that a run writes, by name. */
  #outputs ({ rows, logitRows, stateLayers, stateRows }: PackedPass, { head }: PackedGraphKind): Map<string, Tensor> {
    const floats = (count: number, width: number): Tensor => Tensor.allocate('float32', [count, width])
    const outputs = new Map(stateLayers.map(layer => [`states_${layer}`, floats(stateRows.length, this.hiddenSize)]))
    if (head === 'logits') outputs.set('logits', floats(rows.length, this.outputSize))
    else if (head !== 'none') outputs.set('sampling', floats(rows.length, samplingColumns(this.topK)))
    if (head === 'picked') outputs.set('picked_logits', floats(logitRows.length, this.outputSize))
    return outputs
  }

  #read (
    { rows, inverseTemperatures, logitRows, stateLayers }: PackedPass, outputs: ReadonlyMap<string, Tensor>
  ): PackedOutput {
    const floats = (name: string): Float32Array | undefined => outputs.get(name)?.data as Float32Array | undefined
    const [logits, sampling, picked] = [floats('logits'), floats('sampling'), floats('picked_logits')]
    const row = (index: number, at: number): Float32Array => logits
      ? logits.slice(index * this.outputSize, (index + 1) * this.outputSize)
      : picked!.slice(at * this.outputSize, (at + 1) * this.outputSize)
    return {
      ...logits
        ? sortedRows(logits, inverseTemperatures, this.topK)
        : sampledRows(sampling ?? new Float32Array(), rows.length, this.topK),
      logits: new Map(logitRows.map((index, at) => [index, row(index, at)])),
      hidden: new Map(stateLayers.map(layer => [layer, floats(`states_${layer}`)!.slice()]))
    }
  }

  async #execute (
    { session, nodes }: CompiledGraph, feeds: ReadonlyMap<string, Value>, outputs: ReadonlyMap<string, Value>
  ): Promise<void> {
    await this.#guarded(() => this.#model.device.run(session, feeds, outputs))
    this.counters.runs++
    this.counters.nodes += nodes
  }

  /** @throws DeviceLostError in place of an error of a device that is gone */
  async #guarded (work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      if (await this.#model.device.responds()) throw error
      throw new DeviceLostError(`the device no longer responds: ${(error as Error).message}`, { cause: error })
    }
  }
}
