/**
 * Reads chats through a model of a reward's own, in that model's template and tokens. Knows what a chat looks like to
 * the model and how much KV it needs, not what is made of its outputs.
 */
import { resolve } from 'node:path'
import { Type, type Static } from 'typebox'
import type { ModelRuntime, RuntimeDemand } from '../engine/model-runtime.js'
import { sourceOf, type Output } from '../engine/sequence.js'
import { RequestError } from '../errors.js'
import { encodeChat } from '../models/tokenizer/chat-template.js'
import { listManifests } from '../models/store/manifest.js'
import { weightFormats } from '../models/quantization/weight-format.js'
import type { OpenContext } from './reward-kind.js'
import type { RewardModels } from './reward-models.js'
import type { Answer, ChatMessage } from './scorer.js'
import { TextReader, type TokenMeasure } from './text-reader.js'

/** Fields of the descriptors that name a model of their own. */
export const modelFields = {
  /**
   * A built-in model, by name, or a GGUF file or a folder in Hugging Face's layout, absolute or relative to the
   * descriptor's folder.
   */
  model: Type.String({ minLength: 1, maxLength: 4096 }),
  /** How many of its layers are run, from the first. Default all. */
  layers: Type.Optional(Type.Integer({ minimum: 1 })),
  /**
   * A folder with low-rank differences to it and perhaps a score head, as peft saves them; absolute or relative like
   * `model`.
   */
  adapter: Type.Optional(Type.String({ minLength: 1, maxLength: 4096 })),
  /** How its matrices are held. Default q8. */
  format: Type.Optional(Type.Enum([...weightFormats])),
  /** Jinja source of a chat template that takes the place of the model's own. */
  template: Type.Optional(Type.String({ minLength: 1 }))
}

type ModelFields = { readonly [K in keyof typeof modelFields]: Static<(typeof modelFields)[K]> }

/** Loads what a descriptor names. @param folder of the descriptor */
export function loadRewardModel (
  models: RewardModels,
  { model, format = 'q8', template, layers, adapter }: Partial<ModelFields> & Pick<ModelFields, 'model'>, folder: string
): Promise<ModelRuntime> {
  const variant = {
    ...(layers === undefined ? {} : { layers }), ...(adapter === undefined ? {} : { adapter: resolve(folder, adapter) })
  }
  return models.load({
    model: listManifests().some(({ id }) => id === model) ? model : resolve(folder, model),
    format,
    ...(template === undefined ? {} : { template }),
    ...(Object.keys(variant).length === 0 ? {} : { variant })
  })
}

/**
 * Another tokenizer may make more tokens of a text than the policy's: this much is allowed for. A reader that is given
 * less room keeps fewer prefixes.
 */
const tokensFactor = 1.25
const extraTokens = 64

/** KV for answers that are read as they grow: two rounds of them and the prompt, at most a quarter of the budget. */
function demandOf (runtime: ModelRuntime, { request: { width, tokens } }: OpenContext): RuntimeDemand {
  const { engine, kvBudget } = runtime
  const each = Math.min(engine.contextLength, Math.ceil(tokens * tokensFactor) + extraTokens)
  return {
    runtime, tokens: each, sequences: Math.max(1, Math.min(2 * width + 1, Math.floor(kvBudget.maxTokens / 4 / each)))
  }
}

/** Whether the template closes the turn of a chat's last message, or the chat ends at its last character. */
export type ChatEnd = 'closed' | 'open'

/**
 * Tokens up to the last that is no padding, the first where all are: those after which transformers'
 * …ForSequenceClassification takes its scores.
 */
export function withoutPadding (tokens: readonly number[], padToken: number | null): number[] {
  return tokens.slice(0, Math.max(1, tokens.findLastIndex(token => token !== padToken) + 1))
}

/** The policy, for rewards that read answers through it: it must be checked before that it runs here. */
export function policyReader ({ name, request: { reader } }: OpenContext): ModelRuntime {
  if (!reader) throw new Error(`reward ${name} reads through a policy that another server runs`)
  return reader
}

/** Reads the chats of one request through one model. */
export class ChatReader {
  readonly demand: RuntimeDemand
  readonly #model: ModelRuntime['model']
  readonly #name: string
  readonly #reader: TextReader

  /** @param measure what `sums` adds up; default ln probability */
  constructor (runtime: ModelRuntime, context: OpenContext, measure?: TokenMeasure) {
    this.demand = demandOf(runtime, context)
    this.#model = runtime.model
    this.#name = context.name
    const { ledger, request: { caller = '', salt, signal } } = context
    this.#reader = new TextReader({
      source: sourceOf(runtime.engine, caller),
      ledger,
      maxTokens: this.demand.sequences * this.demand.tokens,
      salt,
      signal,
      ...(measure ? { measure } : {})
    })
  }

  /**
   * Tokens of a chat as far as a score head reads it: without the padding that a template may end in.
   * @throws RequestError for one that the model cannot read whole
   */
  tokens (messages: readonly ChatMessage[], end: ChatEnd): number[] {
    const { chatTemplate, tokenizer, config: { scoreHead } } = this.#model
    const { tokens } = encodeChat(chatTemplate, tokenizer, messages,
      { addGenerationPrompt: false, continueFinalMessage: end === 'open' })
    return withoutPadding(this.checked(tokens), scoreHead?.padToken ?? null)
  }

  /** @throws RequestError for more tokens than the model can read, or none */
  checked (tokens: number[]): number[] {
    const { contextLength } = this.#model
    if (tokens.length === 0) {
      throw new RequestError('invalid_request',
        `reward "${this.#name}": its model's chat template renders the conversation as no tokens`)
    }
    if (tokens.length <= contextLength) return tokens
    throw new RequestError('context_length_exceeded', `reward "${this.#name}": its model has a context of ` +
      `${contextLength} tokens; prompt and answer have ${tokens.length}`)
  }

  /** Takes the model's output after each sequence: see TextReader. */
  read<T> (sequences: ReadonlyArray<readonly number[]>, read: (output: Output) => T): Promise<T[]> {
    return this.#reader.read(sequences, read)
  }

  /**
   * The measure of each answer to a conversation, summed over its tokens, and the number of those.
   * @throws RequestError for an answer that does not fit behind the conversation
   */
  async sums (
    messages: readonly ChatMessage[], answers: readonly Answer[]
  ): Promise<Array<{ readonly sum: number, readonly tokens: number }>> {
    const { chatTemplate, tokenizer } = this.#model
    const prompt = this.checked(encodeChat(chatTemplate, tokenizer, messages).tokens)
    const encoded = answers.map(({ text }) => tokenizer.encode(text))
    for (const tokens of encoded) this.checked([...prompt, ...tokens])
    const sums = await this.#reader.sums(prompt, encoded)
    return sums.map((sum, index) => ({ sum, tokens: encoded[index]!.length }))
  }
}

/** A conversation with a system message in place of its own; undefined leaves it as it is. */
export function withSystem (messages: readonly ChatMessage[], system: string | undefined): ChatMessage[] {
  return system === undefined
    ? [...messages]
    : [{ role: 'system', content: system }, ...messages.filter(({ role }) => role !== 'system')]
}

/** A conversation with an answer at its end. */
export function withAnswer (messages: readonly ChatMessage[], text: string): ChatMessage[] {
  return [...messages, { role: 'assistant', content: text }]
}
