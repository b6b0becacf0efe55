/**
 * A base model made into a variant: with fewer layers, and with an adapter's differences and tensors in it, so that it
 * reads as if they were in its file.
 */
import { RequestError } from '../../errors.js'
import type { DecoderConfig } from '../decoder-config.js'
import { checkDecoder, embeddingTensor, refuseModel, scoreTensors } from './decoder-tensors.js'
import { encodings } from './dequantize.js'
import { isPooled } from './hugging-face-config.js'
import { readAdapter, type Adapter, type Difference, type Replacement } from './lora-adapter.js'
import type { StoredTensor, TensorFile } from './tensor-file.js'

/** What a model is made into before it is loaded. */
export interface Variant {
  /** How many of its layers it has, from the first; default all. */
  readonly layers?: number
  /** Folder with adapter_config.json and adapter_model.safetensors. */
  readonly adapter?: string
}

const headTensor = 'output.weight'

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

/** What an adapter changes of one base. */
interface Changes extends Pick<Adapter, 'path' | 'differences' | 'replaced'> {
  /** Whether head and embedding, one tensor of the base, are two afterwards. */
  readonly unties: boolean
}

/**
 * What an adapter changes of a base. Where the base's head is its embedding, a difference or a copy belongs to the one
 * it is for and the other stays the base's, as in peft's layers; what is loaded into the tensor itself belongs to both.
 * @throws RequestError for an adapter that keeps tied tensors tied, or has two values for one of them
 */
function changesOf (adapter: Adapter, { tiedEmbeddings, scoreHead }: DecoderConfig): Changes {
  const { path, differences } = adapter
  if (!tiedEmbeddings || scoreHead) return { ...adapter, unties: false }
  const replaced = new Map(adapter.replaced)
  const both = [embeddingTensor, headTensor]
  const found = both.map(name => replaced.get(name))
  const [shared, second] = found.filter(one => one !== undefined && !one.isCopy)
  if (shared && second && !Buffer.from(shared.values.buffer).equals(Buffer.from(second.values.buffer))) {
    throw refuseModel({ path }, `it has different values for ${shared.module} and ${second.module}, which are one ` +
      'tensor of the base model')
  }
  const unties = both.some((name, index) => differences.has(name) || found[index]?.isCopy === true)
  if (unties && adapter.keepsTies) {
    throw refuseModel({ path }, 'adapter_config.json: ensure_weight_tying = true is not supported for an adapter of ' +
      'the embedding or the head')
  }
  for (const [index, name] of both.entries()) {
    const own = found[index]?.isCopy ? found[index] : name === embeddingTensor || unties ? shared : undefined
    if (own) replaced.set(name, own)
    else replaced.delete(name)
  }
  return { path, differences, replaced, unties }
}

/** A base model's tensors with an adapter's changes in them; read as float32 where it has some. */
class AdaptedTensors implements TensorFile {
  readonly path: string
  readonly tensors: ReadonlyMap<string, StoredTensor>
  readonly #base: TensorFile
  readonly #changes: Changes | null
  readonly #config: DecoderConfig

  constructor (base: TensorFile, config: DecoderConfig, changes: Changes | null) {
    this.path = changes?.path ?? base.path
    this.#base = base
    this.#changes = changes
    this.#config = config
    const head = changes?.unties ? [[headTensor, base.tensors.get(embeddingTensor)!] as const] : []
    const kept = [...base.tensors, ...head].filter(([name]) => !this.#isCut(name))
    this.tensors = new Map([
      ...kept.map(([name, tensor]) =>
        [name, changes?.differences.has(name) ? { shape: tensor.shape, encoding: float32 } : tensor] as const),
      ...[...changes?.replaced ?? []].map(([name, { shape }]) => [name, { shape, encoding: float32 }] as const)
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

  /** The base's tensor of a name. */
  #inBase (name: string): string { return name === headTensor && this.#changes?.unties ? embeddingTensor : name }

  async read (name: string): Promise<Float32Array> {
    const replaced = this.#changes?.replaced.get(name)
    const values = replaced ? inRows(replaced, this.#rowOf(name)) : await this.#base.read(this.#inBase(name))
    const difference = this.#changes?.differences.get(name)
    if (difference) addDifference(values, difference, this.#rowOf(name))
    return values
  }

  readGroups (name: string): ReturnType<TensorFile['readGroups']> { return this.#base.readGroups(this.#inBase(name)) }
  close (): Promise<void> { return this.#base.close() }
}

/** The configuration of a base model with fewer layers and an adapter's changes. */
function adaptedConfig (base: DecoderConfig, layers: number, changes: Changes | null): DecoderConfig {
  const { output, hidden } = scoreTensors
  const scores = changes?.replaced.get(`${output}.weight`)
  const config = { ...base, layers, tiedEmbeddings: base.tiedEmbeddings && !changes?.unties }
  if (!scores) return config
  return {
    ...config,
    outputSize: scores.shape[0] ?? 0,
    scoreHead: {
      hiddenLayer: changes!.replaced.has(`${hidden}.weight`),
      bias: changes!.replaced.has(`${output}.bias`),
      padToken: isPooled(`${scores.module}.`) ? base.padToken : null,
      scores: base.scoreHead?.scores ?? 'exclusive'
    }
  }
}

/** @throws RequestError for a difference to a matrix that the model does not have, or has in another shape */
function checkDifferences ({ path, differences }: Changes, { tensors }: TensorFile): void {
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
  const changes = folder === undefined ? null : changesOf(await readAdapter(folder), config)
  const adapted = adaptedConfig(config, layers, changes)
  const tensors = new AdaptedTensors(file, adapted, changes)
  checkDecoder(tensors, adapted)
  if (changes) checkDifferences(changes, tensors)
  return { file: tensors, config: adapted }
}
