/**
 * ONNX Runtime's C API, called through koffi over the shared library that onnxruntime-node ships. Only what this folder
 * uses is declared. Knows no tensors, sessions or models. Source: onnxruntime_c_api.h, API version 30 (slots of the
 * OrtApi struct never move).
 */
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import koffi from 'koffi'
import { loadLibrary } from './native-library.js'

/** A native pointer as koffi hands it out, or null. */
export type Pointer = unknown

const apiVersion = 30
const require = createRequire(import.meta.url)

const libraryNames: Partial<Record<NodeJS.Platform, string>> = {
  linux: 'libonnxruntime.so.1',
  darwin: 'libonnxruntime.1.30.0.dylib',
  win32: 'onnxruntime.dll'
}

/** The C type of names of files. */
const path = process.platform === 'win32' ? 'str16' : 'str'

/**
 * Slot in OrtApi and C prototype of each function used. Functions that return `void *` return a status, null for
 * success.
 */
const functions = {
  getErrorMessage: [2, 'str (void *)'],
  createEnv: [3, 'void *(int, str, _Out_ void **)'],
  disableTelemetryEvents: [6, 'void *(void *)'],
  createSessionFromArray: [8, 'void *(void *, void *, size_t, void *, _Out_ void **)'],
  run: [9, 'void *(void *, void *, void *, void *, size_t, void *, size_t, void *)'],
  createSessionOptions: [10, 'void *(_Out_ void **)'],
  enableProfiling: [14, 'void *(void *, str)'],
  setIntraOpNumThreads: [24, 'void *(void *, int)'],
  sessionGetInputCount: [30, 'void *(void *, _Out_ size_t *)'],
  sessionGetOutputCount: [31, 'void *(void *, _Out_ size_t *)'],
  sessionGetInputName: [36, 'void *(void *, size_t, void *, _Out_ void **)'],
  sessionGetOutputName: [37, 'void *(void *, size_t, void *, _Out_ void **)'],
  createRunOptions: [39, 'void *(_Out_ void **)'],
  createTensorWithData: [49, 'void *(void *, void *, size_t, int64_t *, size_t, int, _Out_ void **)'],
  createMemoryInfo: [68, 'void *(str, int, int, int, _Out_ void **)'],
  createCpuMemoryInfo: [69, 'void *(int, int, _Out_ void **)'],
  allocatorAlloc: [75, 'void *(void *, size_t, _Out_ void **)'],
  allocatorFree: [76, 'void *(void *, void *)'],
  getAllocator: [78, 'void *(_Out_ void **)'],
  releaseStatus: [93, 'void (void *)'],
  releaseMemoryInfo: [94, 'void (void *)'],
  releaseSession: [95, 'void (void *)'],
  releaseValue: [96, 'void (void *)'],
  releaseRunOptions: [97, 'void (void *)'],
  releaseSessionOptions: [100, 'void (void *)'],
  sessionEndProfiling: [110, 'void *(void *, void *, _Out_ void **)'],
  addSessionConfigEntry: [130, 'void *(void *, str, str)'],
  createAllocator: [131, 'void *(void *, void *, _Out_ void **)'],
  releaseAllocator: [132, 'void (void *)'],
  addInitializer: [150, 'void *(void *, str, void *)'],
  addRunConfigEntry: [165, 'void *(void *, str, str)'],
  createPrepackedWeightsContainer: [166, 'void *(_Out_ void **)'],
  releasePrepackedWeightsContainer: [167, 'void (void *)'],
  createSessionFromArrayWithPrepackedWeightsContainer: [169,
    'void *(void *, void *, size_t, void *, void *, _Out_ void **)'],
  appendCudaProvider: [204, 'void *(void *, void *)'],
  createCudaOptions: [205, 'void *(_Out_ void **)'],
  updateCudaOptions: [206, 'void *(void *, str *, str *, size_t)'],
  releaseCudaOptions: [208, 'void (void *)'],
  addExternalInitializers: [210, 'void *(void *, str *, void *, size_t)'],
  appendProvider: [216, 'void *(void *, str, str *, str *, size_t)'],
  addExternalFiles: [279, `void *(void *, ${path} *, void *, void *, size_t)`],
  copyTensors: [386, 'void *(void *, void *, void *, void *, size_t)']
} as const

type FunctionName = keyof typeof functions
type NativeFunction = ((...args: unknown[]) => unknown) & { async: (...args: unknown[]) => void }

/** ONNX Runtime, loaded into this process. */
export interface OnnxRuntime {
  readonly api: Readonly<Record<FunctionName, NativeFunction>>
  readonly environment: Pointer
  readonly cpuMemory: Pointer
  readonly allocator: Pointer
  /** e.g. "1.30.0". */
  readonly version: string
}

