/**
 * Sessions: a compiled graph and the threads that run it. Runs happen off the event loop; inputs and outputs are the
 * caller's tensors, so a KV cache that is input and output is written in place. Knows no models.
 */
import koffi from 'koffi'
import {
  callAsync, check, created, createdAsync, loadOnnxRuntime, type OnnxRuntime, type Pointer
} from './onnx-library.js'
import { returnFreedMemory } from './memory.js'
import { externalFile } from './graph.js'
import type { Tensor, Value } from './tensor.js'

/** Weights outside a graph, by initializer name. */
export interface Weights {
  readonly tensors: ReadonlyMap<string, Tensor>
  /** Where sessions keep weights in the layout of their kernels, once for all. For this folder only. */
  readonly prepacked: Pointer
}

/** Weights outside the graph, held once for every session that uses them. */
export class SharedWeights implements Weights {
  readonly tensors: ReadonlyMap<string, Tensor>
  #prepacked: Pointer

  constructor (tensors: ReadonlyMap<string, Tensor>) {
    this.tensors = tensors
    this.#prepacked = created(loadOnnxRuntime().api, 'createPrepackedWeightsContainer')
  }

  get prepacked (): Pointer { return this.#prepacked }

  /** Those of a graph that does not have all. */
  only (names: ReadonlySet<string>): Weights {
    return { tensors: new Map([...this.tensors].filter(([name]) => names.has(name))), prepacked: this.#prepacked }
  }

  /** Frees the weights. Sessions that use them must be disposed first. Idempotent. */
  dispose (): void {
    if (!this.#prepacked) return
    loadOnnxRuntime().api.releasePrepackedWeightsContainer(this.#prepacked)
    this.#prepacked = null
    for (const tensor of this.tensors.values()) tensor.dispose()
  }
}

/** What runs graphs on a device. */
export interface ExecutionProvider {
  readonly name: 'webgpu' | 'cuda'
  /** As ONNX Runtime documents them. Unknown ones are ignored there. */
  readonly options: Readonly<Record<string, string>>
}

/** How a graph is run. */
export interface SessionOptions {
  /** The graph's external initializers, all of them and no others. */
  readonly weights?: Weights
  /** Threads of one operator. Set it: in containers ONNX Runtime counts the host's cores. */
  readonly threads: number
  /** Where the graph runs, all of it. Default: on the processor. */
  readonly provider?: ExecutionProvider
  /** External initializers in the provider's memory, whose kernels take them as they are; in place of `weights`. */
  readonly deviceWeights?: ReadonlyMap<string, Value>
  /**
   * For a graph that others wrote: its products of 8-bit integers are made exact where the processor would add them up
   * in 16 bits, with copies of the weights for this session alone. Default no: the graphs of this project use operators
   * that were tested.
   */
  readonly foreignIntegers?: boolean
  /** Folder that a graph names the files of its weights from. Default none: then it must have them itself. */
  readonly weightsFolder?: string
  /** Path prefix of a profile that `endProfiling` closes. */
  readonly profilePrefix?: string
}

function ownedString (api: OnnxRuntime['api'], allocator: Pointer, text: Pointer): string {
  const string = koffi.decode(text, 'char', -1) as string
  check(api, api.allocatorFree(allocator, text))
  return string
}

function names (runtime: OnnxRuntime, session: Pointer, kind: 'Input' | 'Output'): string[] {
  const { api, allocator } = runtime
  const count = [0]
  check(api, api[`sessionGet${kind}Count`](session, count))
  return Array.from({ length: Number(count[0]) }, (_, index) =>
    ownedString(api, allocator, created(api, `sessionGet${kind}Name`, session, index, allocator)))
}

/** @throws Error where the provider's libraries cannot be loaded */
function appendProvider ({ api }: OnnxRuntime, session: Pointer, { name, options }: ExecutionProvider): void {
  const keys = Object.keys(options)
  const values = Object.values(options)
  if (name === 'webgpu') {
    check(api, api.appendProvider(session, 'WebGPU', keys, values, keys.length))
    return
  }
  const cuda = created(api, 'createCudaOptions')
  try {
    if (keys.length > 0) check(api, api.updateCudaOptions(cuda, keys, values, keys.length))
    check(api, api.appendCudaProvider(session, cuda))
  } finally {
    api.releaseCudaOptions(cuda)
  }
}

/** Both calls are needed: the first shares the values between sessions, the second satisfies external references. */
function addWeights ({ api }: OnnxRuntime, session: Pointer, weights: ReadonlyMap<string, Value>): void {
  if (weights.size === 0) return
  for (const [name, tensor] of weights) check(api, api.addInitializer(session, name, tensor.handle))
  const values = BigUint64Array.from(weights.values(), tensor => tensor.address)
  check(api, api.addExternalInitializers(session, [...weights.keys()], values, weights.size))
}

/**
 * Weights in a device's memory. What satisfies the external references is a file in memory, as long as the largest
 * weight, whose contents nothing uses: the call for the host's weights copies them, and would take an address of the
 * device for one of the host, reading past the end of the process's memory where a weight is large.
 * @returns the file, to be given back when the session is made; null where there are no weights
 */
function addDeviceWeights (
  { api, allocator }: OnnxRuntime, session: Pointer, weights: ReadonlyMap<string, Value>
): Pointer {
  if (weights.size === 0) return null
  for (const [name, tensor] of weights) check(api, api.addInitializer(session, name, tensor.handle))
  const bytes = Math.max(...[...weights.values()].map(({ sizeBytes }) => sizeBytes))
  const file = created(api, 'allocatorAlloc', allocator, bytes)
  check(api, api.addExternalFiles(session, [externalFile], BigUint64Array.of(koffi.address(file as never)),
    BigUint64Array.of(BigInt(bytes)), 1))
  return file
}

async function create (
  runtime: OnnxRuntime, model: Uint8Array,
  { weights, deviceWeights, threads, provider, foreignIntegers = false, weightsFolder, profilePrefix }: SessionOptions
): Promise<Pointer> {
  const { api, environment, allocator } = runtime
  const options = created(api, 'createSessionOptions')
  let file: Pointer = null
  try {
    check(api, api.setIntraOpNumThreads(options, threads))
    // Each session has threads of its own, and those of one that has just run would spin on the cores of the one that
    // runs next.
    check(api, api.addSessionConfigEntry(options, 'session.force_spinning_stop', '1'))
    if (foreignIntegers) check(api, api.addSessionConfigEntry(options, 'session.x64quantprecision', '1'))
    if (weightsFolder !== undefined) {
      check(api, api.addSessionConfigEntry(options, 'session.model_external_initializers_file_folder_path',
        weightsFolder))
    }
    if (profilePrefix !== undefined) check(api, api.enableProfiling(options, profilePrefix))
    if (provider) {
      appendProvider(runtime, options, provider)
      // A node that the device cannot run would be run here, unseen, with copies there and back.
      check(api, api.addSessionConfigEntry(options, 'session.disable_cpu_ep_fallback', '1'))
    }
    if (deviceWeights) file = addDeviceWeights(runtime, options, deviceWeights)
    else addWeights(runtime, options, weights?.tensors ?? new Map())
    const args = [environment, model, model.byteLength, options]
    return weights
      ? await createdAsync(api, 'createSessionFromArrayWithPrepackedWeightsContainer', ...args, weights.prepacked)
      : await createdAsync(api, 'createSessionFromArray', ...args)
  } finally {
    api.releaseSessionOptions(options)
    if (file) check(api, api.allocatorFree(allocator, file))
  }
}

/** Tensors by name, as C arrays of name and value pointers. */
function pointers (
  tensors: ReadonlyMap<string, Value>, addresses: ReadonlyMap<string, bigint>
): { names: BigUint64Array, values: BigUint64Array } {
  const names = new BigUint64Array(new ArrayBuffer(8 * tensors.size))
  const values = new BigUint64Array(new ArrayBuffer(8 * tensors.size))
  let index = 0
  for (const [name, tensor] of tensors) {
    const address = addresses.get(name)
    if (address === undefined) throw new Error(`the graph has no input or output ${JSON.stringify(name)}`)
    names[index] = address
    values[index++] = tensor.address
  }
  return { names, values }
}

/** What a run is told beside its tensors. */
export class RunOptions {
  #options: Pointer

  /** @param entries by ONNX Runtime's names, such as `gpu_graph_id` */
  constructor (entries: Readonly<Record<string, string>>) {
    const { api } = loadOnnxRuntime()
    this.#options = created(api, 'createRunOptions')
    for (const [key, value] of Object.entries(entries)) check(api, api.addRunConfigEntry(this.#options, key, value))
  }

  /** The OrtRunOptions. For this folder only. */
  get handle (): Pointer { return this.#options }

  /** No run may be under way with them. Idempotent. */
  dispose (): void {
    if (this.#options) loadOnnxRuntime().api.releaseRunOptions(this.#options)
    this.#options = null
  }
}

/** A compiled graph. Several runs may be in flight if they write different tensors. */
export class Session {
  readonly inputNames: readonly string[]
  readonly outputNames: readonly string[]
  readonly #runtime: OnnxRuntime
  #session: Pointer
  /** What native code reads and writes at the moment, kept from the collector. */
  readonly #inFlight = new Set<unknown>()
  #disposed = false
  /** Addresses of the names as C strings, encoded once: a run of a decoder names over a hundred tensors. */
  readonly #addresses = new Map<string, bigint>()
  readonly #nameBytes: Uint8Array[] = []

  private constructor (runtime: OnnxRuntime, session: Pointer) {
    this.#runtime = runtime
    this.#session = session
    this.inputNames = names(runtime, session, 'Input')
    this.outputNames = names(runtime, session, 'Output')
    for (const name of [...this.inputNames, ...this.outputNames]) {
      const bytes = new Uint8Array(new ArrayBuffer(Buffer.byteLength(name) + 1))
      Buffer.from(bytes.buffer).write(name)
      this.#nameBytes.push(bytes)
      this.#addresses.set(name, koffi.address(bytes))
    }
  }

  /** Compiles a graph, off the event loop. @throws Error with ONNX Runtime's message */
  static async create (model: Uint8Array, options: SessionOptions): Promise<Session> {
    const runtime = loadOnnxRuntime()
    const session = new Session(runtime, await create(runtime, model, options))
    // Its kernels' copies of shared weights were dropped in favour of those of an earlier session.
    if (options.weights) await returnFreedMemory()
    return session
  }

  /**
   * One forward pass. Only the outputs named are fetched, written into the tensors given; the same tensor may be an
   * input and an output. The tensors must stay alive until the promise settles.
   */
  run (
    inputs: ReadonlyMap<string, Value>, outputs: ReadonlyMap<string, Value>, options?: RunOptions
  ): Promise<void> {
    if (this.#disposed) return Promise.reject(new Error('the session has been disposed'))
    const from = pointers(inputs, this.#addresses)
    const to = pointers(outputs, this.#addresses)
    const flight = [inputs, outputs, from, to]
    this.#inFlight.add(flight)
    return callAsync(this.#runtime.api, 'run', this.#session, options?.handle ?? null, from.names, from.values,
      inputs.size, to.names, outputs.size, to.values).finally(() => {
      this.#inFlight.delete(flight)
      if (this.#disposed && this.#inFlight.size === 0) this.#release()
    })
  }

  /** The OrtSession. For this folder only. */
  get handle (): Pointer {
    if (this.#disposed) throw new Error('the session has been disposed')
    return this.#session
  }

  /** Closes the profile and gives its path. */
  endProfiling (): string {
    const { api, allocator } = this.#runtime
    return ownedString(api, allocator, created(api, 'sessionEndProfiling', this.#session, allocator))
  }

  /** Frees the session, after the runs in flight. Idempotent. */
  dispose (): void {
    if (this.#disposed) return
    this.#disposed = true
    if (this.#inFlight.size === 0) this.#release()
  }

  #release (): void {
    this.#runtime.api.releaseSession(this.#session)
    this.#session = null
  }
}
