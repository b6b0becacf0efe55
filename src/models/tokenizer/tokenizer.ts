/**
 * Text ↔ token ids, by byte pairs, built from a GGUF file's vocabulary or a tokenizer.json. Text that merely looks like
 * a control token is text: only `encodeTemplate` makes control tokens, and only where the template wrote them.
 */
import { refuseModel } from '../formats/decoder-tensors.js'
import type { GgufFile } from '../formats/gguf.js'
import { AddedTokens, type AddedToken } from './added-tokens.js'
import { patterns } from './bounded-pattern.js'
import { BytePairs, bytesOfCharacters } from './byte-pairs.js'
import { endTokens, looksControl } from './control-tokens.js'
import { normalizer, preTokenizer } from './pre-tokenizer.js'
import {
  addedTokensOf, byteLevelModel, startTokensOf, type TokenizerConfig, type TokenizerJson
} from './tokenizer-json.js'
import { RequestError } from '../../errors.js'

/** Texts to tokens and back, for one model. */
export interface Tokenizer {
  readonly vocabularySize: number
  /** Tokens that end an answer. */
  readonly endTokens: readonly number[]
  /**
   * Tokens that a text begins with where no template writes them: the model's own beginning token, if its file asks for
   * one.
   */
  readonly startTokens: readonly number[]
  /** Tokens of plain text; control-token look-alikes are encoded as text. */
  encode (text: string): number[]
  /** Tokens of text in which control-token texts stand for control tokens. */
  encodeTemplate (pieces: readonly TemplatePiece[]): number[]
  /** Text of tokens; control tokens give none, broken UTF-8 gives replacement characters. */
  decode (tokens: readonly number[]): string
  /** The bytes a token stands for; none for control tokens. */
  tokenBytes (token: number): Uint8Array
  /** The bytes a token is written with in a prompt: a control token's are those of its text. */
  writtenBytes (token: number): Uint8Array
}

/**
 * A piece of a rendered template: the template's own text, in which control tokens count, or a caller's, in which they
 * do not.
 */
export interface TemplatePiece { readonly text: string, readonly trusted: boolean }

/** GGUF's `tokenizer.ggml.token_type`. */
const [normalToken, controlToken, addedToken] = [1, 3, 4]

const byteLevel = { type: 'ByteLevel', add_prefix_space: false, use_regex: false }
const cutBy = (...all: readonly string[]): object => ({
  type: 'Sequence',
  pretokenizers: [...all.map(pattern =>
    ({ type: 'Split', pattern: { Regex: pattern }, behavior: 'Isolated', invert: false })), byteLevel]
})

/** How text is cut before merging, by GGUF's `tokenizer.ggml.pre`; names that llama.cpp cuts alike stand together. */
const preTokenizers: Readonly<Record<string, object>> = Object.fromEntries(([
  [['default', 'gpt-2', 'phi-2', 'olmo', 'jais', 'mpt'], cutBy(patterns.gpt2)],
  // Every numeric character alone, ½ and ² too, as the Rust tokenizer's Digits does.
  [['smollm', 'starcoder', 'refact', 'command-r', 'codeshell', 'exaone', 'minerva-7b'],
    cutBy(patterns.number, patterns.gpt2)],
  [['llama-bpe', 'llama3', 'llama-v3', 'falcon3', 'pixtral', 'midm-2.0', 'lfm2', 'dbrx', 'smaug-bpe'],
    cutBy(patterns.llama3)],
  [['qwen2', 'deepseek-r1-qwen', 'kormo', 'megrez', 'stablelm2', 'hunyuan'], cutBy(patterns.qwen2)]
] as const).flatMap(([names, cut]) => names.map(name => [name, cut])))

/** Pre-tokenizers of Llama 3: a word that is a token stays one, and texts have a beginning token. */
const likeLlama3: ReadonlySet<unknown> =
  new Set(['llama-bpe', 'llama3', 'llama-v3', 'falcon3', 'pixtral', 'midm-2.0', 'lfm2'])

function strings (file: GgufFile, key: string): string[] {
  const value = file.metadata[key]
  if (!Array.isArray(value)) throw refuseModel(file, `metadata ${key} is missing`)
  return value as string[]
}

