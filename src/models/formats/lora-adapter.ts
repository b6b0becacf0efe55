/**
 * Adapters: low-rank differences to a model's matrices and tensors put in the place of its own, as peft saves them.
 * Turns a base model and an adapter into one that reads as if the sums were in its file. Source: peft, tuners/lora (a
 * weight becomes W + scale · B · A).
 */
import { join } from 'node:path'
import { RequestError } from '../../errors.js'
import { compilePattern } from '../../pattern.js'
import type { DecoderConfig } from '../decoder-config.js'
import { checkDecoder, positiveNumber, refuseModel, scoreTensors } from './decoder-tensors.js'
import { encodings } from './dequantize.js'
import { ggufName } from './hugging-face-config.js'
import { checkFixedFields, readJson, type Fields, type FixedFields } from './json-files.js'
import { openSafetensors, type SafetensorsFile } from './safetensors.js'
import type { StoredTensor, TensorFile } from './tensor-file.js'

/** What a model is made into before it is loaded. */
export interface Variant {
  /** How many of its layers it has, from the first; default all. */
  readonly layers?: number
  /** Folder with adapter_config.json and adapter_model.safetensors. */
  readonly adapter?: string
}

/** Files of an adapter that decide what it computes. */
export const adapterFiles = ['adapter_config.json', 'adapter_model.safetensors'] as const

/** Low-rank difference of a matrix: scale · up · down, up [rows, rank], down [rank, columns], both row-major. */
interface Difference {
  readonly rank: number,
  readonly scale: number,
  readonly up: Float32Array,
  readonly down: Float32Array,
  readonly shape: readonly [rows: number, columns: number]
}

/** A tensor that takes the place of a model's. */
interface Replacement { readonly shape: readonly number[], readonly values: Float32Array }

interface Adapter {
  readonly path: string
  /** By GGUF's names of the matrices. */
  readonly differences: ReadonlyMap<string, Difference>
  /** By GGUF's names of the tensors whose place they take. */
  readonly replaced: ReadonlyMap<string, Replacement>
}

const fixedFields: FixedFields = [
  ['peft_type', ['LORA']],
  ['bias', ['none', undefined]],
  // By pissa, olora, corda, loftq and lora_ga peft changes the base's weights, too, before it trains.
  ['init_lora_weights', [true, false, undefined, 'gaussian', 'eva', 'orthogonal']],
  ['fan_in_fan_out', [false, undefined]],
  ['use_dora', [false, undefined]],
  ['lora_bias', [false, undefined]],
  ['layer_replication', [null, undefined]],
  ['alora_invocation_tokens', [null, undefined]],
  ['use_qalora', [false, null, undefined]],
  ['use_bdlora', [false, null, undefined]],
  ['kasa_config', [null, undefined]],
  ['arrow_config', [null, undefined]],
  ['trainable_token_indices', [null, undefined]]
]

function matches (path: string, pattern: string, module: string): boolean {
  try {
    return compilePattern(`^(.*\\.)?(${pattern})$`).test(module)
  } catch {
    throw refuseModel({ path },
      `adapter_config.json: ${JSON.stringify(pattern)} is not a valid pattern of module names`)
  }
}

/**
 * The value of a field for a module, which patterns of module names may set apart: the first that matches the name or
 * its end.
 */
function fieldFor (path: string, fields: Fields, field: string, patterns: string, module: string): number {
  const own = Object.entries((fields[patterns] ?? {}) as Fields).find(([pattern]) => matches(path, pattern, module))
  return positiveNumber({ path }, `adapter_config.json: ${field}`, own ? own[1] : fields[field])
}

