/**
 * Small random adapters as peft saves them, for tiny language models whose head is their embedding and for others. What
 * peft computes with them is in tests/fixtures/expected-adapters.json, written by scripts/expected-adapter.py.
 *
 *   node dist/tests/helpers/tiny-adapters.js DIR
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { safetensors, writeTinyCheckpoint } from './tiny-checkpoint.js'
import { noise, tinyVocabulary } from './tiny-vocabulary.js'

const [vocabulary, hidden, rank] = [tinyVocabulary.length, 64, 2]

/** An adapter: fields of its configuration, and its tensors by their names behind the prefix. */
export interface TinyAdapter {
  readonly config: Readonly<Record<string, unknown>>
  readonly shapes: Readonly<Record<string, readonly number[]>>
}

const embedding = 'model.embed_tokens'
const embeddingPair = {
  [`${embedding}.lora_embedding_A`]: [rank, vocabulary], [`${embedding}.lora_embedding_B`]: [hidden, rank]
}
const headPair = { 'lm_head.lora_A.weight': [rank, hidden], 'lm_head.lora_B.weight': [vocabulary, rank] }
const queryPair = (layer: number, ranks: number): TinyAdapter['shapes'] => ({
  [`model.layers.${layer}.self_attn.q_proj.lora_A.weight`]: [ranks, hidden],
  [`model.layers.${layer}.self_attn.q_proj.lora_B.weight`]: [hidden, ranks]
})

export const tinyAdapters: Readonly<Record<string, TinyAdapter>> = {
  'embedding-saved': {
    config: { target_modules: ['q_proj'], modules_to_save: ['embed_tokens'] },
    shapes: { [`${embedding}.weight`]: [vocabulary, hidden], ...queryPair(0, rank), ...queryPair(1, rank) }
  },
  'head-saved': {
    config: { target_modules: ['q_proj'], modules_to_save: ['lm_head'] },
    shapes: { 'lm_head.weight': [vocabulary, hidden], ...queryPair(0, rank), ...queryPair(1, rank) }
  },
  'both-saved': {
    config: { target_modules: ['q_proj'], modules_to_save: ['embed_tokens', 'lm_head'] },
    shapes: {
      [`${embedding}.weight`]: [vocabulary, hidden],
      'lm_head.weight': [vocabulary, hidden],
      ...queryPair(0, rank),
      ...queryPair(1, rank)
    }
  },
  'embedding-lora': { config: { target_modules: ['embed_tokens'] }, shapes: embeddingPair },
  'head-lora': { config: { target_modules: ['lm_head'] }, shapes: headPair },
  'both-lora': { config: { target_modules: ['embed_tokens', 'lm_head'] }, shapes: { ...embeddingPair, ...headPair } },
  // As peft saves an embedding that is adapted: the tensor itself beside the difference.
  'embedding-lora-with-base': {
    config: { target_modules: ['embed_tokens'] },
    shapes: { [`${embedding}.base_layer.weight`]: [vocabulary, hidden], ...embeddingPair }
  },
  // As peft saves one that was not: it is loaded into the base's tensor.
  'embedding-loaded': {
    config: { target_modules: ['q_proj'] },
    shapes: { [`${embedding}.weight`]: [vocabulary, hidden], ...queryPair(0, rank), ...queryPair(1, rank) }
  },
  patterns: {
    config: {
      target_modules: ['q_proj'],
      use_rslora: true,
      rank_pattern: { 'layers.1.self_attn.q_proj': 3 },
      alpha_pattern: { '^model.layers.0.*q_proj': 1 }
    },
    shapes: { ...queryPair(0, rank), ...queryPair(1, 3) }
  }
}

/** Writes an adapter's folder. @param config put in place of fields of its configuration */
export function writeTinyAdapter (folder: string, name: string, config: object = {}): void {
  const { config: own, shapes } = tinyAdapters[name]!
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'adapter_config.json'), JSON.stringify({
    peft_type: 'LORA', task_type: 'CAUSAL_LM', r: rank, lora_alpha: 3, inference_mode: true, ...own, ...config
  }))
  const random = noise(name.length)
  writeFileSync(join(folder, 'adapter_model.safetensors'), safetensors(Object.entries(shapes).map(([tensor, shape]) => {
    const count = shape.reduce((product, size) => product * size, 1)
    const data = Buffer.from(Float32Array.from({ length: count }, () => Math.round(80 * random()) / 128).buffer)
    return { name: `base_model.model.${tensor}`, shape, dtype: 'F32', data }
  })))
}

/** Writes the base models, whose head is their embedding and is not. */
export function writeTinyBases (folder: string): void {
  writeTinyCheckpoint(join(folder, 'tied'), { family: 'llama', seed: 4 })
  writeTinyCheckpoint(join(folder, 'untied'), { family: 'llama', head: 'untied', seed: 4 })
}

const [, script, target] = process.argv
if (script === import.meta.filename && target !== undefined) {
  writeTinyBases(target)
  for (const name of Object.keys(tinyAdapters)) writeTinyAdapter(join(target, 'adapters', name), name)
}