/** What a file is read for; what is wrong with it names the file. */
function reading<T> (file: { readonly path: string }, what: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (error instanceof RequestError) throw error
    throw refuseModel(file, `cannot read ${what} (${(error as Error).message})`)
  }
}

function bytesByToken (texts: readonly string[], hidden: ReadonlySet<number>): Uint8Array[] {
  return texts.map((text, id) => {
    if (hidden.has(id)) return new Uint8Array()
    const codes = Array.from(text, character => bytesOfCharacters.get(character))
    // A token outside the byte alphabet (an added word) stands for its own UTF-8.
    return codes.includes(undefined) ? Buffer.from(text) : Uint8Array.from(codes as number[])
  })
}

/** What tokenizers are built from, whatever file it is in. */
interface Vocabulary {
  /** Text of each token, in the byte alphabet; '' for numbers that no token has. */
  readonly texts: readonly string[]
  readonly added: readonly AddedToken[]
  /** Control tokens that the file marks as such. */
  readonly marked: ReadonlySet<number>
  readonly bytePairs: BytePairs
  readonly words: (text: string) => readonly string[]
  readonly normalize?: (text: string) => string
  /** Tokens that the file says end an answer. */
  readonly ends: readonly number[]
  readonly startTokens: readonly number[]
}

function tokenizerOf (
  { texts, added, marked, bytePairs, words, normalize, ends: given, startTokens }: Vocabulary
): Tokenizer {
  const ends = endTokens(given, added)
  const hidden = new Set([...marked, ...ends])
  const bytes = bytesByToken(texts, hidden)
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  const addedTokens = new AddedTokens(added, normalize)
  const encodePieces = (pieces: readonly TemplatePiece[]): number[] => {
    const tokens: number[] = []
    const callers: Array<[number, number]> = []
    let length = 0
    for (const { text, trusted } of pieces) {
      if (!trusted && text !== '') callers.push([length, length + text.length])
      length += text.length
    }
    // Neighbouring text is encoded together, whatever its origin, as the model saw it in training.
    addedTokens.cut(pieces.map(({ text }) => text).join(''), callers,
      text => { for (const word of words(text)) bytePairs.encode(word, tokens) }, id => { tokens.push(id) })
    return tokens
  }
  return {
    vocabularySize: texts.length,
    endTokens: ends,
    startTokens,
    encode: text => encodePieces([{ text, trusted: false }]),
    encodeTemplate: encodePieces,
    decode: tokens => decoder.decode(Buffer.concat(tokens.map(token => bytes[token] ?? new Uint8Array()))),
    tokenBytes: token => bytes[token] ?? new Uint8Array(),
    writtenBytes: token => hidden.has(token) ? Buffer.from(texts[token]!) : bytes[token] ?? new Uint8Array()
  }
}

/** Ids under keys of a GGUF file's tokenizer. */
const idsOf = (file: GgufFile, ...keys: readonly string[]): number[] =>
  keys.map(key => file.metadata[`tokenizer.ggml.${key}`]).filter((id): id is number => typeof id === 'number')

/** The tokens of a GGUF file that texts are cut at: no merge makes them. */
function addedTokensOfGguf (file: GgufFile, texts: readonly string[]): AddedToken[] {
  const kinds = file.metadata['tokenizer.ggml.token_type'] as number[] | undefined
  return texts.flatMap((content, id) => {
    const kind = kinds?.[id] ?? normalToken
    const control = kind === controlToken || looksControl(content, kind !== normalToken)
    return control || kind === addedToken
      ? [{ id, content, control, singleWord: false, lstrip: false, rstrip: false, normalized: false }]
      : []
  })
}

