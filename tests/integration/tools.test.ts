/**
 * Tools on a tiny random model, through the openai client and its helpers: forced and free calls, streams, results,
 * what every strategy makes of them.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { AlignmentParams } from 'fairlead'
import type {} from 'fairlead/openai'
import OpenAI from 'openai'
import { zodResponseFormat } from 'openai/helpers/zod'
import { z } from 'zod'
import { checkArguments, parameters, tools, toolsServer, type ToolsServer } from '../helpers/tools-server.js'

let server: ToolsServer
let client: OpenAI
before(async () => {
  server = await toolsServer()
  client = server.client
})
after(() => server.close())

const base = {
  model: 'tiny',
  messages: [{ role: 'user', content: 'hi' }] as OpenAI.ChatCompletionMessageParam[],
  tools,
  max_tokens: 120
}

/** Checks calls of a message. */
function checkCalls (calls: readonly OpenAI.ChatCompletionMessageToolCall[]): void {
  for (const call of calls) {
    assert.ok(call.type === 'function' && call.id.startsWith('call_'))
    checkArguments(call.function.name, call.function.arguments)
  }
}

test('a forced call is one, with arguments that fit, plain and with best_of_n', async () => {
  for (let seed = 1; seed <= 6; seed++) {
    const alignment: { alignment?: AlignmentParams } =
      seed % 2 === 0 ? { alignment: { strategy: 'best_of_n', num_candidates: 3, reward: 'length' } } : {}
    const { choices: [choice] } = await client.chat.completions.create({
      ...base, ...alignment, seed, tool_choice: 'required', parallel_tool_calls: false
    })
    assert.equal(choice!.finish_reason, 'tool_calls')
    assert.equal(choice!.message.content, null)
    assert.equal(choice!.message.tool_calls!.length, 1)
    checkCalls(choice!.message.tool_calls!)
  }
})

test('a function that is named is the one that is called, once', async () => {
  const { choices } = await client.chat.completions.create({
    ...base, n: 3, seed: 1, tool_choice: { type: 'function', function: { name: 'get_weather' } }
  })
  for (const { message } of choices) {
    assert.deepEqual(message.tool_calls!.map(call => call.type === 'function' && call.function.name), ['get_weather'])
  }
})

test('a stream gives the same calls in pieces; the stream helper puts them together', async () => {
  const body = { ...base, seed: 4, tool_choice: 'required' as const, parallel_tool_calls: false }
  const whole = (await client.chat.completions.create(body)).choices[0]!.message.tool_calls![0]!
  const chunks = await server.stream('/v1/chat/completions', body)
  const deltas = chunks.flatMap(chunk => chunk['choices'][0]?.delta.tool_calls ?? [])
  assert.ok(deltas.length > 1 && deltas.every(delta => delta.index === 0))
  assert.deepEqual([deltas[0].type, deltas[0].function.name, deltas.map(delta => delta.function.arguments).join('')], [
    'function', whole.type === 'function' && whole.function.name, whole.type === 'function' && whole.function.arguments
  ])
  assert.deepEqual(chunks.map(chunk => chunk['choices'][0]?.finish_reason).filter(Boolean), ['tool_calls'])
  const final = await client.chat.completions.stream(body).finalChatCompletion()
  checkCalls(final.choices[0]!.message.tool_calls!)
  assert.equal(final.choices[0]!.finish_reason, 'tool_calls')
})

test('without being forced the answer may be text, and none forbids calls', async () => {
  for (const choice of ['auto', 'none'] as const) {
    const { choices } =
      await client.chat.completions.create({ ...base, n: 4, seed: 2, max_tokens: 24, tool_choice: choice })
    for (const { message, finish_reason: reason } of choices) {
      if (reason !== 'tool_calls') assert.equal(typeof message.content, 'string')
      if (choice === 'none') assert.equal(message.tool_calls, undefined)
    }
  }
})

test('an answer that is cut off within a call says length', async () => {
  const { choices: [choice] } = await client.chat.completions.create({
    ...base, seed: 1, max_tokens: 45, tool_choice: { type: 'function', function: { name: 'get_weather' } }
  })
  assert.equal(choice!.finish_reason, 'length')
})

test('the model is told of tools and reads calls and results', async () => {
  const messages = [
    { role: 'user', content: 'hi' },
    {
      role: 'assistant',
      content: null,
      tool_calls: [{ id: 'call_1', type: 'function', function: { name: 'get_time', arguments: '{}' } }]
    },
    { role: 'tool', tool_call_id: 'call_1', content: 'noon' }
  ]
  const { json } =
    await server.post('/v1/chat/completions', { ...base, messages, max_tokens: 4, seed: 1, return_token_ids: true })
  const { json: { prompt } } = await server.post('/detokenize', { tokens: json['prompt_token_ids'] })
  assert.match(prompt,
    /^<\|im_start\|>system\n# Tools\n[^]*<tools>\n\{"type":"function","function":\{"name":"get_weather"/)
  assert.ok(prompt.includes('<|im_start|>assistant\n<tool_call>\n{"name": "get_time", "arguments": ' +
    '{}}\n</tool_call><|im_end|>'))
  assert.ok(prompt.includes('<|im_start|>user\n<tool_response>\nnoon\n</tool_response><|im_end|>'))
})

test('runTools calls a function with what the model asked for', async () => {
  const asked: unknown[] = []
  const runner = client.chat.completions.runTools({
    ...base,
    seed: 3,
    tool_choice: { type: 'function', function: { name: 'get_weather' } },
    tools: [{
      type: 'function',
      function: {
        name: 'get_weather',
        description: 'the weather',
        parameters,
        strict: true,
        parse: JSON.parse,
        function: (given: { city: string }) => { asked.push(given.city); return `rain in ${given.city}` }
      }
    }]
  })
  await runner.done()
  assert.equal(asked.length, 1)
  assert.equal(await runner.finalFunctionToolCallResult(), `rain in ${asked[0] as string}`)
})

test('zodResponseFormat and parse give an object', async () => {
  const thing = z.object({
    color: z.enum(['red', 'green']),
    size: z.number().int(),
    sizes: z.array(z.number().int().min(1).max(9)).max(2),
    note: z.string().max(4).nullable()
  })
  const { choices: [choice] } = await client.chat.completions.parse({
    model: 'tiny', messages: base.messages, seed: 5, max_tokens: 200, response_format: zodResponseFormat(thing, 'thing')
  })
  assert.deepEqual(thing.parse(choice!.message.parsed), choice!.message.parsed)
})

test('tools that cannot be used are a 400 that names the field', async () => {
  for (const [fields, param] of [
    [{ tools: [{ type: 'retrieval' }] }, 'tools[0].type'],
    [{ tool_choice: { type: 'function', function: { name: 'none_such' } } }, 'tool_choice.function.name'],
    [{ response_format: { type: 'json_object' } }, 'tools'],
    [{ ignore_eos: true }, 'ignore_eos'],
    [{ store: true }, 'store'],
    [{ parallel_tool_calls: 'no' }, 'parallel_tool_calls'],
    [{ messages: [{ role: 'tool', content: 'x' }] }, 'messages[0].tool_call_id'],
    [{ messages: [...base.messages, { role: 'tool', content: 'x', tool_call_id: 'call_1' }] },
      'messages[1].tool_call_id']
  ] as const) {
    const { status, json } = await server.post('/v1/chat/completions', { ...base, ...fields })
    assert.equal(status, 400, JSON.stringify(fields))
    assert.equal(json['error'].param, param)
  }
})
