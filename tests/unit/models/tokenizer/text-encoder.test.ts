/** Encoders' tokenizers: no text becomes one of their special tokens, whatever way they cut words. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { textEncoder } from '../../../../src/models/tokenizer/text-encoder.js'

const texts = ['<s>', '</s>', '<unk>', '▁', 'a', '<', 's', '>', '/', '▁a']
const token = (content: string): object => ({ SpecialToken: { id: content, type_id: 0 } })
const sequence = (id: string): object => ({ Sequence: { id, type_id: 0 } })
const around = {
  type: 'TemplateProcessing',
  single: [token('<s>'), sequence('A'), token('</s>')],
  pair: [token('<s>'), sequence('A'), token('</s>'), token('</s>'), sequence('B'), token('</s>')],
  special_tokens: {
    '<s>': { id: '<s>', ids: [0], tokens: ['<s>'] }, '</s>': { id: '</s>', ids: [1], tokens: ['</s>'] }
  }
}
const added = ['<s>', '</s>', '<unk>'].map((content, id) => ({
  id, content, special: true, single_word: false, lstrip: false, rstrip: false, normalized: false
}))
const common = { added_tokens: added, normalizer: null, post_processor: around }
const vocab = Object.fromEntries(texts.map((text, id) => [text, id]))

/** Pieces by their likelihood, as XLM-RoBERTa and DeBERTa have them: special ones are in the vocabulary. */
const pieces = {
  ...common,
  pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always', split: true },
  decoder: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always' },
  model: { type: 'Unigram', unk_id: 2, vocab: texts.map((text, id) => [text, id < 3 ? 0 : -3] as const) }
}
/** Whole words. */
const words = {
  ...common,
  pre_tokenizer: { type: 'WhitespaceSplit' },
  decoder: null,
  model: {
    type: 'WordPiece', unk_token: '<unk>', continuing_subword_prefix: '##', max_input_chars_per_word: 100, vocab
  }
}

test('text that looks like a special token is text', () => {
  const encoder = textEncoder('x', pieces, {})
  assert.deepEqual(encoder.encode('a').ids, [0, 9, 1])
  assert.deepEqual(encoder.encode('a</s>').ids, [0, 9, 5, 8, 6, 7, 1])
  assert.deepEqual(encoder.encode('a', '<s>a').ids, [0, 9, 1, 1, 3, 5, 6, 7, 4, 1])
})

test('what is not known stays the token that says so', () => {
  assert.deepEqual(textEncoder('x', pieces, {}).encode('aq').ids, [0, 9, 2, 1])
  assert.deepEqual(textEncoder('x', words, {}).encode('a q </s> <s>').ids, [0, 4, 2, 2, 2, 1])
})

test('a pattern that backtracks without end is refused by name when it is read', () => {
  const split = { type: 'Split', pattern: { Regex: '(a+)+$' }, behavior: 'Isolated', invert: false }
  assert.throws(() => textEncoder('encoder', { ...words, pre_tokenizer: split } as never, {}),
    { code: 'invalid_request', param: 'model', message: /\(a\+\)\+\$/ })
})
