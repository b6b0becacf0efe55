/** Reads the parts of a tokenizer.json and a tokenizer_config.json that byte-level tokenizers are made of. */
import { refuseModel } from '../formats/decoder-tensors.js'
import type { AddedToken } from './added-tokens.js'
import { looksControl } from './control-tokens.js'

interface JsonToken {
  readonly content: string
  readonly special?: boolean
  readonly lstrip?: boolean
  readonly rstrip?: boolean
  readonly single_word?: boolean
  readonly normalized?: boolean
}

/** A part of a tokenizer.json, its fields not yet checked. */
interface Part { readonly type?: string, readonly [field: string]: unknown }

/** `model` of a tokenizer.json with byte pairs. */
interface BytePairModel extends Part {
  readonly vocab?: Readonly<Record<string, number>>
  readonly merges?: ReadonlyArray<string | readonly [string, string]>
  readonly unk_token?: string | null
  readonly ignore_merges?: boolean
}

/** A tokenizer.json. */
export interface TokenizerJson {
  readonly model?: BytePairModel
  readonly decoder?: Part | null
  readonly normalizer?: unknown
  readonly pre_tokenizer?: unknown
  readonly post_processor?: unknown
  readonly added_tokens?: ReadonlyArray<JsonToken & { readonly id: number }>
}

/** What tokenizer_config.json says of tokens: a text, or an object with it. */
type ConfigToken = string | JsonToken | null

/** A tokenizer_config.json. */
export interface TokenizerConfig {
  readonly bos_token?: ConfigToken
  readonly eos_token?: ConfigToken
  readonly pad_token?: ConfigToken
  readonly unk_token?: ConfigToken
  readonly sep_token?: ConfigToken
  readonly cls_token?: ConfigToken
  readonly mask_token?: ConfigToken
  readonly additional_special_tokens?: readonly ConfigToken[]
  /** By id: takes the place of what tokenizer.json says of a token. */
  readonly added_tokens_decoder?: Readonly<Record<string, JsonToken>>
}

const textOf = (token: ConfigToken | undefined): string | undefined =>
  typeof token === 'string' ? token : token?.content

/** Texts that tokenizer_config.json names as special tokens. */
const namedTokens = (config: TokenizerConfig): ReadonlySet<string | undefined> => new Set([config.bos_token,
  config.eos_token, config.pad_token, config.unk_token, config.sep_token, config.cls_token, config.mask_token,
  ...config.additional_special_tokens ?? []].map(textOf))

/**
 * The added tokens, and which of them are special by the files' own word. One that the vocabulary has is that one,
 * whatever its id.
 */
export function addedTokensOf (
  { added_tokens: given = [] }: TokenizerJson, config: TokenizerConfig, vocabulary: ReadonlyMap<string, number>
): { tokens: AddedToken[], special: ReadonlySet<number> } {
  const named = namedTokens(config)
  const tokens = given.map(token => {
    const known = config.added_tokens_decoder?.[token.id]
    const id = vocabulary.get(token.content) ?? token.id
    return known?.content === token.content ? { ...token, ...known, id } : { ...token, id }
  })
  const isSpecial = (token: JsonToken): boolean => token.special === true || named.has(token.content)
  return {
    tokens: tokens.map(token => ({
      id: token.id,
      content: token.content,
      control: isSpecial(token) || looksControl(token.content, true),
      lstrip: token.lstrip === true,
      rstrip: token.rstrip === true,
      singleWord: token.single_word === true,
      normalized: token.normalized ?? token.special !== true
    })),
    special: new Set(tokens.flatMap(token => isSpecial(token) ? [token.id] : []))
  }
}

/** Fields of a model that would change what is computed, with the values under which they do not. */
const fixed: ReadonlyArray<readonly [field: string, ...values: readonly unknown[]]> = [
  ['dropout', undefined, null, 0], ['continuing_subword_prefix', undefined, null, ''],
  ['end_of_word_suffix', undefined, null, ''], ['byte_fallback', undefined, null, false]
]

/** The parts of a decoder, sequences flattened. */
const decoderTypes = (part: Part | null | undefined): Array<string | undefined> => part?.type === 'Sequence'
  ? (part['decoders'] as Part[] | undefined ?? []).flatMap(decoderTypes)
  : [part?.type]

/** The model of a tokenizer.json. @throws RequestError if it is none of byte-level byte pairs */
export function byteLevelModel (
  file: { readonly path: string }, { model, decoder }: TokenizerJson
): { model: BytePairModel, vocabulary: ReadonlyMap<string, number> } {
  const decoders = decoderTypes(decoder)
  if (model?.type !== 'BPE' || !model.vocab || !decoders.includes('ByteLevel') ||
      !decoders.every(type => type === 'ByteLevel' || type === 'Fuse')) {
    throw refuseModel(file, `tokenizer.json of type ${JSON.stringify(model?.type)} with decoder ` +
      `${JSON.stringify(decoder?.type)} (${decoders.join(', ')}) is not supported; supported is BPE with ByteLevel`)
  }
  for (const [field, ...values] of fixed) {
    if (!values.includes(model[field])) {
      throw refuseModel(file, `tokenizer.json: model.${field} = ${JSON.stringify(model[field])} is not supported`)
    }
  }
  return { model, vocabulary: new Map(Object.entries(model.vocab)) }
}

/**
 * What a post-processor puts before a text.
 * @throws Error for kinds that are not supported
 */
export function startTokensOf (processor: unknown): number[] {
  const part = (processor ?? { type: 'ByteLevel' }) as Part
  switch (part.type) {
    case 'ByteLevel': return []
    case 'Sequence': return (part['processors'] as Part[] | undefined ?? []).flatMap(startTokensOf)
    case 'BertProcessing':
    case 'RobertaProcessing': return [(part['cls'] as [string, number])[1]]
    case 'TemplateProcessing': return templateStart(part)
    default: throw new Error(`post-processor ${JSON.stringify(part.type)} is not supported`)
  }
}

function templateStart ({ single, special_tokens: tokens }: Part): number[] {
  const items = single as ReadonlyArray<{ readonly SpecialToken?: { readonly id: string } }>
  const text = items.findIndex(item => !item.SpecialToken)
  return items.slice(0, Math.max(0, text)).flatMap(({ SpecialToken: { id } = { id: '' } }) =>
    (tokens as Readonly<Record<string, { readonly ids: number[] }>>)[id]?.ids ?? [])
}