/** The tokenizer of a GGUF file. @throws RequestError for kinds that are not supported */
export function tokenizerFromGguf (file: GgufFile): Tokenizer {
  const [kind, pre = 'default'] = [file.metadata['tokenizer.ggml.model'], file.metadata['tokenizer.ggml.pre']]
  const cut = typeof pre === 'string' && Object.hasOwn(preTokenizers, pre) ? preTokenizers[pre] : undefined
  if (kind !== 'gpt2' || !cut) {
    throw refuseModel(file, `tokenizer ${JSON.stringify(kind)} with pre-tokenizer ${JSON.stringify(pre)} is not ` +
      `supported; supported is gpt2 with ${Object.keys(preTokenizers).join(', ')}`)
  }
  const texts = strings(file, 'tokenizer.ggml.tokens')
  const added = addedTokensOfGguf(file, texts)
  const merges = strings(file, 'tokenizer.ggml.merges').map(merge => {
    const space = merge.indexOf(' ', 1)
    return [merge.slice(0, space), merge.slice(space + 1)] as const
  })
  const kinds = file.metadata['tokenizer.ggml.token_type'] as number[] | undefined
  // As in llama.cpp, Llama 3's texts have a beginning token unless the file says otherwise; its converter did not
  // always write the key.
  const begins = file.metadata['tokenizer.ggml.add_bos_token'] ?? likeLlama3.has(pre)
  return tokenizerOf({
    texts,
    added,
    marked: new Set(texts.flatMap((_, id) => kinds?.[id] === controlToken ? [id] : [])),
    bytePairs: reading(file, 'its merges', () => new BytePairs({
      vocabulary: new Map(texts.map((text, id) => [text, id])),
      merges,
      ignoresMerges: likeLlama3.has(pre),
      unknown: null,
      control: new Set(added.flatMap(({ id, control }) => control ? [id] : []))
    })),
    words: preTokenizer(file.path, cut),
    ends: idsOf(file, 'eos_token_id', 'eot_token_id', 'eom_token_id'),
    startTokens: begins === true ? idsOf(file, 'bos_token_id') : []
  })
}

/** The files that a tokenizer is made of, read. */
export interface TokenizerFiles {
  /** Where they are, for messages. */
  readonly path: string
  /** tokenizer.json, parsed. */
  readonly tokenizer: TokenizerJson
  /** tokenizer_config.json, parsed; {} where there is none. */
  readonly config: TokenizerConfig
  /** Tokens that the model has rows for, at least as many as the tokenizer's. */
  readonly vocabularySize: number
  readonly ends: readonly number[]
}

/** Text of each token. @throws RequestError for one that the model has no row for */
function textsOf ({ path, vocabularySize }: TokenizerFiles, ids: ReadonlyArray<readonly [string, number]>): string[] {
  const texts = new Array<string>(vocabularySize).fill('')
  for (const [text, id] of ids) {
    if (!Number.isInteger(id) || id < 0 || id >= vocabularySize) {
      throw refuseModel({ path }, `tokenizer.json has token ${JSON.stringify(text)} with number ${JSON.stringify(id)}; ` +
        `the model has tokens 0 to ${vocabularySize - 1}`)
    }
    texts[id] = text
  }
  return texts
}

/**
 * The tokenizer of a tokenizer.json with byte-level byte pairs.
 * @throws RequestError for other kinds, and for one that is damaged or larger than its model
 */
export function tokenizerFromJson (files: TokenizerFiles): Tokenizer {
  const { path, tokenizer, config, ends } = files
  const { model, vocabulary } = byteLevelModel(files, tokenizer)
  const { tokens: added, special } = addedTokensOf(tokenizer, config, vocabulary)
  const eos = config.eos_token
  const endText = typeof eos === 'string' ? eos : eos?.content
  return tokenizerOf({
    texts: textsOf(files, [...vocabulary, ...added.map(({ content, id }) => [content, id] as const)]),
    added,
    marked: special,
    bytePairs: reading(files, 'tokenizer.json', () => new BytePairs({
      vocabulary,
      merges: (model.merges ?? []).map(merge =>
        typeof merge === 'string' ? merge.split(' ') as [string, string] : merge),
      ignoresMerges: model.ignore_merges === true,
      unknown: vocabulary.get(model.unk_token ?? '') ?? null,
      control: new Set(added.flatMap(({ id, control }) => control ? [id] : []))
    })),
    words: reading(files, 'tokenizer.json', () => preTokenizer(path, tokenizer.pre_tokenizer)),
    normalize: reading(files, 'tokenizer.json', () => normalizer(path, tokenizer.normalizer)),
    ends: [...ends, ...added.flatMap(({ id, content }) => content === endText ? [id] : [])],
    startTokens: reading(files, 'tokenizer.json', () => startTokensOf(tokenizer.post_processor))
  })
}