/** The difference that a pair of stored tensors makes. @param down name of its lora_A */
async function readDifference (
  path: string, fields: Fields, file: SafetensorsFile, down: string, module: string
): Promise<Difference> {
  const up = down.replace(/A\.weight$/, 'B.weight')
  const [narrow, wide] = [file.tensors.get(down)!.shape, file.tensors.get(up)?.shape]
  const [rank, columns] = narrow as [number, number]
  if (narrow.length !== 2 || wide?.length !== 2 || wide[1] !== rank ||
      rank !== fieldFor(path, fields, 'r', 'rank_pattern', module)) {
    throw refuseModel({ path }, `${down} and ${up} must be matrices of the rank in adapter_config.json; got ` +
      `[${narrow.join(', ')}] and ${wide ? `[${wide.join(', ')}]` : 'none'}`)
  }
  const alpha = fieldFor(path, fields, 'lora_alpha', 'alpha_pattern', module)
  const scale = alpha / (fields['use_rslora'] === true ? Math.sqrt(rank) : rank)
  return { rank, scale, up: await file.read(up), down: await file.read(down), shape: [wide[0]!, columns] }
}

/** Reads an adapter whole. @throws RequestError naming the folder and what is wrong with it */
async function readAdapter (path: string): Promise<Adapter> {
  const fields = await readJson(path, adapterFiles[0])
  checkFixedFields(path, adapterFiles[0], fields, fixedFields)
  const file = await openSafetensors(join(path, adapterFiles[1]))
  try {
    const differences = new Map<string, Difference>()
    const replaced = new Map<string, Replacement>()
    for (const [stored, { shape }] of file.tensors) {
      const name = stored.replace(/^base_model\.model\./, '')
      const [, module, side] = /^(.*)\.lora_([AB])\.weight$/.exec(name) ?? []
      if (module === undefined) replaced.set(ggufName(name) ?? name, { shape, values: await file.read(stored) })
      else if (side === 'A') {
        differences.set(ggufName(`${module}.weight`) ?? module,
          await readDifference(path, fields, file, stored, module))
      } else if (!file.tensors.has(stored.replace(/B\.weight$/, 'A.weight'))) {
        throw refuseModel({ path }, `${stored} has no matching lora_A`)
      }
    }
    return { path, differences, replaced }
  } finally {
    await file.close()
  }
}

/**
 * Row of a query or key matrix in transformers' order, halves of a head one after the other, for a row in the order of
 * neighbouring pairs.
 */
function halvesRow (row: number, headSize: number): number {
  const inHead = row % headSize
  return row - inHead + (inHead % 2) * headSize / 2 + Math.floor(inHead / 2)
}

/**
 * Adds a difference to a matrix in place.
 * @param rowOf which of the difference's rows belongs to a row of the matrix
 */
function addDifference (
  matrix: Float32Array, { rank, scale, up, down, shape: [rows, columns] }: Difference, rowOf: (row: number) => number
): void {
  for (let row = 0; row < rows; row++) {
    const own = matrix.subarray(row * columns, (row + 1) * columns)
    const from = rowOf(row) * rank
    for (let k = 0; k < rank; k++) {
      const factor = scale * up[from + k]!
      const direction = down.subarray(k * columns, (k + 1) * columns)
      for (let column = 0; column < columns; column++) own[column]! += factor * direction[column]!
    }
  }
}

/** A copy of a tensor's values, its rows in another order. @param rowOf which of its rows comes in a place */
function inRows ({ shape, values }: Replacement, rowOf: (row: number) => number): Float32Array {
  const rows = shape[0] ?? 1
  const columns = values.length / rows
  const copy = new Float32Array(values.length)
  for (let row = 0; row < rows; row++) {
    copy.set(values.subarray(rowOf(row) * columns, (rowOf(row) + 1) * columns), row * columns)
  }
  return copy
}

const float32 = encodings.get(0)!

/** A base model's tensors with an adapter's differences in them; read as float32 where it has some. */
class AdaptedTensors implements TensorFile {
  readonly path: string
  readonly tensors: ReadonlyMap<string, StoredTensor>
  readonly #base: TensorFile
  readonly #adapter: Adapter | null
  readonly #config: DecoderConfig

