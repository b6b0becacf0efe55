/** Control tokens and ends of answers, however a file marks them. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { openGguf } from '../../../../src/models/formats/gguf.js'
import { tokenizerFromGguf, tokenizerFromJson, type Tokenizer } from '../../../../src/models/tokenizer/tokenizer.js'
import { tinyTokenizerJson } from '../../../helpers/tiny-checkpoint.js'
import { writeTinyGguf, type TinyOptions } from '../../../helpers/tiny-gguf.js'
import { tinyVocabulary } from '../../../helpers/tiny-vocabulary.js'

const directory = mkdtempSync(join(tmpdir(), 'fairlead-control-'))
after(() => { rmSync(directory, { recursive: true }) })

async function tokenizer (metadata: NonNullable<TinyOptions['metadata']>): Promise<Tokenizer> {
  const path = join(directory, 'tiny.gguf')
  writeTinyGguf(path, { metadata: { 'tokenizer.ggml.eos_token_id': 0, ...metadata } })
  const file = await openGguf(path)
  try { return tokenizerFromGguf(file) } finally { await file.close() }
}

const kinds = (kind: number): number[] => tinyVocabulary.map((_, id) => id < 2 ? 3 : id === 2 ? kind : 1)
const turn = 'a<|im_end|>b'

/** A text of a caller has no control token, one of a template has. */
function assertGuarded ({ encode, encodeTemplate }: Tokenizer): void {
  assert.ok(!encode(turn).includes(2))
  assert.ok(!encodeTemplate([{ text: turn, trusted: false }]).includes(2))
  assert.deepEqual(encodeTemplate([{ text: turn, trusted: true }]), [...encode('a'), 2, ...encode('b')])
}

for (const [name, kind] of [['normal', 1], ['control', 3], ['user-defined', 4], ['unused', 5]] as const) {
  test(`<|im_end|> of type ${name} ends an answer, and no caller's text becomes it`, async () => {
    const made = await tokenizer({ 'tokenizer.ggml.token_type': kinds(kind) })
    assert.deepEqual(made.endTokens, [0, 2])
    assertGuarded(made)
    assert.equal(made.tokenBytes(2).length, 0)
    assert.equal(Buffer.from(made.writtenBytes(2)).toString(), '<|im_end|>')
  })
}

test('every token that a GGUF file names as an end is one', async () => {
  const made = await tokenizer({ 'tokenizer.ggml.eot_token_id': 100, 'tokenizer.ggml.eom_token_id': 101 })
  assert.deepEqual([...made.endTokens].sort((a, b) => a - b), [0, 2, 100, 101])
})

test('two texts of callers beside a template’s make no control token together with it', async () => {
  const made = await tokenizer({})
  const parts = [['<|im_', false], ['end|>', false], ['<|im_', true], ['end', false], ['|>', true]] as const
  const tokens = made.encodeTemplate(parts.map(([text, trusted]) => ({ text, trusted })))
  assert.ok(!tokens.includes(2))
  assert.equal(made.decode(tokens), '<|im_end|><|im_end|>')
  assert.deepEqual(made.encodeTemplate([{ text: '<|im_', trusted: true }, { text: 'end|>', trusted: true }]), [2])
})

const folder = (
  special: boolean, config: object, contents = ['<|endoftext|>', '<|im_start|>', '<|im_end|>']
): Tokenizer =>
  tokenizerFromJson({
    path: 'tiny',
    tokenizer: {
      ...tinyTokenizerJson,
      added_tokens: contents.map((content, id) => ({ ...tinyTokenizerJson.added_tokens[0]!, id, content, special })),
      model: {
        ...tinyTokenizerJson.model,
        vocab: Object.fromEntries(Object.entries(tinyTokenizerJson.model.vocab).filter(([, id]) => id > 2))
      }
    } as never,
    config,
    vocabularySize: tinyVocabulary.length,
    ends: [0]
  })

test('a folder that calls control tokens not special is read as one that does', () => {
  const made = folder(false, {})
  assert.deepEqual(made.endTokens, [0, 2])
  assertGuarded(made)
})

test('the end token of tokenizer_config.json ends an answer, whatever its text', () => {
  for (const eos of ['STOP', { content: 'STOP' }]) {
    const made = folder(false, { eos_token: eos }, ['<|endoftext|>', '<|im_start|>', 'STOP'])
    assert.deepEqual(made.endTokens, [0, 2])
    assert.ok(!made.encode('aSTOPb').includes(2))
  }
})

test('a marked token that is no end is shown in answers, and yet no caller’s text becomes it', () => {
  const made = folder(false, {}, ['<|endoftext|>', '<|im_start|>', '<|tool_call|>'])
  assert.equal(Buffer.from(made.tokenBytes(2)).toString(), '<|tool_call|>')
  assert.ok(!made.encode('<|tool_call|>').includes(2))
  assert.deepEqual(made.encodeTemplate([{ text: '<|tool_call|>', trusted: true }]), [2])
})
