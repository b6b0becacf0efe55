/**
 * Text ↔ token ids, built from a GGUF file's vocabulary or a tokenizer.json on @huggingface/tokenizers. Text that
 * merely looks like a control token is text: only `encodeTemplate` makes control tokens, and only where the template
 * wrote them.
 */
import { Tokenizer as BytePairEncoder } from '@huggingface/tokenizers'
import { refuseModel } from '../formats/decoder-tensors.js'
import type { GgufFile } from '../formats/gguf.js'

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
  /** A control token's text, the longest that begins at a place; global. */
  readonly controlText: RegExp
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
const normalToken = 1
const controlToken = 3
const addedToken = 4

const gpt2Pattern = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true }
const split = (pattern: string): object => ({
  type: 'Sequence',
  pretokenizers: [{ type: 'Split', pattern: { Regex: pattern }, behavior: 'Isolated', invert: false },
    { ...gpt2Pattern, use_regex: false }]
})

/** How text is cut before merging, by GGUF's `tokenizer.ggml.pre`. Sources: the models' own tokenizer.json files. */
const preTokenizers: Readonly<Record<string, object>> = {
  default: gpt2Pattern,
  'gpt-2': gpt2Pattern,
  // Every numeric character alone, ½ and ² too, as the Rust tokenizer's Digits does.
  smollm: {
    type: 'Sequence',
    pretokenizers: [{ type: 'Split', pattern: { Regex: '\\p{N}' }, behavior: 'Isolated', invert: false }, gpt2Pattern]
  },
  'llama-bpe': split("(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| " +
    '?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+'),
  qwen2: split("(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| " +
    '?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+')
}

/** GPT-2's printable stand-ins for bytes: character code → byte. */
function byteAlphabet (): ReadonlyMap<number, number> {
  const printable = (byte: number): boolean => (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) ||
    byte >= 174
  const alphabet = new Map<number, number>()
  let next = 256
  for (let byte = 0; byte < 256; byte++) alphabet.set(printable(byte) ? byte : next++, byte)
  return alphabet
}

const alphabet = byteAlphabet()

const escape = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')

function strings (file: GgufFile, key: string): string[] {
  const value = file.metadata[key]
  if (!Array.isArray(value)) throw refuseModel(file, `metadata ${key} is missing`)
  return value as string[]
}

function encoder (file: GgufFile, texts: readonly string[]): BytePairEncoder {
  const kind = file.metadata['tokenizer.ggml.model']
  const pre = file.metadata['tokenizer.ggml.pre'] ?? 'default'
  const preTokenizer = typeof pre === 'string' ? preTokenizers[pre] : undefined
  if (kind !== 'gpt2' || !preTokenizer) {
    throw refuseModel(file, `tokenizer ${JSON.stringify(kind)} with pre-tokenizer ${JSON.stringify(pre)} is not ` +
      `supported; supported is gpt2 with ${Object.keys(preTokenizers).join(', ')}`)
  }
  const vocabulary = Object.fromEntries(texts.map((text, id) => [text, id]))
  const kinds = file.metadata['tokenizer.ggml.token_type'] as number[] | undefined
  const merges = strings(file, 'tokenizer.ggml.merges').map(merge => {
    const space = merge.indexOf(' ', 1)
    return [merge.slice(0, space), merge.slice(space + 1)]
  })
  return new BytePairEncoder({
    // Words such as <tool_call>, which texts are cut at: no merge makes them.
    added_tokens: texts.flatMap((content, id) => kinds?.[id] === addedToken
      ? [{ id, content, special: false, single_word: false, lstrip: false, rstrip: false, normalized: false }]
      : []),
    normalizer: null,
    pre_tokenizer: preTokenizer,
    post_processor: null,
    decoder: { type: 'ByteLevel' },
    model: {
      type: 'BPE',
      vocab: vocabulary,
      merges,
      dropout: null,
      unk_token: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: pre === 'llama-bpe'
    }
  }, {})
}

function bytesByToken (texts: readonly string[], control: ReadonlySet<number>): Uint8Array[] {
  return texts.map((text, id) => {
    if (control.has(id)) return new Uint8Array()
    const codes = Array.from(text, character => alphabet.get(character.codePointAt(0)!))
    // A token outside the byte alphabet (an added word) stands for its own UTF-8.
    return codes.includes(undefined) ? Buffer.from(text) : Uint8Array.from(codes as number[])
  })
}

/** What tokenizers are built from, whatever file it is in. */
interface Vocabulary {
  /** Text of each token, in the byte alphabet; '' for numbers that no token has. */
  readonly texts: readonly string[]
  readonly control: ReadonlySet<number>
  readonly bytePairs: BytePairEncoder
  /** Tokens that the file says end an answer. */
  readonly ends: readonly number[]
  readonly startTokens: readonly number[]
}

/** Control tokens that end an answer in the families served, whatever their files say. */
const usualEnds = ['<|im_end|>', '<|endoftext|>', '<|eot_id|>', '<|eom_id|>', '<|end_of_text|>']

