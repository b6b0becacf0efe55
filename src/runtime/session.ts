/**
 * Sessions: a compiled graph and the threads that run it. Runs happen off the event loop; inputs and outputs are the
 * caller's tensors, so a KV cache that is input and output is written in place. Knows no models.
 */
import koffi from 'koffi'
import {
  callAsync, check, created, createdAsync, loadOnnxRuntime, type OnnxRuntime, type Pointer
} from './onnx-library.js'
import { returnFreedMemory } from './memory.js'
import type { Tensor } from './tensor.js'

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

/** How a graph is run. */
export interface SessionOptions {
  /** The graph's external initializers, all of them and no others. */
  readonly weights?: Weights
  /** Threads of one operator. Set it: in containers ONNX Runtime counts the host's cores. */
  readonly threads: number
  /** Where the graph runs. Only the CPU so far. */
  readonly provider?: { readonly name: 'cpu' }
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

async function create (
  runtime: OnnxRuntime, model: Uint8Array,
  { weights, threads, foreignIntegers = false, weightsFolder, profilePrefix }: SessionOptions
): Promise<Pointer> {
  const { api, environment } = runtime
  const options = created(api, 'createSessionOptions')
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
    if (!weights) {
      return await createdAsync(api, 'createSessionFromArray', environment, model, model.byteLength, options)
    }
    // Both calls are needed: the first shares the values between sessions, the second satisfies the external
    // references.
    for (const [name, tensor] of weights.tensors) check(api, api.addInitializer(options, name, tensor.handle))
    const initializers = [...weights.tensors.keys()]
    const values = BigUint64Array.from(weights.tensors.values(), tensor => tensor.address)
    check(api, api.addExternalInitializers(options, initializers, values, initializers.length))
    return await createdAsync(api, 'createSessionFromArrayWithPrepackedWeightsContainer', environment, model,
      model.byteLength, options, weights.prepacked)
  } finally {
    api.releaseSessionOptions(options)
  }
}

/** Tensors by name, as C arrays of name and value pointers. */
function pointers (
  tensors: ReadonlyMap<string, Tensor>, addresses: ReadonlyMap<string, bigint>
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
  run (inputs: ReadonlyMap<string, Tensor>, outputs: ReadonlyMap<string, Tensor>): Promise<void> {
    if (this.#disposed) return Promise.reject(new Error('the session has been disposed'))
    const from = pointers(inputs, this.#addresses)
    const to = pointers(outputs, this.#addresses)
    const flight = [inputs, outputs, from, to]
    this.#inFlight.add(flight)
    return callAsync(this.#runtime.api, 'run', this.#session, null, from.names, from.values, inputs.size, to.names,
      outputs.size, to.values).finally(() => {
      this.#inFlight.delete(flight)
      if (this.#disposed && this.#inFlight.size === 0) this.#release()
    })
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
