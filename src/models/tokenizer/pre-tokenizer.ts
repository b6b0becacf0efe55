/**
 * Normalises and cuts texts into words as a byte-level tokenizer.json says, like the Rust tokenizers library. Refuses
 * by name what it does not know.
 */
import { Tokenizer as Library } from '@huggingface/tokenizers'
import { boundedUse, patterns, tryPatterns, unknownPatterns } from './bounded-pattern.js'

/** A part of a tokenizer.json. */
interface Part { readonly type?: string, readonly [field: string]: unknown }

type Words = readonly string[]

/** Pieces of a text, each one that a pattern matched or one between such. */
type Pieces = Array<{ text: string, matched: boolean }>

function piecesOf (text: string, pattern: RegExp): Pieces {
  const pieces: Pieces = []
  let done = 0
  for (const { 0: found, index } of text.matchAll(pattern)) {
    if (done < index) pieces.push({ text: text.slice(done, index), matched: false })
    pieces.push({ text: found, matched: true })
    done = index + found.length
  }
  if (done < text.length) pieces.push({ text: text.slice(done), matched: false })
  return pieces
}

/** Joins pieces where a rule says that a piece belongs to the one before it. */
function joined (pieces: Pieces, belongs: (before: Pieces[number], piece: Pieces[number]) => boolean): string[] {
  const groups: string[][] = []
  for (const [index, piece] of pieces.entries()) {
    if (index > 0 && belongs(pieces[index - 1]!, piece)) groups.at(-1)!.push(piece.text)
    else groups.push([piece.text])
  }
  return groups.map(group => group.join(''))
}

/** What becomes of matches, by the names of tokenizer.json. */
const behaviors: Readonly<Record<string, (pieces: Pieces) => string[]>> = {
  Removed: pieces => pieces.flatMap(({ text, matched }) => matched ? [] : [text]),
  Isolated: pieces => pieces.map(({ text }) => text),
  Contiguous: pieces => joined(pieces, (before, piece) => before.matched === piece.matched),
  MergedWithPrevious: pieces => joined(pieces, (before, piece) => piece.matched && !before.matched),
  MergedWithNext: pieces => joined(pieces, (before, piece) => before.matched && !piece.matched)
}

/** Cuts every word by a pattern. */
function splitter (pattern: RegExp, behavior: unknown, inverted: unknown = false): (words: Words) => Words {
  const rule = typeof behavior === 'string' ? behaviors[behavior] : undefined
  if (!rule) throw new Error(`pre-tokenizer behavior ${JSON.stringify(behavior)} is not supported`)
  return words => words.flatMap(word => {
    const pieces = piecesOf(word, pattern)
    return rule(inverted === true ? pieces.map(({ text, matched }) => ({ text, matched: !matched })) : pieces)
      .filter(text => text !== '')
  })
}

/** What a library's tokenizer of nothing has, beside a pre-tokenizer. */
const nothing = {
  added_tokens: [],
  normalizer: null,
  post_processor: null,
  decoder: null,
  model: { type: 'BPE', vocab: {}, merges: [] }
}

/** JavaScript's form of a pattern as tokenizer.json has them. */
function regexOf (pattern: unknown): RegExp {
  const { pre_tokenizer: split } =
    new Library({ ...nothing, pre_tokenizer: { type: 'Split', pattern, invert: true } }, {})
  const compiled: unknown = split && 'pattern' in split ? split.pattern : null
  if (!(compiled instanceof RegExp)) throw new Error(`pattern ${JSON.stringify(pattern)} is not supported`)
  return compiled
}

const gpt2 = regexOf({ Regex: patterns.gpt2 })

function byteLevel ({ add_prefix_space: prefix = true, use_regex: cuts = true }: Part): (words: Words) => Words {
  const cut = cuts === true ? splitter(gpt2, 'Isolated') : (words: Words) => words
  return words => cut(prefix === true ? words.map(word => word.startsWith(' ') ? word : ` ${word}`) : words)
}

function stepOf (part: Part): (words: Words) => Words {
  switch (part.type) {
    case 'Split': return splitter(regexOf(part['pattern']), part['behavior'], part['invert'])
    case 'Digits': return splitter(/\p{N}/gu, part['individual_digits'] === true ? 'Isolated' : 'Contiguous')
    case 'Punctuation': return splitter(/[\p{P}!-/:-@[-`{-~]/gu, part['behavior'] ?? 'Isolated')
    case 'ByteLevel': return byteLevel(part)
    default: throw new Error(`pre-tokenizer ${JSON.stringify(part.type)} is not supported for byte pairs`)
  }
}

/** The steps of a part, sequences flattened. */
const stepsOf = (part: Part, list: string): Part[] =>
  part.type === 'Sequence' ? (part[list] as Part[] | undefined ?? []).flatMap(one => stepsOf(one, list)) : [part]

/**
 * @param path of the tokenizer, for messages
 * @param part `pre_tokenizer` of a tokenizer.json
 * @returns the words of a text
 * @throws Error for parts that are not supported, RequestError for patterns that take too long
 */
export function preTokenizer (path: string, part: unknown): (text: string) => Words {
  const parts = stepsOf((part ?? {}) as Part, 'pretokenizers')
  if (parts.findIndex(({ type }) => type === 'ByteLevel') !== parts.length - 1) {
    throw new Error('a pre-tokenizer for byte pairs must end with ByteLevel, and have it only there')
  }
  const steps = parts.map(stepOf)
  const cut = (text: string): Words => steps.reduce<Words>((words, step) => step(words), [text])
  const unknown = unknownPatterns(part)
  tryPatterns(path, unknown, cut)
  return boundedUse(unknown, cut)
}

const forms = ['NFC', 'NFD', 'NFKC', 'NFKD'] as const

function normalizerStep (part: Part): (text: string) => string {
  const form = forms.find(name => name === part.type)
  if (form) return text => text.normalize(form)
  switch (part.type) {
    case 'Prepend': {
      const text = String(part['prepend'])
      return given => given === '' ? given : text + given
    }
    case 'Replace': {
      const [pattern, content] = [regexOf(part['pattern']), String(part['content'])]
      return text => text.replaceAll(pattern, () => content)
    }
    default: throw new Error(`normalizer ${JSON.stringify(part.type)} is not supported for byte pairs`)
  }
}

/**
 * @param path of the tokenizer, for messages
 * @param part `normalizer` of a tokenizer.json
 * @throws Error for parts that are not supported, RequestError for patterns that take too long
 */
export function normalizer (path: string, part: unknown): (text: string) => string {
  if (part === null || part === undefined) return text => text
  const steps = stepsOf(part as Part, 'normalizers').map(normalizerStep)
  const normalize = (text: string): string => steps.reduce((changed, step) => step(changed), text)
  const unknown = unknownPatterns(part)
  tryPatterns(path, unknown, normalize)
  return boundedUse(unknown, normalize)
}
