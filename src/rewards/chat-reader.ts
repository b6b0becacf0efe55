/**
 * Reads chats through a model of a reward's own, in that model's template and tokens. Knows what a chat looks like to
 * the model and how much room it needs, not what is made of its outputs.
 */
import { resolve } from 'node:path'
import { Type, type Static } from 'typebox'
import type { Output } from '../engine/sequence.js'
import { RequestError } from '../errors.js'
import { encodeChat } from '../models/tokenizer/chat-template.js'
import { listManifests } from '../models/store/manifest.js'
import { weightFormats } from '../models/quantization/weight-format.js'
import type { OpenContext, Room } from './reward-kind.js'
import type { RewardModel, RewardModels } from './reward-models.js'
import type { ChatMessage } from './scorer.js'
import { TextReader, type TokenMeasure } from './text-reader.js'

/** Fields of the descriptors that name a model of their own. */
export const modelFields = {
  /**
   * A model of the box, by name, or a GGUF file or a folder in Hugging Face's layout, absolute or relative to the
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
): Promise<RewardModel> {
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
 * Texts of another tokenizer may have more tokens than the policy's: this much is allowed for, and a reader that is
 * given less room holds fewer stems.
 */
const tokensFactor = 1.25
const tokensMore = 64

/**
 * Room for answers that are read as they grow: those of two rounds, and what all begin with; a quarter of what there is
 * at most.
 */
function roomOf (model: RewardModel, { request: { width, tokens } }: OpenContext): Room {
  const { engine } = model
  const each = Math.min(engine.contextLength, Math.ceil(tokens * tokensFactor) + tokensMore)
  return {
    model, tokens: each, sequences: Math.max(1, Math.min(2 * width + 1, Math.floor(engine.mostKvTokens / 4 / each)))
  }
}

/** How a chat's last message stands: complete, its turn closed by the template, or open at its last character. */
export type ChatEnd = 'closed' | 'open'

export class ChatReader {
  readonly room: Room
  readonly #model: RewardModel['model']
  readonly #name: string
  readonly #reader: TextReader

  /** @param measure what `sums` adds up; default ln probability */
  constructor (rewardModel: RewardModel, context: OpenContext, measure?: TokenMeasure) {
    this.room = roomOf(rewardModel, context)
    this.#model = rewardModel.model
    this.#name = context.name
    const { ledger, request: { salt, signal } } = context
    this.#reader = new TextReader({
      source: rewardModel.engine,
      ledger,
      mostTokens: this.room.sequences * this.room.tokens,
      salt,
      signal,
      ...(measure ? { measure } : {})
    })
  }

  /** Tokens of a chat. @throws RequestError for one that the model cannot read whole */
  tokens (messages: readonly ChatMessage[], end: ChatEnd): number[] {
    const { chatTemplate, tokenizer } = this.#model
    return this.checked(encodeChat(chatTemplate, tokenizer, messages,
      { addGenerationPrompt: false, continueFinalMessage: end === 'open' }).tokens)
  }

  /**
   * Tokens of a conversation up to where the answer begins.
   * @throws RequestError for one that the model cannot read whole
   */
  promptTokens (messages: readonly ChatMessage[]): number[] {
    const { chatTemplate, tokenizer } = this.#model
    return this.checked(encodeChat(chatTemplate, tokenizer, messages).tokens)
  }

  /** Tokens of an answer after such a conversation. @throws RequestError for one that does not fit behind it */
  answerTokens (prompt: readonly number[], text: string): number[] {
    const tokens = this.#model.tokenizer.encode(text)
    this.checked([...prompt, ...tokens])
    return tokens
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

  /** What the model says after each sequence: see TextReader. */
  read<T> (
    sequences: ReadonlyArray<readonly number[]>, look: (output: Output) => T
  ): Promise<T[]> { return this.#reader.read(sequences, look) }

  /** The measure of each answer after a prompt, summed over its tokens: see TextReader. */
  sums (
    prompt: readonly number[], answers: ReadonlyArray<readonly number[]>
  ): Promise<number[]> { return this.#reader.sums(prompt, answers) }
}

/** A conversation with an answer at its end. */
export function withAnswer (messages: readonly ChatMessage[], text: string): ChatMessage[] {
  return [...messages, { role: 'assistant', content: text }]
}
