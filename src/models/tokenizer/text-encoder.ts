/**
 * Texts, and pairs of texts, → the tokens that an encoder reads, between the special tokens that its tokenizer.json
 * puts around them. Text that looks like a special token is text. Built on @huggingface/tokenizers: any kind it reads.
 */
import { Tokenizer } from '@huggingface/tokenizers'
import { refuseModel } from '../formats/decoder-tensors.js'

/** Tokens of one text or pair, and for each which of the two it belongs to. */
export interface EncodedText { readonly ids: readonly number[], readonly types: readonly number[] }

/** A tokenizer that makes a model's whole input of a text, or of a pair of texts. */
export interface TextEncoder {
  /** What rows of a batch are filled up with. */
  readonly padToken: number
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
}

/** A text to see what is put around it. */
const probe = 'a'

/** Where `part` first lies in `whole`, from a place on. */
function indexOf (whole: readonly number[], part: readonly number[], from: number): number {
  for (let at = from; at + part.length <= whole.length; at++) {
    if (part.every((id, index) => whole[at + index] === id)) return at
  }
  return -1
}

/**
 * The model of a tokenizer.json whose special tokens no text has: a vocabulary of whole words or pieces gives them to
 * whoever writes them, else.
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

/**
 * @param path where the files are, for messages
 * @param json tokenizer.json, parsed
 * @param config tokenizer_config.json, parsed; {} where there is none
 * @throws RequestError for a tokenizer that cannot be read, or that treats texts in no way that is understood
 */
export function textEncoder (path: string, json: TokenizerJson, config: { readonly pad_token?: unknown }): TextEncoder {
  const added = json.added_tokens ?? []
  const special = new Set(added.flatMap(({ content, special }) => special ? [content] : []))
  let plain: Tokenizer, whole: Tokenizer
  try {
    plain = new Tokenizer({
      ...json,
      model: withoutSpecial(json, special),
      truncation: null,
      padding: null,
      added_tokens: added.filter(({ content }) => !special.has(content)),
      post_processor: null
    }, config)
    whole = new Tokenizer({ ...json, truncation: null, padding: null }, config)
  } catch (error) {
    throw refuseModel({ path }, `cannot read tokenizer.json (${(error as Error).message})`)
  }
  const idsOf = (text: string): number[] => text === '' ? [] : plain.encode(text, { add_special_tokens: false }).ids
  const bare = idsOf(probe)
  const single = whole.encode(probe, { add_special_tokens: true }).ids
  const double = whole.encode(probe, { text_pair: probe, add_special_tokens: true, return_token_type_ids: true })
  const [start, first] = [indexOf(single, bare, 0), indexOf(double.ids, bare, 0)]
  const second = indexOf(double.ids, bare, first + bare.length)
  if (bare.length === 0 || start < 0 || first < 0 || second < 0) {
    throw refuseModel({ path }, `tokenizer.json encodes the text ${JSON.stringify(probe)} as ` +
      `[${single.join(', ')}], which does not contain its own tokens [${bare.join(', ')}]`)
  }
  const [between, types] = [first + bare.length, double.token_type_ids]
  const around = (ids: readonly number[], from: number, to?: number): { ids: number[], types: number[] } => ({
    ids: ids.slice(from, to), types: types.slice(from, to)
  })
  const [before, middle, end] = [around(double.ids, 0, first), around(double.ids, between, second),
    around(double.ids, second + bare.length)]
  const alone = { before: single.slice(0, start), after: single.slice(start + bare.length) }
  const padText = typeof config.pad_token === 'string'
    ? config.pad_token
    : (config.pad_token as { content?: string } | undefined)?.content
  return {
    padToken: json.padding?.pad_id ?? (padText === undefined ? undefined : whole.token_to_id(padText)) ?? 0,
    encode (text, pair) {
      const ids = idsOf(text)
      if (pair === undefined) {
        const row = [...alone.before, ...ids, ...alone.after]
        return { ids: row, types: row.map(() => 0) }
      }
      const pairIds = idsOf(pair)
      return {
        ids: [...before.ids, ...ids, ...middle.ids, ...pairIds, ...end.ids],
        types: [...before.types, ...ids.map(() => types[first]!), ...middle.types, ...pairIds.map(() => types[second]!),
          ...end.types]
      }
    }
  }
}