  constructor (base: TensorFile, config: DecoderConfig, adapter: Adapter | null) {
    this.path = adapter?.path ?? base.path
    this.#base = base
    this.#adapter = adapter
    this.#config = config
    const kept = [...base.tensors].filter(([name]) => !this.#isCut(name))
    this.tensors = new Map([
      ...kept.map(([name, tensor]) =>
        [name, adapter?.differences.has(name) ? { shape: tensor.shape, encoding: float32 } : tensor] as const),
      ...[...adapter?.replaced ?? []].map(([name, { shape }]) => [name, { shape, encoding: float32 }] as const)
    ])
  }

  /** Whether a tensor is of a layer that is left out, or of a language model's head where scores take its place. */
  #isCut (name: string): boolean {
    const layer = /^blk\.(\d+)\./.exec(name)
    return (layer !== null && Number(layer[1]) >= this.#config.layers) ||
      (name === 'output.weight' && this.#config.scoreHead !== null)
  }

  /** Which of an adapter's rows belongs to a row of a tensor. */
  #rowOf (name: string): (row: number) => number {
    const { ropeInterleaved, headSize } = this.#config
    return ropeInterleaved && /\.attn_[qk]\.weight$/.test(name) ? row => halvesRow(row, headSize) : row => row
  }

  async read (name: string): Promise<Float32Array> {
    const replaced = this.#adapter?.replaced.get(name)
    if (replaced) return inRows(replaced, this.#rowOf(name))
    const values = await this.#base.read(name)
    const difference = this.#adapter?.differences.get(name)
    if (difference) addDifference(values, difference, this.#rowOf(name))
    return values
  }

  readGroups (name: string): ReturnType<TensorFile['readGroups']> { return this.#base.readGroups(name) }
  close (): Promise<void> { return this.#base.close() }
}

/** The configuration of a base model with fewer layers and an adapter's score head. */
function adaptedConfig (base: DecoderConfig, layers: number, adapter: Adapter | null): DecoderConfig {
  const { output, hidden } = scoreTensors
  const scores = adapter?.replaced.get(`${output}.weight`)
  if (!scores) return { ...base, layers }
  return {
    ...base,
    layers,
    outputSize: scores.shape[0] ?? 0,
    scoreHead: { hiddenLayer: adapter!.replaced.has(`${hidden}.weight`), bias: adapter!.replaced.has(`${output}.bias`) }
  }
}

/** @throws RequestError for a difference to a matrix that the model does not have, or has in another shape */
function checkDifferences ({ path, differences }: Adapter, { tensors }: TensorFile): void {
  for (const [name, { shape }] of differences) {
    const found = tensors.get(name)?.shape
    if (found?.join() !== shape.join()) {
      throw refuseModel({ path }, `its difference for ${name} has shape [${shape.join(', ')}]; the base model has ` +
        `${found ? `[${found.join(', ')}]` : 'none'} there`)
    }
  }
}

/**
 * A base model made into a variant. Closing the file closes the base's too.
 * @throws RequestError naming the adapter's folder and what is wrong with it, and for more layers than there are
 */
export async function adaptModel (
  { file, config }: { readonly file: TensorFile, readonly config: DecoderConfig },
  { layers = config.layers, adapter: folder }: Variant
): Promise<{ file: TensorFile, config: DecoderConfig }> {
  if (layers > config.layers) {
    throw new RequestError('invalid_request',
      `layers must be at most the ${config.layers} of ${file.path}; got ${layers}`, { param: 'layers' })
  }
  const adapter = folder === undefined ? null : await readAdapter(folder)
  const adapted = adaptedConfig(config, layers, adapter)
  const tensors = new AdaptedTensors(file, adapted, adapter)
  checkDecoder(tensors, adapted)
  if (adapter) checkDifferences(adapter, tensors)
  return { file: tensors, config: adapted }
}
