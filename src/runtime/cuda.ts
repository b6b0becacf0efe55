/**
 * ONNX Runtime's CUDA provider: a library apart, with libraries of NVIDIA's that it needs. What is missing is found
 * before anything is opened, since the provider's own message is no more than that it cannot be loaded.
 * Never run: no machine with such a device has been at hand.
 */
import { existsSync, readdirSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { Device } from './device.js'
import { loadLibrary } from './native-library.js'
import { ownLibraryPath, useOnnxLibrary } from './onnx-library.js'
import type { DeviceFacts, OpenDevice } from './device-facts.js'

const isWindows = process.platform === 'win32'
const providerName = isWindows ? 'onnxruntime_providers_cuda.dll' : 'libonnxruntime_providers_cuda.so'
/** ONNX Runtime itself, as the Python package has it: libonnxruntime.so.1.30.0. */
const runtimeName = isWindows ? /^onnxruntime\.dll$/ : /^libonnxruntime\.so\.\d/
const driverName = isWindows ? 'nvcuda.dll' : 'libcuda.so.1'

/**
 * Libraries that the provider of a CUDA version needs, in the order in which they need each other. Names of NVIDIA's
 * Python packages, which lie beside that of ONNX Runtime.
 */
const neededLibraries = /^lib(cudart\.so\.\d+|cublasLt\.so\.\d+|cublas\.so\.\d+|curand\.so\.\d+|nvrtc\.so\.\d+)$/
const loadOrder = ['cudart', 'nvrtc', 'cublasLt', 'cublas', 'curand']

/** Libraries are unloaded when nothing holds them. */
const held: unknown[] = []

const howToGet = 'CUDA needs NVIDIA’s driver, and --cuda-provider set to the folder onnxruntime/capi of the Python ' +
  'package onnxruntime-gpu 1.30, or onnxruntime-node installed with ONNXRUNTIME_NODE_INSTALL=cuda12'

/** NVIDIA's libraries that Python packages have put beside a folder of ONNX Runtime's: site-packages/nvidia. */
function librariesBeside (folder: string): string[] {
  const nvidia = resolve(folder, '..', '..', 'nvidia')
  if (!existsSync(nvidia)) return []
  const files = readdirSync(nvidia, { recursive: true, encoding: 'utf8' })
    .filter(file => neededLibraries.test(file.split(/[\\/]/).at(-1)!))
  const place = (file: string): number => loadOrder.findIndex(name => file.includes(`lib${name}.`))
  return files.sort((a, b) => place(a) - place(b)).map(file => join(nvidia, file))
}

/**
 * What is known of CUDA's device before it is opened; a text says why there is none.
 * @param index of the device, 0 the first
 * @param folder of the provider's library; '' is that of the package onnxruntime-node
 */
export function findCuda (index: number, folder: string): DeviceFacts | string {
  const from = folder === '' ? dirname(ownLibraryPath()) : folder
  if (!existsSync(from)) return `${from} is no folder`
  if (!existsSync(join(from, providerName))) return `${folder === '' ? 'onnxruntime-node' : folder} has no ${providerName}`
  try {
    held.push(loadLibrary(driverName))
  } catch {
    return `NVIDIA's driver is not installed (${driverName})`
  }
  return {
    id: `cuda:${index}`, name: `CUDA device ${index}`, kind: 'unknown', memoryBytes: null, maxStorageBufferBytes: null
  }
}

/** What ONNX Runtime says of a provider that it cannot load, and what to do where a library is missing. */
export function explainCuda (message: string): string {
  const missing = /(\S+): cannot open shared object file/.exec(message)?.[1]
  if (missing === undefined) return message.trim()
  return `${missing} is missing, which the CUDA provider needs: install NVIDIA’s libraries beside it (pip install ` +
    'nvidia-cublas nvidia-cuda-runtime nvidia-curand), or name their folder in LD_LIBRARY_PATH'
}

/** Opens a device of CUDA. Arguments as of `findCuda`. @throws Error that says what is missing */
export async function openCuda (index: number, folder: string): Promise<OpenDevice> {
  const about = findCuda(index, folder)
  if (typeof about === 'string') throw new Error(`${about}: ${howToGet}`)
  if (folder !== '') {
    const runtime = readdirSync(folder).find(file => runtimeName.test(file))
    if (runtime === undefined) throw new Error(`${folder} has no ONNX Runtime beside the provider: ${howToGet}`)
    useOnnxLibrary(join(folder, runtime))
    for (const library of librariesBeside(folder)) held.push(loadLibrary(library))
  }
  const options = { device_id: String(index), use_tf32: '0' }
  try {
    return { device: await Device.open({ name: 'cuda', options }), about }
  } catch (cause) {
    throw new Error(explainCuda((cause as Error).message), { cause })
  }
}
