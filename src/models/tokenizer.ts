/**
 * Text ↔ token ids, built from a GGUF file's vocabulary on @huggingface/tokenizers. Text that merely looks like a control
 * token is text: only `encodeTemplate` makes control tokens, and only where the template wrote them.
 */
import { Tokenizer as BytePairEncoder } from '@huggingface/tokenizers'
import { RequestError } from '../errors.js'
import type { GgufFile } from './gguf.js'

export interface Tokenizer {
  readonly vocabularySize: number
  /** Tokens that end an answer. */
  readonly endTokens: readonly number[]
  /** Tokens that a text begins with where no template writes them: the model's own beginning token, if its file asks for one. */
  readonly startTokens: readonly number[]
  /** Texts of the control tokens. */
  readonly controlTexts: readonly string[]
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

/** A piece of a rendered template: the template's own text, in which control tokens count, or a caller's, in which they do not. */
export interface TemplatePiece { readonly text: string, readonly trusted: boolean }

/** GGUF's `tokenizer.ggml.token_type`. */
const normalToken = 1
const controlToken = 3

const gpt2Pattern = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true }
const split = (pattern: string): object => ({ type: 'Sequence', pretokenizers: [{ type: 'Split', pattern: { Regex: pattern }, behavior: 'Isolated', invert: false }, { ...gpt2Pattern, use_regex: false }] })

/** How text is cut before merging, by GGUF's `tokenizer.ggml.pre`. Sources: the models' own tokenizer.json files. */
const preTokenizers: Readonly<Record<string, object>> = {
  default: gpt2Pattern,
  'gpt-2': gpt2Pattern,
  // Every numeric character alone, ½ and ² too, as the Rust tokenizer's Digits does.
  smollm: { type: 'Sequence', pretokenizers: [{ type: 'Split', pattern: { Regex: '\\p{N}' }, behavior: 'Isolated', invert: false }, gpt2Pattern] },
  'llama-bpe': split("(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"),
  qwen2: split("(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+")
}

/** GPT-2's printable stand-ins for bytes: character code → byte. */
function byteAlphabet (): ReadonlyMap<number, number> {
  const printable = (byte: number): boolean => (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174
  const alphabet = new Map<number, number>()
  let next = 256
  for (let byte = 0; byte < 256; byte++) alphabet.set(printable(byte) ? byte : next++, byte)
  return alphabet
}

const alphabet = byteAlphabet()

const escape = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')

function strings (file: GgufFile, key: string): string[] {
  const value = file.metadata[key]
  if (!Array.isArray(value)) throw new RequestError('invalid_request', `${file.path}: metadata ${key} is missing`, { param: 'model' })
  return value as string[]
}

function encoder (file: GgufFile, texts: readonly string[]): BytePairEncoder {
  const kind = file.metadata['tokenizer.ggml.model']
  const pre = file.metadata['tokenizer.ggml.pre'] ?? 'default'
  const preTokenizer = typeof pre === 'string' ? preTokenizers[pre] : undefined
  if (kind !== 'gpt2' || !preTokenizer) {
    throw new RequestError('invalid_request', `${file.path}: tokenizer ${JSON.stringify(kind)} with pre-tokenizer ${JSON.stringify(pre)} is not supported; supported is gpt2 with ${Object.keys(preTokenizers).join(', ')}`, { param: 'model' })
  }
  const vocabulary = Object.fromEntries(texts.map((text, id) => [text, id]))
  const merges = strings(file, 'tokenizer.ggml.merges').map(merge => {
    const space = merge.indexOf(' ', 1)
    return [merge.slice(0, space), merge.slice(space + 1)]
  })
  return new BytePairEncoder({
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: preTokenizer,
    post_processor: null,
    decoder: { type: 'ByteLevel' },
    model: { type: 'BPE', vocab: vocabulary, merges, dropout: null, unk_token: null, fuse_unk: false, byte_fallback: false, ignore_merges: pre === 'llama-bpe' }
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

/** The tokenizer of a GGUF file. @throws RequestError for kinds that are not supported */
export function tokenizerFromGguf (file: GgufFile): Tokenizer {
  const texts = strings(file, 'tokenizer.ggml.tokens')
  const kinds = file.metadata['tokenizer.ggml.token_type'] as number[] | undefined
  const control = new Set(texts.flatMap((_, id) => (kinds?.[id] ?? normalToken) === controlToken ? [id] : []))
  const controlIds = new Map([...control].map(id => [texts[id]!, id]))
  const bytePairs = encoder(file, texts)
  const bytes = bytesByToken(texts, control)
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  const encode = (text: string): number[] => text === '' ? [] : bytePairs.encode(text, { add_special_tokens: false }).ids
  const splitter = new RegExp(`(${[...controlIds.keys()].sort((a, b) => b.length - a.length).map(escape).join('|')})`)
  const ends = ['tokenizer.ggml.eos_token_id', 'tokenizer.ggml.eot_token_id'].flatMap(key => typeof file.metadata[key] === 'number' ? [file.metadata[key]] : [])
  return {
    vocabularySize: texts.length,
    endTokens: [...new Set([...ends, ...['<|im_end|>', '<|endoftext|>', '<|eot_id|>', '<|end_of_text|>'].flatMap(text => controlIds.get(text) ?? [])])],
    startTokens: file.metadata['tokenizer.ggml.add_bos_token'] === true && typeof file.metadata['tokenizer.ggml.bos_token_id'] === 'number' ? [file.metadata['tokenizer.ggml.bos_token_id']] : [],
    controlTexts: [...controlIds.keys()],
    encode,
    encodeTemplate (pieces) {
      const tokens: number[] = []
      // Neighbouring text is encoded together, whoever wrote it, as the model saw it in training.
      let run = ''
      for (const { text, trusted } of pieces) {
        for (const part of trusted && controlIds.size > 0 ? text.split(splitter) : [text]) {
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
