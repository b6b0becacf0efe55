/** GGUF metadata → DecoderConfig. Refuses what the graph would compute wrongly. */
import { RequestError } from '../errors.js'
import type { DecoderConfig } from './decoder-config.js'
import type { GgufFile } from './gguf.js'

const supported = ['llama']

/** Keys whose presence changes the computation in ways the graph does not do. */
const unsupportedKeys = ['rope.scaling.type', 'rope.scale_linear', 'attention.sliding_window', 'expert_count', 'attention.logit_softcapping', 'final_logit_softcapping']

const refuse = (file: GgufFile, why: string): RequestError => new RequestError('invalid_request', `${file.path}: ${why}`, { param: 'model' })

/** The decoder a file holds. @throws RequestError for families, features and shapes that are not supported */
export function decoderConfigFromGguf (file: GgufFile): DecoderConfig {
  const architecture = file.metadata['general.architecture']
  if (typeof architecture !== 'string' || !supported.includes(architecture)) {
    throw refuse(file, `architecture ${JSON.stringify(architecture)} is not supported; supported are ${supported.join(', ')}`)
  }
  for (const key of unsupportedKeys) {
    const value = file.metadata[`${architecture}.${key}`]
    if (value !== undefined && value !== 'none' && value !== 0) throw refuse(file, `${architecture}.${key} = ${JSON.stringify(value)} is not supported`)
  }
  const number = (key: string, fallback?: number): number => {
    const value = file.metadata[`${architecture}.${key}`] ?? fallback
    if (typeof value !== 'number' || !(value > 0)) throw refuse(file, `metadata ${architecture}.${key} must be a positive number; got ${JSON.stringify(value)}`)
    return value
  }
  const tokens = file.metadata['tokenizer.ggml.tokens']
  if (!Array.isArray(tokens) || tokens.length === 0) throw refuse(file, 'it holds no vocabulary')
  const queryHeads = number('attention.head_count')
  const hiddenSize = number('embedding_length')
  const config: DecoderConfig = {
    architecture: 'llama',
    layers: number('block_count'),
    hiddenSize,
    queryHeads,
    kvHeads: number('attention.head_count_kv', queryHeads),
    headSize: number('attention.key_length', hiddenSize / queryHeads),
    feedForwardSize: number('feed_forward_length'),
    vocabularySize: tokens.length,
    contextLength: number('context_length'),
    ropeBase: number('rope.freq_base', 10000),
    ropeInterleaved: true,
    normEpsilon: number('attention.layer_norm_rms_epsilon'),
    tiedEmbeddings: !file.tensors.has('output.weight')
  }
  checkHeads(file, config, number)
  checkShapes(file, config)
  return config
}

/** What the attention operator takes for granted. */
function checkHeads (file: GgufFile, { headSize, queryHeads, kvHeads }: DecoderConfig, number: (key: string, fallback: number) => number): void {
  if (!Number.isInteger(headSize) || headSize % 2 !== 0) throw refuse(file, `heads must have an even size; got ${headSize}`)
  if (queryHeads % kvHeads !== 0) throw refuse(file, `query heads must be a multiple of the ${kvHeads} key and value heads; got ${queryHeads}`)
  for (const key of ['attention.value_length', 'rope.dimension_count']) {
    const value = number(key, headSize)
    if (value !== headSize) throw refuse(file, `${key} must be the head size ${headSize}; got ${value}`)
  }
}

function checkShapes (file: GgufFile, config: DecoderConfig): void {
  const { hiddenSize, feedForwardSize, vocabularySize } = config
  const query = config.queryHeads * config.headSize
  const kv = config.kvHeads * config.headSize
  const expected: Record<string, readonly number[]> = { 'token_embd.weight': [vocabularySize, hiddenSize], 'output_norm.weight': [hiddenSize] }
  if (!config.tiedEmbeddings) expected['output.weight'] = [vocabularySize, hiddenSize]
  for (let layer = 0; layer < config.layers; layer++) {
    const block = `blk.${layer}`
    Object.assign(expected, {
      [`${block}.attn_norm.weight`]: [hiddenSize],
      [`${block}.ffn_norm.weight`]: [hiddenSize],
      [`${block}.attn_q.weight`]: [query, hiddenSize],
      [`${block}.attn_k.weight`]: [kv, hiddenSize],
      [`${block}.attn_v.weight`]: [kv, hiddenSize],
      [`${block}.attn_output.weight`]: [hiddenSize, query],
      [`${block}.ffn_gate.weight`]: [feedForwardSize, hiddenSize],
      [`${block}.ffn_up.weight`]: [feedForwardSize, hiddenSize],
      [`${block}.ffn_down.weight`]: [hiddenSize, feedForwardSize]
    })
  }
  for (const [name, shape] of Object.entries(expected)) {
    const found = file.tensors.get(name)?.shape
    if (found?.join() !== shape.join()) throw refuse(file, `tensor ${name} must have shape [${shape.join(', ')}]; got ${found ? `[${found.join(', ')}]` : 'none'}`)
  }
  const unknown = [...file.tensors.keys()].filter(name => !(name in expected) && name !== 'output.weight' && name !== 'rope_freqs.weight')
  if (unknown.length > 0) throw refuse(file, `tensors ${unknown.slice(0, 3).join(', ')} are not part of a ${config.architecture} decoder that Fairlead runs`)
  if (file.tensors.has('rope_freqs.weight')) throw refuse(file, 'scaled rotary frequencies (rope_freqs.weight) are not supported')
}
