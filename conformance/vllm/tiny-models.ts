/** Tiny models and rewards on them, written to a folder: what the suite's engines run. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { encodeFloats } from '../../src/rewards/kinds/q-head.js'
import { writeTinyCheckpoint, type TinyCheckpointOptions } from '../../tests/helpers/tiny-checkpoint.js'
import { noise } from '../../tests/helpers/tiny-vocabulary.js'

const width = 64
const normalization = { mean: 0.3, std: 1.5, pool: 'none' }
const members = { outcome: { normalization }, prefix: { normalization } }

/** vLLM's attention on CPUs takes no smaller heads than of 32. */
const model = (folder: string, options: TinyCheckpointOptions): void =>
  writeTinyCheckpoint(folder,
    { headSize: 32, ...options, config: { max_position_embeddings: 2048, ...options.config } })

/** A random head with a Q-head. */
function headDescriptor (): object {
  const random = noise(11)
  const floats = (count: number, scale: number): Float32Array =>
    Float32Array.from({ length: count }, () => scale * random())
  const rank = 4
  return {
    name: 'tinted',
    description: 'A random head.',
    kind: 'head',
    layer: 1,
    pooling: 'mean',
    bias: 0.25,
    members,
    policy: { id: 'tiny', weightsSha256: '0'.repeat(64), format: 'f32' },
    weights: [...floats(width, 2)],
    nextToken: {
      layer: 1,
      rank,
      state: encodeFloats(floats(rank * (width + 1), 1)),
      token: encodeFloats(floats(rank * (width + 1), 1)),
      fit: { prompts: 1, positions: 1, values: 1, regularization: 0.1 },
      metrics: { rankCorrelation: 0, standardError: 1, candidates: 2, positions: 1, prompts: 1, split: 'none' }
    }
  }
}

/** Paths of what was written; the policy is called `tiny` wherever it runs. */
export interface TinyModels {
  readonly policy: string
  readonly reward: string
  readonly process: string
  /** Heads for the plugin. */
  readonly heads: string
}

/** Writes the models and the heads. */
export function writeTinyModels (folder: string): TinyModels {
  const at = (name: string): string => join(folder, name)
  model(at('tiny'), { family: 'llama' })
  model(at('reward'), { family: 'qwen3', head: 'score' })
  model(at('process'), {
    family: 'qwen2',
    head: 'process',
    labels: 2,
    // vLLM's Qwen 2 reads no head_dim: two heads of 32 make the width.
    headSize: 16,
    config: {
      architectures: ['Qwen2ForProcessRewardModel'], num_attention_heads: 2, num_key_value_heads: 1, head_dim: 32
    }
  })
  mkdirSync(at('heads'), { recursive: true })
  writeFileSync(join(at('heads'), 'tinted.json'), JSON.stringify(headDescriptor()))
  return { policy: at('tiny'), reward: at('reward'), process: at('process'), heads: at('heads') }
}

const steps = { separator: '\n', layout: 'answer', marker: '<|endoftext|>' }
const verdictSteps = { ...steps, verdicts: { good: 'y', bad: 'n' } }

/** Names of rewards here, and of those on engines, that must score alike. */
export const rewardPairs = {
  reward: [['near', 'far-classify'], ['near', 'far-pooling']],
  process: [['near-steps', 'far-steps']],
  policy: [['near-verdicts', 'far-verdicts']]
} as const

/** Writes descriptors of the same models here and on engines. @param urls of the engines; those absent have none */
export function writeRewards (
  folder: string, { policy, reward, process: judge }: TinyModels,
  urls: Readonly<Partial<Record<keyof typeof rewardPairs, string>>>
): void {
  mkdirSync(folder, { recursive: true })
  const write = (name: string, fields: object): void =>
    writeFileSync(join(folder, `${name}.json`), JSON.stringify({ name, description: name, members, ...fields }))
  writeFileSync(join(folder, 'tinted.json'), JSON.stringify(headDescriptor()))
  const remote = { kind: 'remote', model: 'tiny', timeoutMs: 120_000 }
  if (urls.reward !== undefined) {
    write('near', { kind: 'classifier', model: reward, format: 'f32' })
    const logits = { ...remote, tokenizer: reward, useActivation: false }
    write('far-classify', { ...logits, protocol: 'classify', url: `${urls.reward}/classify` })
    write('far-pooling', { ...logits, protocol: 'pooling', url: `${urls.reward}/pooling` })
  }
  if (urls.process !== undefined) {
    write('near-steps', { kind: 'process', model: judge, format: 'f32', steps: { ...steps, label: 1 } })
    write('far-steps', {
      ...remote, tokenizer: judge, protocol: 'token_classify', url: `${urls.process}/pooling`, steps: { ...steps, label: 1 }
    })
  }
  if (urls.policy !== undefined) {
    write('near-verdicts', { kind: 'process', model: policy, format: 'f32', steps: verdictSteps })
    write('far-verdicts', {
      ...remote, tokenizer: policy, protocol: 'completions', url: `${urls.policy}/v1/completions`, steps: verdictSteps
    })
  }
}