function tokenizerOf ({ texts, control, bytePairs, ends, startTokens }: Vocabulary): Tokenizer {
  const controlIds = new Map([...control].map(id => [texts[id]!, id]))
  const bytes = bytesByToken(texts, control)
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  const encode = (text: string): number[] =>
    text === '' ? [] : bytePairs.encode(text, { add_special_tokens: false }).ids
  const anyControl =
    controlIds.size === 0 ? '(?!)' : [...controlIds.keys()].sort((a, b) => b.length - a.length).map(escape).join('|')
  const splitter = new RegExp(`(${anyControl})`)
  return {
    vocabularySize: texts.length,
    endTokens: [...new Set([...ends, ...usualEnds.flatMap(text => controlIds.get(text) ?? [])])],
    startTokens,
    controlText: new RegExp(anyControl, 'g'),
    encode,
    encodeTemplate (pieces) {
      const tokens: number[] = []
      // Neighbouring text is encoded together, whatever its origin, as the model saw it in training.
      let run = ''
      for (const { text, trusted } of pieces) {
        for (const part of trusted ? text.split(splitter) : [text]) {
          const id = trusted ? controlIds.get(part) : undefined
          if (id === undefined) { run += part; continue }
          tokens.push(...encode(run), id)
          run = ''
        }
      }
      return tokens.concat(encode(run))
    },
    decode: tokens => decoder.decode(Buffer.concat(tokens.map(token => bytes[token] ?? new Uint8Array()))),
    tokenBytes: token => bytes[token] ?? new Uint8Array(),
    writtenBytes: token => control.has(token) ? Buffer.from(texts[token]!) : bytes[token] ?? new Uint8Array()
  }
}

/** The tokenizer of a GGUF file. @throws RequestError for kinds that are not supported */
export function tokenizerFromGguf (file: GgufFile): Tokenizer {
  const texts = strings(file, 'tokenizer.ggml.tokens')
  const kinds = file.metadata['tokenizer.ggml.token_type'] as number[] | undefined
  // As in llama.cpp, Llama 3's texts have a beginning token unless the file says otherwise; its converter did not
  // always write the key.
  const begins = file.metadata['tokenizer.ggml.add_bos_token'] ?? file.metadata['tokenizer.ggml.pre'] === 'llama-bpe'
  const idOf = (key: string): number[] =>
    typeof file.metadata[`tokenizer.ggml.${key}`] === 'number' ? [file.metadata[`tokenizer.ggml.${key}`] as number] : []
  return tokenizerOf({
    texts,
    control: new Set(texts.flatMap((_, id) => (kinds?.[id] ?? normalToken) === controlToken ? [id] : [])),
    bytePairs: encoder(file, texts),
    ends: [...idOf('eos_token_id'), ...idOf('eot_token_id')],
    startTokens: begins === true ? idOf('bos_token_id') : []
  })
}

/** The parts of a tokenizer.json that are read here; the rest is the library's. */
interface TokenizerJson {
  readonly model?: { readonly type?: string, readonly vocab?: Readonly<Record<string, number>> }
  readonly decoder?: { readonly type?: string, readonly decoders?: ReadonlyArray<{ readonly type?: string }> } | null
  readonly added_tokens?: ReadonlyArray<{ readonly id: number, readonly content: string, readonly special?: boolean }>
}

/** The files that a tokenizer is made of, read. */
export interface TokenizerFiles {
  /** Where they are, for messages. */
  readonly path: string
  /** tokenizer.json, parsed. */
  readonly tokenizer: TokenizerJson
  /** tokenizer_config.json, parsed; {} where there is none. */
  readonly config: object
  /** Tokens that the model has rows for, at least as many as the tokenizer's. */
  readonly vocabularySize: number
  readonly ends: readonly number[]
}

/**
 * The tokenizer of a tokenizer.json with byte-level byte pairs.
 * @throws RequestError for other kinds, and for one that is damaged or larger than its model
 */
export function tokenizerFromJson (files: TokenizerFiles): Tokenizer {
  const { tokenizer, config, vocabularySize, ends } = files
  const { model, decoder, added_tokens: added = [] } = tokenizer
  const byteLevel = decoder?.type === 'ByteLevel' ||
    decoder?.decoders?.some(({ type }) => type === 'ByteLevel') === true
  if (model?.type !== 'BPE' || !byteLevel || !model.vocab) {
    throw refuseModel(files, `tokenizer.json of type ${JSON.stringify(model?.type)} with decoder ` +
      `${JSON.stringify(decoder?.type)} is not supported; supported is BPE with ByteLevel`)
  }
  const texts = new Array<string>(vocabularySize).fill('')
  for (const [text, id] of [...Object.entries(model.vocab),
    ...added.map(({ content, id }) => [content, id] as const)]) {
    if (!Number.isInteger(id) || id < 0 || id >= vocabularySize) {
      throw refuseModel(files, `tokenizer.json has token ${JSON.stringify(text)} with number ${JSON.stringify(id)}; ` +
        `the model has tokens 0 to ${vocabularySize - 1}`)
    }
    texts[id] = text
  }
  const withoutControl = { ...tokenizer, added_tokens: added.filter(({ special }) => !special), post_processor: null }
  let bytePairs, whole
  try {
    bytePairs = new BytePairEncoder(withoutControl, config)
    whole = new BytePairEncoder(tokenizer, config)
  } catch (error) {
    throw refuseModel(files, `cannot read tokenizer.json (${(error as Error).message})`)
  }
  const [plain, processed] = [bytePairs.encode('a', { add_special_tokens: false }).ids,
    whole.encode('a', { add_special_tokens: true }).ids]
  return tokenizerOf({
    texts,
    control: new Set(added.flatMap(({ id, special }) => special ? [id] : [])),
    bytePairs,
    ends,
    // What its post-processor puts before a text.
    startTokens: processed.slice(0, Math.max(0, processed.indexOf(plain[0]!)))
  })
}
