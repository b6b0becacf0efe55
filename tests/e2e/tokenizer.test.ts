import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { loadConfig } from '../../src/config.js'
import { openGguf } from '../../src/models/formats/gguf.js'
import { resolveModel } from '../../src/models/store/model-store.js'
import { tokenizerFromGguf, type Tokenizer } from '../../src/models/tokenizer/tokenizer.js'
import { packageRoot } from '../../src/package-root.js'

/** Written by scripts/expected-tokens.py: llama.cpp's tokens. */
const fixture = JSON.parse(readFileSync(join(packageRoot, 'tests/fixtures/expected-tokens.json'),
  'utf8')) as Array<{ text: string, tokens: number[] }>

let tokenizer: Tokenizer
before(async () => {
  const { path } = await resolveModel('smollm2-135m', { cacheDir: loadConfig().cacheDir })
  const file = await openGguf(path)
  tokenizer = tokenizerFromGguf(file)
  await file.close()
})

test('the default model’s tokens are those of llama.cpp', () => {
  assert.ok(fixture.length > 300)
  const different = fixture.filter(({ text, tokens }) => tokenizer.encode(text).join() !== tokens.join())
    .map(({ text, tokens }) => ({ text, tokens, ours: tokenizer.encode(text) }))
  assert.deepEqual(different, [])
})

test('every text survives', () => {
  for (const { text } of fixture) assert.equal(tokenizer.decode(tokenizer.encode(text)), text)
})
