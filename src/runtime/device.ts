/**
 * A device that graphs run on beside the processor: its memory, copies to and from it, and sessions there. Whatever
 * touches it goes through one queue, in the order of the calls: ONNX Runtime records a device's commands without locks,
 * and runs, copies, allocations or compilations that overlap crash the process. Knows no models.
 */
import koffi from 'koffi'
import { GraphWriter } from './graph.js'
import { callAsync, check, created, loadOnnxRuntime, type Pointer } from './onnx-library.js'
import { Session, type ExecutionProvider } from './session.js'
import { dataTypes, elements, Tensor, type DataType, type TensorData, type Value } from './tensor.js'

/** ONNX Runtime's names of the memory of devices. */
const memoryNames = { webgpu: 'WebGPU_Buf', cuda: 'Cuda' } as const

/** Buffers of WebGPU are at least this long, bytes. */
const minBytes = 4

/** Resolves when all that was asked of devices is done: one queue, since ONNX Runtime has one device for all. */
let queue: Promise<unknown> = Promise.resolve()

/** Runs what touches a device when all that was asked for before is done. */
function inTurn<T> (work: () => T | Promise<T>): Promise<T> {
  const turn = queue.then(work)
  queue = turn.catch(() => {})
  return turn
}

/** A graph of one node: an allocator belongs to a session, so one stays open as long as the device. */
function keeperGraph (): Uint8Array {
  const graph = new GraphWriter()
  graph.input('x', 'float32', [1])
  graph.output('y', 'float32', [1])
  graph.node('Identity', ['x'], ['y'])
  return graph.finish()
}

/**
 * A tensor in a device's memory. ONNX Runtime does not own it, so that any number of sessions may share it as a weight.
 * It is given back with `Device.free`.
 */
export class DeviceTensor implements Value {
  readonly type: DataType
  readonly dims: readonly number[]
  readonly memory: ExecutionProvider['name']
  readonly sizeBytes: number
  readonly handle: Pointer
  readonly address: bigint
  /** Of the device's allocator. For this file only. */
  readonly buffer: Pointer
  readonly #memoryInfo: Pointer

  /** For this file only: see `Device.allocate`. */
  constructor (
    memory: ExecutionProvider['name'], memoryInfo: Pointer, buffer: Pointer, type: DataType, dims: readonly number[]
  ) {
    const { api } = loadOnnxRuntime()
    this.memory = memory
    this.type = type
    this.dims = dims
    this.sizeBytes = elements(dims) * dataTypes[type].size
    this.buffer = buffer
    this.#memoryInfo = memoryInfo
    this.handle = created(api, 'createTensorWithData', memoryInfo, buffer, Math.max(this.sizeBytes, minBytes),
      BigInt64Array.from(dims, BigInt), dims.length, dataTypes[type].onnx)
    this.address = koffi.address(this.handle as never)
  }

  /**
   * The same memory in another shape, or its beginning: a pointer of WebGPU is the handle of a buffer, which has no
   * views from an offset on. Given back with `Device.release`, before this one.
   */
  shaped (dims: readonly number[]): DeviceTensor {
    if (elements(dims) > elements(this.dims)) {
      throw new Error(`shape [${dims.join(', ')}] exceeds the tensor's ${elements(this.dims)} elements`)
    }
    return new DeviceTensor(this.memory, this.#memoryInfo, this.buffer, this.type, dims)
  }
}

export class Device {
  readonly provider: ExecutionProvider
  readonly #keeper: Session
  readonly #memoryInfo: Pointer
  readonly #allocator: Pointer
  /** What was compiled and allocated here and not given back. */
  readonly #sessions = new Set<Session>()
  readonly #tensors = new Set<DeviceTensor>()
  #closed = false

  private constructor (provider: ExecutionProvider, keeper: Session) {
    const { api } = loadOnnxRuntime()
    this.provider = provider
    this.#keeper = keeper
    this.#memoryInfo = created(api, 'createMemoryInfo', memoryNames[provider.name], 0, 0, 0)
    this.#allocator = created(api, 'createAllocator', keeper.handle, this.#memoryInfo)
  }

  /** @throws Error with ONNX Runtime's message where there is no such device */
  static async open (provider: ExecutionProvider): Promise<Device> {
    return await inTurn(async () =>
      new Device(provider, await Session.create(keeperGraph(), { threads: 1, provider })))
  }

