/** What clients send of OpenAI's shapes: nulls as their models dump them, fields of others, parts of refusals. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chatCompletionBody } from '../../../../src/api/chat/chat-completion-schema.js'
import { chatMessagesOf } from '../../../../src/api/chat/message-schema.js'
import { headerList } from '../../../../src/api/plugins/validation.js'
import { responseCreateBody } from '../../../../src/api/responses/response-create-schema.js'
import { itemOf } from '../../../../src/api/responses/item-schema.js'
import { rerankBody, rewardScoreBody } from '../../../../src/api/rewards/reward-score-schema.js'
import { embeddingsBody, tokenizeBody } from '../../../../src/api/tokens/token-schema.js'

const chat = (fields: object): ReturnType<typeof chatCompletionBody.read> =>
  chatCompletionBody.read({ model: 'm', messages: [{ role: 'user', content: 'hi' }], ...fields })
const said = (message: object): ReturnType<typeof chatMessagesOf> =>
  chatMessagesOf(chat({ messages: [message] }).value.messages)

test('a message as openai-python dumps it is a message', () => {
  const nulls = {
    refusal: null, annotations: null, audio: null, function_call: null, tool_calls: null, name: null, tool_call_id: null
  }
  assert.deepEqual(said({ content: 'ok', role: 'assistant', ...nulls }), [{ role: 'assistant', content: 'ok' }])
  assert.deepEqual(said({ role: 'assistant', content: 'ok', refusal: 'no', annotations: [], parsed: {} }),
    [{ role: 'assistant', content: 'ok' }])
})

test('a refusal is what the assistant said', () => {
  assert.deepEqual(said({ role: 'assistant', content: null, refusal: 'no' }), [{ role: 'assistant', content: 'no' }])
  assert.deepEqual(said({ role: 'assistant', content: [{ type: 'refusal', refusal: 'no' }] }),
    [{ role: 'assistant', content: 'no' }])
})

test('what would change the meaning of a message is refused', () => {
  for (const [fields, param] of [[{ audio: { id: 'a' } }, 'messages[0].audio'],
    [{ function_call: { name: 'f', arguments: '' } }, 'messages[0].function_call']] as const) {
    assert.throws(() => said({ role: 'assistant', content: 'ok', ...fields }), { param })
  }
})

test('items of responses as openai-python dumps them are items', () => {
  const { value, ignored } = responseCreateBody.read({
    model: 'm',
    input: [
      {
        id: 'msg_1',
        type: 'message',
        role: 'assistant',
        status: 'completed',
        phase: null,
        content: [{ type: 'output_text', text: 'ok', annotations: [], logprobs: null }]
      },
      { type: 'function_call', id: null, call_id: 'a', name: 'f', arguments: '{}', caller: null, namespace: null },
      { role: 'assistant', content: [{ type: 'refusal', refusal: 'no' }] }
    ],
    include: null,
    truncation: null
  })
  assert.deepEqual([ignored, value.include, value.truncation], [[], [], 'disabled'])
  const [, , last] = (value.input as Array<Parameters<typeof itemOf>[0]>).map(itemOf)
  assert.deepEqual(last?.type === 'message' && last.content, [{ type: 'output_text', text: 'no', annotations: [] }])
})

test('schemas and arguments of the caller are as they were given, and tools in the order that they were given', () => {
  const parameters = { type: 'object', properties: { a: { enum: [null, 1], default: null }, b: null } }
  const tool = { function: { strict: null, parameters, name: 'f' }, type: 'function', defer_loading: false }
  const { value, ignored } = chat({ tools: [tool] })
  assert.equal(JSON.stringify(value.tools), JSON.stringify([tool]))
  const format = { type: 'json_schema', json_schema: { name: 'n', schema: { const: null } } }
  assert.deepEqual([chat({ response_format: format }).value.response_format, ignored], [format, []])
})

test('unknown fields of others’ shapes are named, at any depth; those of our own are refused', () => {
  const content = [{ type: 'text', text: 'hi', cache_control: {} }]
  const { ignored } = chat({ messages: [{ role: 'user', content }], stream: true, stream_options: { x: 1 }, new: 1 })
  assert.deepEqual(ignored, ['messages.content.cache_control', 'stream_options.x', 'new'])
  assert.deepEqual(embeddingsBody.read({ model: 'm', input: 'a', input_type: 'query' }).ignored, ['input_type'])
  assert.deepEqual(rerankBody.read({ model: 'm', query: 'a', documents: [{ text: 'b', id: 1 }] }).ignored,
    ['documents.id'])
  const { value } = tokenizeBody.read({ prompt: 'a', messages: null })
  assert.deepEqual([value.prompt, value.messages], ['a', undefined])
  assert.throws(() => rewardScoreBody.read({ reward: 'r', input: [{ prompt: 'a', answr: 'b' }] }),
    { param: 'input[0].answr', message: /did you mean answer\?/ })
})

test('the header that names them has at most a kilobyte, and how many more there are', () => {
  assert.equal(headerList(['a b', 'ü']), 'a%20b, %C3%BC')
  const long = headerList(Array.from({ length: 2000 }, (_, index) => `field_${index}`))
  assert.ok(long.length <= 1024 && long.length > 900, String(long.length))
  const shown = long.split(', ').length - 1
  assert.match(long, new RegExp(`, and ${2000 - shown} more$`))
})

test('a body of a megabyte is checked without a noticeable wait', { timeout: 5000 }, () => {
  const messages = Array.from({ length: 4000 }, () => ({ role: 'user', content: 'x'.repeat(250) }))
  assert.equal(chat({ messages }).value.messages.length, 4000)
})
