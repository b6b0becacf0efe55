/**
 * The engines that are measured: what each needs and how it is started. Each entry is one engine with one encoding of
 * the model's weights.
 */
import { join } from 'node:path'
import type { Config } from '../../src/settings.js'
import type { WeightFormat } from '../../src/models/quantization/weight-format.js'
import { packageRoot } from '../../src/package-root.js'
import type { Command } from './engine-process.js'

/** Encodings llama.cpp can put a file into; `file` is the file as it is. */
export type Encoding = 'file' | 'Q8_0' | 'Q4_0'

/** Where things are that engines are started with. */
export interface Places {
  readonly config: Config
  /** The interpreter of the virtual environment. */
  readonly python: string
  /** The folder node-llama-cpp is installed in. */
  readonly nodeFolder: string
  /** The model in each encoding. */
  readonly models: Readonly<Record<Encoding, string>>
}

export interface Engine {
  readonly name: string
  readonly family: 'fairlead' | 'llama.cpp' | 'openvino' | 'node-llama-cpp'
  readonly weights: Encoding
  readonly command: (places: Places) => Command
}

const peer = (file: string): string => join(packageRoot, 'bench', 'peers', file)
const compiled = (file: string): string => join(packageRoot, 'dist', 'bench', 'peers', file)

/** @param format default: the one that is set */
const fairlead = (name: string, format?: WeightFormat): Engine => ({
  name,
  family: 'fairlead',
  weights: 'file',
  command: ({ config }) => [process.execPath, compiled('fairlead-engine.js'), '--model', config.model, '--format',
    format ?? config.format, '--threads', String(config.threads), '--cache-dir', config.cacheDir]
})

const named = (family: string, weights: Encoding): string =>
  weights === 'file' ? family : `${family}-${weights.toLowerCase()}`

const inPython = (family: 'llama.cpp' | 'openvino', script: string) => (weights: Encoding): Engine => ({
  name: named(family, weights),
  family,
  weights,
  command: ({ python, models, config }) => [python, '-B', peer(script), models[weights], String(config.threads)]
})
const llamaCpp = inPython('llama.cpp', 'llama_cpp_engine.py')
const openvino = inPython('openvino', 'openvino_engine.py')

const nodeLlamaCpp = (weights: Encoding): Engine => ({
  name: named('node-llama-cpp', weights),
  family: 'node-llama-cpp',
  weights,
  command: ({ nodeFolder, models, config }) =>
    [process.execPath, compiled('node-llama-cpp-engine.js'), nodeFolder, models[weights], String(config.threads)]
})

/** In the order they run. */
export const engines: readonly Engine[] = [fairlead('fairlead'), fairlead('fairlead-exact', 'exact'),
  llamaCpp('file'), llamaCpp('Q8_0'), llamaCpp('Q4_0'), openvino('file'), openvino('Q4_0'), nodeLlamaCpp('Q4_0')]
