/**
 * Which tensors a decoder has, by GGUF's names, and the check that a file has them all and no others: what it would not
 * compute it refuses.
 */
import { RequestError } from '../../errors.js'
import type { DecoderConfig } from '../decoder-config.js'
import type { TensorFile } from './tensor-file.js'

/** The tensor that token embeddings are rows of. */
export const embeddingTensor = 'token_embd.weight'
/** Divisors of the rotary frequencies, for models whose context was stretched, [head size / 2]. */
export const ropeFactorsTensor = 'rope_freqs.weight'
/** Scores of a classifier, [scores, D], and the layer before it, [D, D], where there is one; biases beside them. */
export const scoreTensors = { output: 'cls.output', hidden: 'cls' } as const

/** Characters of a reason that are told: names and values in it are the file's, as long as it likes. */
const maxReason = 800

/** The error for a model file that cannot be run. */
export const refuseModel = ({ path }: Pick<TensorFile, 'path'>, why: string, cause?: unknown): RequestError =>
  new RequestError('invalid_request', `${path}: ${why.length > maxReason ? `${why.slice(0, maxReason)}…` : why}`,
    { param: 'model', cause })

/** What reading a model ended with, as a refusal: a damaged file can trip over what no check knows of. */
export const refusalOf = (file: Pick<TensorFile, 'path'>, error: unknown): RequestError => error instanceof RequestError
  ? error
  : refuseModel(file, `its files are damaged, or of a kind that is not known: ${(error as Error).message}`, error)

/** Largest size of anything in a decoder: values of a vector, rows of a vocabulary, tokens of a context. */
const maxSize = 1 << 24

/** @throws RequestError unless a value in a model's files is a size. @param what it is, for the message */
export function positiveSize (file: Pick<TensorFile, 'path'>, what: string, value: unknown): number {
  if (typeof value === 'number' && Number.isInteger(value) && value > 0 && value <= maxSize) return value
  throw refuseModel(file, `${what} must be an integer from 1 to ${maxSize}; got ${JSON.stringify(value)}`)
}

/** @throws RequestError unless a value in a model's files is a positive number. @param what it is, for the message */
export function positiveNumber (file: Pick<TensorFile, 'path'>, what: string, value: unknown): number {
  if (typeof value === 'number' && value > 0 && Number.isFinite(value)) return value
  throw refuseModel(file, `${what} must be a positive number; got ${JSON.stringify(value)}`)
}

function layerTensors (config: DecoderConfig, block: string): Record<string, readonly number[]> {
  const { hiddenSize, feedForwardSize, headSize } = config
  const [query, kv] = [config.queryHeads * headSize, config.kvHeads * headSize]
  return {
    [`${block}.attn_norm.weight`]: [hiddenSize],
    [`${block}.ffn_norm.weight`]: [hiddenSize],
    [`${block}.attn_q.weight`]: [query, hiddenSize],
    [`${block}.attn_k.weight`]: [kv, hiddenSize],
    [`${block}.attn_v.weight`]: [kv, hiddenSize],
    [`${block}.attn_output.weight`]: [hiddenSize, query],
    [`${block}.ffn_gate.weight`]: [feedForwardSize, hiddenSize],
    [`${block}.ffn_up.weight`]: [feedForwardSize, hiddenSize],
    [`${block}.ffn_down.weight`]: [hiddenSize, feedForwardSize],
    ...(config.family === 'qwen2'
      ? { [`${block}.attn_q.bias`]: [query], [`${block}.attn_k.bias`]: [kv], [`${block}.attn_v.bias`]: [kv] }
      : {}),
    ...(config.family === 'qwen3'
      ? { [`${block}.attn_q_norm.weight`]: [headSize], [`${block}.attn_k_norm.weight`]: [headSize] }
      : {})
  }
}

function headTensors (
  { scoreHead, hiddenSize, outputSize, tiedEmbeddings }: DecoderConfig
): Record<string, readonly number[]> {
  if (!scoreHead) return tiedEmbeddings ? {} : { 'output.weight': [outputSize, hiddenSize] }
  const { output, hidden } = scoreTensors
  return {
    [`${output}.weight`]: [outputSize, hiddenSize],
    ...(scoreHead.bias ? { [`${output}.bias`]: [outputSize] } : {}),
    ...(scoreHead.hiddenLayer
      ? { [`${hidden}.weight`]: [hiddenSize, hiddenSize], [`${hidden}.bias`]: [hiddenSize] }
      : {})
  }
}

/** @throws RequestError for more layers than there are tensors: a list of what they should have would never end */
function checkLayers (file: TensorFile, { layers }: DecoderConfig): void {
  if (layers > file.tensors.size) {
    throw refuseModel(file, `it claims ${layers} layers, but has ${file.tensors.size} tensors`)
  }
}

/** What the attention operator takes for granted. */
function checkHeads (file: TensorFile, { headSize, queryHeads, kvHeads }: DecoderConfig): void {
  if (!Number.isInteger(headSize) ||
      headSize % 2 !== 0) throw refuseModel(file, `the head size must be even; got ${headSize}`)
  if (queryHeads % kvHeads !== 0) {
    throw refuseModel(file,
      `the number of query heads must be a multiple of the ${kvHeads} key/value heads; got ${queryHeads}`)
  }
}

/**
 * @throws RequestError for heads that cannot be, and tensors that are missing, of another shape, or not the decoder's
 */
export function checkDecoder (file: TensorFile, config: DecoderConfig): void {
  checkLayers(file, config)
  checkHeads(file, config)
  const { hiddenSize, vocabularySize, layers, headSize } = config
  const expected: Record<string, readonly number[]> = {
    [embeddingTensor]: [vocabularySize, hiddenSize], 'output_norm.weight': [hiddenSize], ...headTensors(config)
  }
  for (let layer = 0; layer < layers; layer++) Object.assign(expected, layerTensors(config, `blk.${layer}`))
  if (file.tensors.has(ropeFactorsTensor)) expected[ropeFactorsTensor] = [headSize / 2]
  for (const [name, shape] of Object.entries(expected)) {
    const found = file.tensors.get(name)?.shape
    if (found?.join() !== shape.join()) {
      throw refuseModel(file,
        `tensor ${name} must have shape [${shape.join(', ')}]; got ${found ? `[${found.join(', ')}]` : 'none'}`)
    }
  }
  const unknown = [...file.tensors.keys()].filter(name => !(name in expected))
  if (unknown.length > 0) {
    throw refuseModel(file,
      `tensors ${unknown.slice(0, 3).join(', ')} are not part of a supported ${config.family} decoder`)
  }
}
