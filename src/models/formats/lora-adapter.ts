/**
 * Reads adapters as peft saves them: low-rank differences to a model's matrices, and tensors in the place of its own.
 * What is made of a base model with them is `adapted-model.ts`. Source: peft, tuners/lora (a weight becomes W + scale ·
 * B · A, of an embedding W + scale · (B · A)ᵀ) and utils/save_and_load.py.
 */
import { join } from 'node:path'
import { compilePattern } from '../../pattern.js'
import { positiveNumber, refuseModel } from './decoder-tensors.js'
import { ggufName } from './hugging-face-config.js'
import { checkFixedFields, readJson, type Fields, type FixedFields } from './json-files.js'
import { openSafetensors, type SafetensorsFile } from './safetensors.js'

/** Files of an adapter that decide what it computes. */
export const adapterFiles = ['adapter_config.json', 'adapter_model.safetensors'] as const

/** Low-rank difference of a matrix: scale · up · down, up [rows, rank], down [rank, columns], both row-major. */
export interface Difference {
  readonly rank: number,
  readonly scale: number,
  readonly up: Float32Array,
  readonly down: Float32Array,
  readonly shape: readonly [rows: number, columns: number]
}

/** A tensor that takes the place of a model's. */
export interface Replacement {
  readonly shape: readonly number[]
  readonly values: Float32Array
  /** The module's name in the adapter. */
  readonly module: string
  /**
   * Whether it is a module's own copy (`modules_to_save`). Others are loaded into the base's tensor, and so into
   * whatever is tied to it.
   */
  readonly isCopy: boolean
}

/** An adapter as its folder has it. */
export interface Adapter {
  readonly path: string
  /** By GGUF's names of the matrices. */
  readonly differences: ReadonlyMap<string, Difference>
  /** By GGUF's names of the tensors whose place they take. */
  readonly replaced: ReadonlyMap<string, Replacement>
  /** Whether tied tensors stay tied where one of them is changed. */
  readonly keepsTies: boolean
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
  ['monteclora_config', [null, undefined]],
  ['target_parameters', [null, undefined]],
  ['trainable_token_indices', [null, undefined]]
]

/** Fields that are read here, or say how the adapter was trained and change nothing of what it computes. */
const otherFields = new Set(['alpha_pattern', 'auto_mapping', 'base_model_name_or_path', 'corda_config',
  'ensure_weight_tying', 'eva_config', 'exclude_modules', 'inference_mode', 'layers_pattern', 'layers_to_transform',
  'loftq_config', 'lora_alpha', 'lora_dropout', 'lora_ga_config', 'megatron_config', 'megatron_core', 'modules_to_save',
  'peft_version', 'qalora_group_size', 'r', 'rank_pattern', 'revision', 'runtime_config', 'target_modules',
  'task_type', 'use_rslora', 'velora_config'])

/** @throws RequestError for a field whose meaning is not known here and that says something */
function checkOtherFields (path: string, fields: Fields): void {
  const known = new Set([...otherFields, ...fixedFields.map(([field]) => field)])
  for (const [field, value] of Object.entries(fields)) {
    const isEmpty = value === null || value === false || (typeof value === 'object' && Object.keys(value).length === 0)
    if (!known.has(field) && !isEmpty) {
      throw refuseModel({ path },
        `${adapterFiles[0]}: ${field} = ${JSON.stringify(value).slice(0, 80)} is not supported`)
    }
  }
}

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

/** [rows, columns] → [columns, rows]. */
function transposed (values: Float32Array, rows: number, columns: number): Float32Array {
  const turned = new Float32Array(values.length)
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) turned[column * rows + row] = values[row * columns + column]!
  }
  return turned
}

/** The stored tensors of a difference: `lora_A` [rank, in] and `lora_B` [out, rank]. */
interface StoredPair { readonly a: string, readonly b: string, readonly module: string, readonly isEmbedding: boolean }

/** The pair that a stored tensor is the first of; null where it is none. */
function pairOf (stored: string): StoredPair | null {
  const name = stored.replace(/^base_model\.model\./, '')
  const [, module, embedding] = /^(.*)\.lora_(?:A\.weight|(embedding_A))$/.exec(name) ?? []
  if (module === undefined) return null
  return { a: stored, b: stored.replace(/A(\.weight)?$/, 'B$1'), module, isEmbedding: embedding !== undefined }
}

/** The difference that a pair of stored tensors makes. */
async function readDifference (
  path: string, fields: Fields, file: SafetensorsFile, { a, b, module, isEmbedding }: StoredPair
): Promise<Difference> {
  const [narrow, wide] = [file.tensors.get(a)!.shape, file.tensors.get(b)?.shape]
  const [rank, columns] = narrow as [number, number]
  if (narrow.length !== 2 || wide?.length !== 2 || wide[1] !== rank ||
      rank !== fieldFor(path, fields, 'r', 'rank_pattern', module)) {
    throw refuseModel({ path }, `${a} and ${b} must be matrices of the rank in adapter_config.json; got ` +
      `[${narrow.join(', ')}] and ${wide ? `[${wide.join(', ')}]` : 'none'}`)
  }
  const alpha = fieldFor(path, fields, 'lora_alpha', 'alpha_pattern', module)
  const scale = alpha / (fields['use_rslora'] === true ? Math.sqrt(rank) : rank)
  const [rows, first, second] = [wide[0]!, await file.read(a), await file.read(b)]
  return isEmbedding
    ? {
        rank, scale, up: transposed(first, rank, columns), down: transposed(second, rows, rank), shape: [columns, rows]
      }
    : { rank, scale, up: second, down: first, shape: [rows, columns] }
}

/** A stored tensor that takes the place of one of the base's. */
async function readReplacement (fields: Fields, file: SafetensorsFile, stored: string): Promise<[string, Replacement]> {
  const name = stored.replace(/^base_model\.model\./, '').replace('.base_layer.', '.')
  const module = name.slice(0, name.lastIndexOf('.'))
  const copies = [fields['modules_to_save'] ?? []].flat()
  const isCopy = copies.some(copy => typeof copy === 'string' && module.endsWith(copy))
  const { shape } = file.tensors.get(stored)!
  return [ggufName(name) ?? name, { shape, values: await file.read(stored), module, isCopy }]
}

/** Reads an adapter whole. @throws RequestError naming the folder and what is wrong with it */
export async function readAdapter (path: string): Promise<Adapter> {
  const fields = await readJson(path, adapterFiles[0])
  checkFixedFields(path, adapterFiles[0], fields, fixedFields)
  checkOtherFields(path, fields)
  const file = await openSafetensors(join(path, adapterFiles[1]))
  try {
    const pairs = [...file.tensors.keys()].flatMap(stored => pairOf(stored) ?? [])
    const inPairs = new Set(pairs.flatMap(({ a, b }) => [a, b]))
    const differences = new Map<string, Difference>()
    for (const pair of pairs) {
      differences.set(ggufName(`${pair.module}.weight`) ?? pair.module, await readDifference(path, fields, file, pair))
    }
    const replaced = new Map<string, Replacement>()
    for (const stored of [...file.tensors.keys()].filter(name => !inPairs.has(name))) {
      if (/\.lora_(embedding_)?B/.test(stored)) throw refuseModel({ path }, `${stored} has no matching lora_A`)
      const [name, replacement] = await readReplacement(fields, file, stored)
      replaced.set(name, replacement)
    }
    return { path, differences, replaced, keepsTies: fields['ensure_weight_tying'] === true }
  } finally {
    await file.close()
  }
}