  #inTurn<T> (work: () => T | Promise<T>): Promise<T> {
    return this.#closed ? Promise.reject(new Error('the device has been closed')) : inTurn(work)
  }

  /** Memory whose contents are undefined. @throws Error where the device has no more */
  allocate (type: DataType, dims: readonly number[]): Promise<DeviceTensor> {
    return this.#inTurn(() => {
      const { api } = loadOnnxRuntime()
      const bytes = Math.max(elements(dims) * dataTypes[type].size, minBytes)
      const buffer = created(api, 'allocatorAlloc', this.#allocator, bytes)
      const tensor = new DeviceTensor(this.provider.name, this.#memoryInfo, buffer, type, dims)
      this.#tensors.add(tensor)
      return tensor
    })
  }

  /** A tensor with values from the host. */
  async upload (type: DataType, dims: readonly number[], data: TensorData): Promise<DeviceTensor> {
    const host = Tensor.from(type, dims, data)
    const tensor = await this.allocate(type, dims)
    try {
      await this.copy([host], [tensor])
      return tensor
    } catch (error) {
      await this.free([tensor])
      throw error
    } finally {
      host.dispose()
    }
  }

  /** Copies whole tensors, within the device or between it and the host. */
  copy (from: readonly Value[], to: readonly Value[]): Promise<void> {
    return this.#inTurn(async () => {
      const { api, environment } = loadOnnxRuntime()
      const addresses = [from, to].map(values => {
        const list = new BigUint64Array(new ArrayBuffer(8 * values.length))
        for (const [index, { address }] of values.entries()) list[index] = address
        return list
      })
      await callAsync(api, 'copyTensors', environment, ...addresses, null, from.length)
    })
  }

  /**
   * Compiles a graph that runs here as a whole.
   * @param weights its external initializers, all of them and no others
   */
  compile (
    model: Uint8Array, weights: ReadonlyMap<string, DeviceTensor> = new Map(),
    options: ExecutionProvider['options'] = {}
  ): Promise<Session> {
    const provider = { name: this.provider.name, options: { ...this.provider.options, ...options } }
    return this.#inTurn(async () => {
      const session = await Session.create(model, { threads: 1, provider, deviceWeights: weights })
      this.#sessions.add(session)
      return session
    })
  }

  /** One pass of a session of this device: see `Session.run`. */
  run (session: Session, ...tensors: Parameters<Session['run']>): Promise<void> {
    return this.#inTurn(() => session.run(...tensors))
  }

  /** Whether the device still does what it is told: a few bytes go there and come back. */
  async responds (): Promise<boolean> {
    const back = Tensor.from('float32', [1], Float32Array.of(0))
    try {
      const there = await this.upload('float32', [1], Float32Array.of(1))
      await this.copy([there], [back])
      await this.free([there])
      return back.data[0] === 1
    } catch {
      return false
    } finally {
      back.dispose()
    }
  }

  /** Gives the OrtValues of shaped views back; the memory stays. */
  release (views: Iterable<DeviceTensor>): void {
    for (const { handle } of views) loadOnnxRuntime().api.releaseValue(handle)
  }

  /** Gives tensors and their memory back. Sessions that use them must be disposed first. Idempotent. */
  async free (tensors: Iterable<DeviceTensor>): Promise<void> {
    if (!this.#closed) await this.#inTurn(() => { this.#free(tensors) })
  }

  #free (tensors: Iterable<DeviceTensor>): void {
    const { api } = loadOnnxRuntime()
    for (const tensor of tensors) {
      if (!this.#tensors.delete(tensor)) continue
      this.release([tensor])
      check(api, api.allocatorFree(this.#allocator, tensor.buffer))
    }
  }

  /** Frees sessions, after what is under way. Idempotent. */
  async dispose (sessions: Iterable<Session>): Promise<void> {
    if (!this.#closed) await this.#inTurn(() => { this.#dispose(sessions) })
  }

  #dispose (sessions: Iterable<Session>): void {
    for (const session of sessions) {
      this.#sessions.delete(session)
      session.dispose()
    }
  }

  /** Ends all that is here, after what is under way: sessions and tensors cannot be used any more. Idempotent. */
  async close (): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await inTurn(() => {
      const { api } = loadOnnxRuntime()
      this.#dispose([...this.#sessions])
      this.#free([...this.#tensors])
      api.releaseAllocator(this.#allocator)
      api.releaseMemoryInfo(this.#memoryInfo)
      this.#keeper.dispose()
    })
  }
}