let loaded: OnnxRuntime | undefined
/** A library in place of the package's. */
let chosen: string | null = null
/** The collector would unload the library, and crash the process, if nothing held it. */
const held: unknown[] = []

/** Throws ONNX Runtime's message if a call returned a status, and releases the status. */
export function check (api: OnnxRuntime['api'], status: unknown): void {
  if (!status) return
  const message = api.getErrorMessage(status) as string
  api.releaseStatus(status)
  throw new Error(`ONNX Runtime: ${message}`)
}

/** Calls a function whose last parameter is an output pointer, and returns that pointer. */
export function created (api: OnnxRuntime['api'], name: FunctionName, ...args: unknown[]): Pointer {
  const out: Pointer[] = [null]
  check(api, api[name](...args, out))
  return out[0]
}

/** Arguments of the calls that are under way: nothing else keeps them, and what they point to, from the collector. */
const inFlight = new Set<readonly unknown[]>()

/**
 * Calls a function that returns a status, off the event loop. The arguments are kept alive until it has returned; what
 * they hold addresses of is the caller's to keep.
 */
export function callAsync (api: OnnxRuntime['api'], name: FunctionName, ...args: unknown[]): Promise<void> {
  inFlight.add(args)
  return new Promise((resolve, reject) => {
    api[name].async(...args, (error: Error | null, status: unknown) => {
      inFlight.delete(args)
      try {
        if (error) throw error
        check(api, status)
        resolve()
      } catch (cause) {
        reject(cause instanceof Error ? cause : new Error(String(cause)))
      }
    })
  })
}

/** `created` off the event loop. */
export async function createdAsync (api: OnnxRuntime['api'], name: FunctionName, ...args: unknown[]): Promise<Pointer> {
  const out: Pointer[] = [null]
  await callAsync(api, name, ...args, out)
  return out[0]
}

/** The library of the package onnxruntime-node. @throws Error on a platform that it has none for */
export function ownLibraryPath (): string {
  const name = libraryNames[process.platform]
  const root = dirname(require.resolve('onnxruntime-node/package.json'))
  const path = name === undefined ? undefined : join(root, 'bin', 'napi-v6', process.platform, process.arch, name)
  if (path === undefined || !existsSync(path)) {
    throw new Error(`onnxruntime-node has no library for ${process.platform} ${process.arch}; supported are linux ` +
      'x64 and arm64, macOS arm64, Windows x64 and arm64')
  }
  return path
}

/**
 * Sets an environment variable where native code reads it: what Node shows of the environment in a worker thread is a
 * copy.
 */
function setNativeEnvironment (name: string, value: string): void {
  const isSet = process.platform === 'win32'
    ? loadLibrary('kernel32.dll').func('int SetEnvironmentVariableA(str name, str value)')(name, value) !== 0
    : loadLibrary(null).func('int setenv(str name, str value, int overwrite)')(name, value, 1) === 0
  if (!isSet) throw new Error(`the environment variable ${name} cannot be set`)
}

/** Loads another build of ONNX Runtime than the package's, before anything is run. */
export function useOnnxLibrary (path: string): void {
  if (loaded && chosen !== path) throw new Error(`ONNX Runtime is loaded already, from another place than ${path}`)
  chosen = path
}

/**
 * Loads the library on first use; the same object afterwards. One per thread; ONNX Runtime itself is shared by the
 * process.
 */
export function loadOnnxRuntime (): OnnxRuntime {
  if (loaded) return loaded
  // The other kernel of attention divides more than 256 keys among threads where these are more than rows times heads,
  // so that a row's bits depend on how many rows there are. Read whenever a session is made.
  setNativeEnvironment('ORT_GQA_DISABLE_FLASH_ATTENTION', '1')
  const library = loadLibrary(chosen ?? ownLibraryPath())
  const base = library.func('void *OrtGetApiBase()')() as Pointer
  const getApi = koffi.decode(koffi.decode(base, 0, 'void *'), koffi.proto('void *(uint32_t)'))
  const getVersion = koffi.decode(koffi.decode(base, 8, 'void *'), koffi.proto('str ()'))
  const table = getApi(apiVersion) as Pointer
  if (!table) throw new Error(`ONNX Runtime ${getVersion()} does not provide C API version ${apiVersion}`)
  const api = Object.fromEntries(Object.entries(functions).map(([name, [slot, prototype]]) =>
    [name, koffi.decode(koffi.decode(table, slot * 8, 'void *'),
      koffi.proto(prototype))])) as Record<FunctionName, NativeFunction>
  const environment = created(api, 'createEnv', 3, 'fairlead')
  check(api, api.disableTelemetryEvents(environment))
  held.push(library, base, table)
  loaded = {
    api,
    environment,
    cpuMemory: created(api, 'createCpuMemoryInfo', 0, 0),
    allocator: created(api, 'getAllocator'),
    version: getVersion() as string
  }
  return loaded
}
