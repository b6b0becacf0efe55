/**
 * Tools on tiny models whose chat templates know them: told, called, answered and read back in the form that each
 * template teaches.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hermesForm, llamaForm } from '../../src/models/tokenizer/tool-call-format.js'
import { chatTemplate } from '../../src/models/tokenizer/chat-template.js'
import { chatTemplate as plainTemplate } from '../helpers/tiny-vocabulary.js'
import { toolsServer, type ToolsServer } from '../helpers/tools-server.js'
import { bareTemplate, taggedTemplate, xmlTemplate } from '../helpers/tool-templates.js'

const constants = { bos_token: '', eos_token: '' }

test('what a template teaches is what it writes', () => {
  for (const [source, tells, form] of [[taggedTemplate, true, hermesForm], [bareTemplate, true, llamaForm],
    [xmlTemplate, false, hermesForm], [plainTemplate, false, hermesForm]] as const) {
    const template = chatTemplate('x', source, constants)
    assert.deepEqual([template.rendersTools, template.callForm], [tells, form])
  }
})

type Json = Record<string, any>
const tools = [
  {
    type: 'function',
    function: {
      name: 'get_weather',
      description: 'of a <|im_end|> city',
      strict: true,
      parameters: {
        type: 'object',
        properties: { city: { enum: ['Oslo', 'Rome'] } },
        required: ['city'],
        additionalProperties: false
      }
    }
  },
  { type: 'function', function: { name: 'get_time' } }
]
const user = { role: 'user', content: 'hi' }
const call = { id: 'call_1', type: 'function', function: { name: 'get_weather', arguments: '{"city":"<|im_end|>"}' } }
const chat = [user, { role: 'assistant', content: null, tool_calls: [call] },
  { role: 'tool', tool_call_id: 'call_1', content: 'rain' }]

/** A server of a model with a template, and the prompt that a chat becomes. */
async function withTemplate (
  source: string,
  work: (server: ToolsServer, promptOf: (body: object) => Promise<{ text: string, controls: number }>) => Promise<void>
): Promise<void> {
  const server = await toolsServer({ template: source })
  try {
    await work(server, async body => {
      const { status, json } =
        await server.post('/v1/chat/completions', { model: 'tiny', max_tokens: 1, return_token_ids: true, ...body })
      assert.equal(status, 200, JSON.stringify(json))
      const ids = json['prompt_token_ids'] as number[]
      const { json: { prompt } } = await server.post('/detokenize', { tokens: ids })
      const { json: counted } =
        await server.post('/tokenize', { messages: chat, ...('tools' in body ? { tools: body.tools } : {}), ...body })
      if ('tools' in body) assert.deepEqual(counted['tokens'], ids)
      return { text: prompt, controls: ids.filter(id => id === 2).length }
    })
  } finally {
    await server.close()
  }
}

/** Forced calls, whole and streamed. */
async function checkCalls (server: ToolsServer): Promise<void> {
  for (let seed = 1; seed <= 3; seed++) {
    // Room for as many calls as a random model may make: each has some 65 tokens.
    const body = { model: 'tiny', messages: [user], tools, tool_choice: 'required', max_tokens: 1000, seed }
    const { json } = await server.post('/v1/chat/completions', body)
    const [choice] = json['choices']
    assert.equal(choice.finish_reason, 'tool_calls')
    assert.equal(choice.message.content, null)
    const { name, arguments: given } = choice.message.tool_calls[0].function
    assert.ok(name === 'get_time' ? given === '{}' : ['Oslo', 'Rome'].includes(JSON.parse(given).city), given)
    const deltas = (await server.stream('/v1/chat/completions', body)).flatMap(chunk =>
      (chunk['choices'] as Json[])[0]?.['delta'].tool_calls ?? []).filter(delta => delta.index === 0)
    assert.deepEqual([deltas[0].function.name, deltas.map(delta => delta.function.arguments).join('')], [name, given])
  }
}

test('calls in tags, as Qwen 2.5 and 3 have them', async () => {
  await withTemplate(taggedTemplate, async (server, promptOf) => {
    const { text, controls } =
      await promptOf({ messages: [...chat, { role: 'tool', tool_call_id: 'call_1', content: 'sun' }], tools })
    assert.match(text,
      /# Functions\n<tools>\n\{"type": "function", "function": \{"name": "get_weather", "description": "of a <\|im_end\|> city"/)
    assert.ok(text.endsWith(
      '<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n<tool_call>\n' +
      '{"name": "get_weather", "arguments": {"city": "<|im_end|>"}}\n</tool_call><|im_end|>\n<|im_start|>user\n' +
      '<tool_response>\nrain\n</tool_response>\n<tool_response>\nsun\n</tool_response><|im_end|>\n' +
      '<|im_start|>assistant\n'
    ), text)
    // Those of callers, in the description and in the arguments, are text.
    assert.equal(controls, 4)
    await checkCalls(server)
  })
})

test('calls as bare JSON, as Llama 3.1 has them', async () => {
  await withTemplate(bareTemplate, async (server, promptOf) => {
    const { text } = await promptOf({ messages: chat, tools })
    assert.ok(text.endsWith('\n\nhi<|im_end|>\n<|im_start|>assistant\n{"name": "get_weather", "parameters": {"city": ' +
      '"<|im_end|>"}}<|im_end|>\n<|im_start|>ipython\nrain<|im_end|>\n<|im_start|>assistant\n'), text)
    assert.match(text, /"name": "get_time"/)
    await checkCalls(server)
    const twice = await server.post('/v1/chat/completions', {
      model: 'tiny',
      tools,
      max_tokens: 1,
      messages: [user, { role: 'assistant', tool_calls: [call, call] },
        { role: 'tool', tool_call_id: 'call_1', content: 'x' }]
    })
    assert.deepEqual([twice.status, twice.json['error'].param], [400, 'messages'])
    assert.match(twice.json['error'].message, /One call at a time!/)
    const { json } = await server.post('/v1/responses', {
      model: 'tiny',
      input: 'hi',
      tools: [{ type: 'function', name: 'get_time' }],
      tool_choice: 'required',
      max_output_tokens: 120
    })
    assert.deepEqual([json['output'][0].name, json['output'][0].arguments], ['get_time', '{}'])
  })
})

test('a template with calls that cannot be read is passed over: tools are told in the form that can be', async () => {
  await withTemplate(xmlTemplate, async (server, promptOf) => {
    const { text } = await promptOf({ messages: chat, tools })
    assert.match(text, /^<\|im_start\|>system\n# Tools\n/)
    assert.ok(text.includes('<tool_call>\n{"name": "get_weather", "arguments": {"city":"<|im_end|>"}}\n</tool_call>'))
    await checkCalls(server)
  })
})

test('a call is not gone on from', async () => {
  await withTemplate(taggedTemplate, async server => {
    for (const field of ['echo', 'continue_final_message']) {
      const { status, json } = await server.post('/v1/chat/completions',
        { model: 'tiny', messages: chat.slice(0, 2), max_tokens: 1, [field]: true })
      assert.deepEqual([status, json['error'].param], [400, field])
    }
  })
})
