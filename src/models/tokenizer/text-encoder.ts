/**
 * Texts, and pairs of texts, → the tokens that an encoder reads, between the special tokens that its tokenizer.json
 * puts around them. Text that looks like a special token is text. Built on @huggingface/tokenizers: any kind it reads.
 */
import { Tokenizer } from '@huggingface/tokenizers'
import { refuseModel } from '../formats/decoder-tensors.js'
import { tryPatterns, unknownPatterns } from './bounded-pattern.js'

/** Tokens of one text or pair, and for each which of the two it belongs to. */
export interface EncodedText { readonly ids: readonly number[], readonly types: readonly number[] }

/** A tokenizer that makes a model's whole input of a text, or of a pair of texts. */
export interface TextEncoder {
  /** What rows of a batch are filled up with; null where the files name nothing. */
  readonly padToken: number | null
  encode (text: string, pair?: string): EncodedText
}

interface TokenizerJson {
  readonly model?: {
    readonly vocab?: Readonly<Record<string, number>> | ReadonlyArray<readonly [text: string, score: number]>,
    readonly unk_token?: string | null,
    readonly unk_id?: number | null
  }
  readonly added_tokens?: ReadonlyArray<{ readonly id: number, readonly content: string, readonly special?: boolean }>
  readonly padding?: { readonly pad_id?: number } | null
  readonly normalizer?: unknown
  readonly pre_tokenizer?: unknown
}

/** A text that shows what is put around it. */
const probe = 'a'

/** Where `part` first lies in `whole`, from a place on. */
function indexOf (whole: readonly number[], part: readonly number[], from: number): number {
  for (let at = from; at + part.length <= whole.length; at++) {
    if (part.every((id, index) => whole[at + index] === id)) return at
  }
  return -1
}

/**
 * The model of a tokenizer.json with its special tokens renamed to what no text has: a vocabulary of whole words or
 * pieces would otherwise encode their texts as them.
 */
function withoutSpecial ({ model = {} }: TokenizerJson, special: ReadonlySet<string>): TokenizerJson['model'] {
  const { vocab = {}, unk_token: unknown, unk_id: unknownId } = model
  const shown = (text: string, id: number): string =>
    special.has(text) && text !== unknown && id !== unknownId ? `\u{F0000}${id}` : text
  if (Array.isArray(vocab)) {
    return { ...model, vocab: vocab.map(([text, score], id) => [shown(text, id), score] as const) }
  }
  return {
    ...model,
    vocab: Object.fromEntries(Object.entries(vocab as Readonly<Record<string, number>>).map(([text, id]) =>
      [shown(text, id), id]))
  }
}

/** The tokenizer of plain text, to which special tokens are text, and the file's own. */
function tokenizersOf (path: string, json: TokenizerJson, config: object): { plain: Tokenizer, whole: Tokenizer } {
  const added = json.added_tokens ?? []
  const special = new Set(added.flatMap(({ content, special }) => special ? [content] : []))
  const unbounded = { ...json, truncation: null, padding: null }
  try {
    return {
      plain: new Tokenizer({
        ...unbounded,
        model: withoutSpecial(json, special),
        added_tokens: added.filter(({ content }) => !special.has(content)),
        post_processor: null
      }, config),
      whole: new Tokenizer(unbounded, config)
    }
  } catch (error) {
    throw refuseModel({ path }, `cannot read tokenizer.json (${(error as Error).message})`)
  }
}

/** What stands around a text alone, and around the two of a pair, with the types of the pair's texts. */
interface Surroundings {
  readonly single: { readonly before: readonly number[], readonly after: readonly number[] }
  readonly pair: {
    readonly before: EncodedText,
    readonly between: EncodedText,
    readonly after: EncodedText,
    readonly types: readonly [number, number]
  }
}

/** @param bare the probe's own tokens. @throws RequestError where they are not among those of the whole input */
function surroundingsOf (path: string, whole: Tokenizer, bare: readonly number[]): Surroundings {
  const single = whole.encode(probe, { add_special_tokens: true }).ids
  const { ids, token_type_ids: types } =
    whole.encode(probe, { text_pair: probe, add_special_tokens: true, return_token_type_ids: true })
  const [start, first] = [indexOf(single, bare, 0), indexOf(ids, bare, 0)]
  const second = indexOf(ids, bare, first + bare.length)
  if (bare.length === 0 || start < 0 || first < 0 || second < 0) {
    throw refuseModel({ path }, `tokenizer.json encodes the text ${JSON.stringify(probe)} as ` +
      `[${single.join(', ')}], which does not contain its own tokens [${bare.join(', ')}]`)
  }
  const slice = (from: number, to?: number): EncodedText => ({ ids: ids.slice(from, to), types: types.slice(from, to) })
  return {
    single: { before: single.slice(0, start), after: single.slice(start + bare.length) },
    pair: {
      before: slice(0, first),
      between: slice(first + bare.length, second),
      after: slice(second + bare.length),
      types: [types[first]!, types[second]!]
    }
  }
}

/**
 * @param path where the files are, for messages
 * @param json tokenizer.json, parsed
 * @param config tokenizer_config.json, parsed; {} where there is none
 * @throws RequestError for a tokenizer that cannot be read, or whose special tokens cannot be distinguished from a
 * text's
 */
export function textEncoder (path: string, json: TokenizerJson, config: { readonly pad_token?: unknown }): TextEncoder {
  const { plain, whole } = tokenizersOf(path, json, config)
  // Only cut: what merges words is linear.
  tryPatterns(path, unknownPatterns({ normalizer: json.normalizer, pre: json.pre_tokenizer }), text => {
    plain.pre_tokenizer?.pre_tokenize(plain.normalizer?.normalize(text) ?? text)
  })
  const idsOf = (text: string): number[] => text === '' ? [] : plain.encode(text, { add_special_tokens: false }).ids
  const { single, pair: { before, between, after, types } } = surroundingsOf(path, whole, idsOf(probe))
  const padText = typeof config.pad_token === 'string'
    ? config.pad_token
    : (config.pad_token as { content?: string } | undefined)?.content
  return {
    padToken: json.padding?.pad_id ?? (padText === undefined ? undefined : whole.token_to_id(padText)) ?? null,
    encode (text, pair) {
      const ids = idsOf(text)
      if (pair === undefined) {
        const row = [...single.before, ...ids, ...single.after]
        return { ids: row, types: row.map(() => 0) }
      }
      const pairIds = idsOf(pair)
      return {
        ids: [...before.ids, ...ids, ...between.ids, ...pairIds, ...after.ids],
        types: [...before.types, ...ids.map(() => types[0]), ...between.types, ...pairIds.map(() => types[1]),
          ...after.types]
      }
    }
  }
}
