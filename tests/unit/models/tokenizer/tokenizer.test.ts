/** Texts to tokens as the Rust tokenizers library makes them: its outputs are in tests/fixtures. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { tokenizerFromJson, type Tokenizer } from '../../../../src/models/tokenizer/tokenizer.js'
import { packageRoot } from '../../../../src/package-root.js'
import { tinyTokenizerJson } from '../../../helpers/tiny-checkpoint.js'
import { tinyVocabulary } from '../../../helpers/tiny-vocabulary.js'

interface Fixture {
  readonly merges: readonly string[]
  readonly cases: ReadonlyArray<{ readonly change: object, readonly rows: ReadonlyArray<[string, number[]]> }>
}

/** Written by scripts/expected-tokenizers.py. */
const fixture = JSON.parse(
  readFileSync(join(packageRoot, 'tests/fixtures/expected-tokenizers.json'), 'utf8')) as Fixture

const texts = [...tinyVocabulary, ...fixture.merges.slice(5).map(merge => merge.replace(' ', ''))]
const vocab = Object.fromEntries(texts.map((text, id) => [text, id]))

const read = (change: object, config: object = {}, rows = texts.length + 8): Tokenizer => tokenizerFromJson({
  path: 'tiny',
  tokenizer: {
    ...tinyTokenizerJson, model: { ...tinyTokenizerJson.model, vocab, merges: fixture.merges }, ...change
  } as never,
  config,
  vocabularySize: rows,
  ends: []
})

for (const { change, rows } of fixture.cases) {
  test(`tokens are the Rust library's with ${JSON.stringify(change).slice(0, 300)}`, () => {
    const { encodeTemplate } = read(change)
    for (const [text, ids] of rows) {
      assert.deepEqual(encodeTemplate([{ text, trusted: true }]), ids, JSON.stringify(text))
    }
  })
}

test('a word of a million letters is merged in one go', () => {
  const { encode } = read({})
  const [x, pair] = [vocab['x'], vocab['xx']]
  assert.deepEqual(encode('x'.repeat(1_000_001)).slice(-3), [pair, pair, x])
  assert.equal(encode('the'.repeat(400_000)).length, 400_000)
})

test('a pattern that backtracks without end is refused by name when it is read', () => {
  const cutBy = (pattern: string): object => ({
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [{ type: 'Split', pattern: { Regex: pattern }, behavior: 'Isolated', invert: false },
        { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false }]
    }
  })
  for (const pattern of ['(a+)+$', '(\\p{L}+)+$', '([q-s]|\\w)+$', '(?:\\s|\\S\\s*)*@', 'x*x*x*x*x*y']) {
    assert.throws(() => read(cutBy(pattern)), { code: 'invalid_request', param: 'model', message: /takes more than/ })
  }
  // One that is not among the trials' texts is stopped when a text comes.
  const slow = read(cutBy('(é🙂é🙂|é🙂)+$'))
  assert.throws(() => slow.encode(`${'é🙂'.repeat(80)}!`), { code: 'invalid_request', message: /takes more than/ })
})

test('flags of tokenizer_config.json take the place of tokenizer.json\'s', () => {
  const added = tinyTokenizerJson.added_tokens.map(token => ({ ...token, special: false }))
  const flags = { content: '<|im_end|>', lstrip: false, rstrip: true, single_word: false, normalized: false }
  const { encodeTemplate } = read({ added_tokens: added }, { added_tokens_decoder: { 2: flags } })
  const written = encodeTemplate([{ text: 'x<|im_end|>\n y', trusted: true }])
  assert.deepEqual(written, [vocab['x'], 2, vocab['y']])
})
