/** Models without a chat template: what works, what is refused, and which setting gives them one. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { givenTemplate } from '../../src/serving/model-names.js'
import { writeTinyCheckpoint } from '../helpers/tiny-checkpoint.js'
import { tinyServer } from '../helpers/tiny-server.js'
import { chatTemplate } from '../helpers/tiny-vocabulary.js'
import { taggedTemplate } from '../helpers/tool-templates.js'

const folder = mkdtempSync(join(tmpdir(), 'fairlead-base-'))
after(() => { rmSync(folder, { recursive: true }) })

/** Writes a checkpoint without a chat template. */
function base (name: string): string {
  writeTinyCheckpoint(join(folder, name), { family: 'llama', template: null })
  return join(folder, name)
}

const chat = { messages: [{ role: 'user', content: 'hi' }], max_tokens: 2 }

test('a base model completes, rates and embeds prompts; a chat is told which setting gives a template', async () => {
  const server = await tinyServer({ model: base('plain') })
  try {
    const { status, json } =
      await server.post('/v1/completions', { model: 'plain', prompt: 'the', max_tokens: 2, logprobs: 1, echo: true })
    assert.equal(status, 200, JSON.stringify(json))
    assert.equal(json['choices'][0].logprobs.tokens[0], 'the')
    const embedded = await server.post('/v1/embeddings', { model: 'plain', input: ['the', 'tin'] })
    assert.equal(embedded.json['data'].length, 2)
    for (const [path, body] of [['/v1/chat/completions', chat], ['/v1/responses', { input: 'hi' }],
      ['/tokenize', { messages: chat.messages }]] as const) {
      const refused = await server.post(path, { model: 'plain', ...body })
      assert.equal(refused.status, 400)
      assert.equal(refused.json['error'].code, 'invalid_request')
      assert.equal(refused.json['error'].param, 'messages')
      assert.match(refused.json['error'].message, /--chat-template/)
    }
    const info = await (await fetch(`${server.address}/tokenizer_info`)).json() as Record<string, unknown>
    assert.equal(info['chat_template'], null)
  } finally {
    await server.close()
  }
})

test('--chat-template gives models templates: the default one, and others by name', async () => {
  writeFileSync(join(folder, 'first.jinja'), `\uFEFF${chatTemplate}`)
  writeFileSync(join(folder, 'second.jinja'), "{{ '<|im_start|>' + messages[0].content }}")
  const server = await tinyServer({
    model: base('given'),
    moreModels: `second=${base('second')}`,
    chatTemplate: `${join(folder, 'first.jinja')},second=${join(folder, 'second.jinja')}`
  })
  try {
    assert.equal((await server.post('/v1/chat/completions', { model: 'given', ...chat })).status, 200)
    const tokens = async (model: string): Promise<number[]> =>
      (await server.post('/tokenize', { model, messages: chat.messages })).json['tokens']
    assert.deepEqual((await tokens('given')).slice(0, 1), [1])
    assert.equal((await tokens('second')).length, 3)
  } finally {
    await server.close()
  }
})

test('a file that is none, or not UTF-8, is refused by name', async () => {
  writeFileSync(join(folder, 'latin.jinja'), Buffer.from([0x63, 0xE9]))
  for (const file of ['none.jinja', 'latin.jinja']) {
    await assert.rejects(
      givenTemplate({ model: 'a.gguf', moreModels: [], policy: [], chatTemplate: [join(folder, file)] }, 'a'),
      { code: 'invalid_request', param: 'chat-template', message: new RegExp(file) })
  }
  await assert.rejects(
    givenTemplate({ model: 'a.gguf', moreModels: [], policy: [], chatTemplate: ['x', 'a=y'] }, 'a'),
    { param: 'chat-template' })
})

test('a model with a template for tools alone uses it for every chat', async () => {
  const model = base('tools')
  mkdirSync(join(model, 'additional_chat_templates'))
  writeFileSync(join(model, 'additional_chat_templates', 'tool_use.jinja'), taggedTemplate)
  const server = await tinyServer({ model })
  try {
    assert.equal((await server.post('/v1/chat/completions', { model: 'tools', ...chat })).status, 200)
  } finally {
    await server.close()
  }
})
