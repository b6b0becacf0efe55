/**
 * The language models that guidance can set beside a policy: loaded when the server starts, each with an engine of its
 * own, and asked for by name. They must have the policy's vocabulary, since they say what its tokens are worth. Knows
 * no requests.
 */
import type { ModelRuntime } from '../engine/model-runtime.js'
import type { RequestError } from '../errors.js'
import type { ModelFacts, TextModel } from '../models/model.js'
import type { DeviceFormat } from '../models/quantization/weight-format.js'
import type { RewardModels } from '../rewards/reward-models.js'
import { readNamedModels, refuseModels } from './model-names.js'

/** By name. */
export type ContrastModels = ReadonlyMap<string, ModelRuntime>

const setting = 'contrast-models'
const refuse = (problem: string): RequestError => refuseModels(setting, problem)

/**
 * How a token is written; '' for rows without a token, with which models fill up their vocabularies, each to its own
 * size: GGUF files name them [PAD151936] and the like.
 */
function written ({ vocabularySize, writtenBytes }: ModelFacts['tokenizer'], token: number): string {
  if (token >= vocabularySize) return ''
  // One character a byte: two texts are equal where the bytes are.
  const text = Buffer.from(writtenBytes(token)).toString('latin1')
  return text === `[PAD${token}]` ? '' : text
}

/** Why a model's tokens are not the policy's, naming the first that differs; null if they are. */
function otherTokens (name: string, { tokenizer }: TextModel, policy: TextModel): string | null {
  const count = Math.max(tokenizer.vocabularySize, policy.tokenizer.vocabularySize)
  for (let token = 0; token < count; token++) {
    if (written(tokenizer, token) !== written(policy.tokenizer, token)) {
      return `token ${token} of ${name} is another than that of ${policy.id}; they must have the same`
    }
  }
  return null
}

/** @throws RequestError for a model that scores in place of writing, or that has the tokens of none of the policies */
function check (name: string, model: ModelFacts, policies: readonly TextModel[]): void {
  if (model.config.scoreHead) throw refuse(`${name} scores texts and says nothing of next tokens`)
  const problems = policies.map(policy => otherTokens(name, model, policy))
  if (!problems.includes(null)) throw refuse(problems.join('; '))
}

/**
 * @param entries name=path, as the setting has them
 * @throws RequestError naming the entry and what is wrong with it
 */
export async function loadContrastModels (
  entries: readonly string[], models: RewardModels, policies: readonly TextModel[], format: DeviceFormat
): Promise<ContrastModels> {
  const loaded = new Map<string, ModelRuntime>()
  for (const { name, model } of readNamedModels(setting, entries)) {
    const one = await models.load({ model, format })
    check(name, one.model, policies)
    loaded.set(name, one)
  }
  return loaded
}

/** Those among them that have a policy's tokens. */
export function ofVocabulary (models: ContrastModels, policy: TextModel): ContrastModels {
  return new Map([...models].filter(([name, { model }]) => otherTokens(name, model, policy) === null))
}
