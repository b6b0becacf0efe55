/**
 * Tools of responses on a tiny random model, through the openai client and its helpers: whole, streamed, over a
 * WebSocket, continued with results.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type {} from 'fairlead/openai'
import OpenAI from 'openai'
import { ResponsesWS } from 'openai/resources/responses/ws'
import { checkArguments, functions, tools as nested, toolsServer, type ToolsServer } from '../helpers/tools-server.js'

let server: ToolsServer
let client: OpenAI
before(async () => {
  server = await toolsServer()
  client = server.client
})
after(() => server.close())

type Json = Record<string, any>
type Call = OpenAI.Responses.ResponseFunctionToolCall
type Params = OpenAI.Responses.ResponseCreateParamsNonStreaming

const tools: OpenAI.Responses.FunctionTool[] = functions.map(one => ({ type: 'function', ...one }))
const base = { model: 'tiny', input: 'hi', tools, max_output_tokens: 120 }
const forced = { ...base, tool_choice: 'required' as const, parallel_tool_calls: false }
const ask = async (body: object): Promise<OpenAI.Responses.Response> =>
  await client.responses.create({ seed: 1, ...body } as Params)
const callsOf = (output: readonly object[]): Call[] =>
  (output as OpenAI.Responses.ResponseOutputItem[]).filter(item => item.type === 'function_call')

function checkCall (call: Call): void {
  assert.match(call.call_id, /^call_[\da-f]{32}$/)
  assert.match(call.id!, /^fc_[\da-f]{32}$/)
  checkArguments(call.name, call.arguments)
}

/** What the model read, as text. */
async function promptOf (body: object): Promise<string> {
  const { json: { choices } } = await server.post('/v1/completions', body)
  return choices[0].text
}

test('a forced call is one item, with arguments that fit, the same as in a chat', async () => {
  for (let seed = 1; seed <= 4; seed++) {
    const guided = seed % 2 === 0 ? { alignment: { strategy: 'best_of_n', num_candidates: 3, reward: 'length' } } : {}
    const response = await ask({ ...forced, seed, ...guided })
    assert.equal(response.status, 'completed')
    assert.equal(response.output.length, 1)
    const [call] = callsOf(response.output)
    checkCall(call!)
    assert.equal(call!.status, 'completed')
    if (seed % 2 === 0) assert.equal(typeof (call as Json)['alignment'].reward, 'number')
    const { json } = await server.post('/v1/chat/completions', {
      model: 'tiny',
      messages: [{ role: 'user', content: 'hi' }],
      tools: nested,
      tool_choice: 'required',
      parallel_tool_calls: false,
      max_tokens: 120,
      seed,
      ...guided
    })
    assert.deepEqual(json['choices'][0].message.tool_calls.map((one: Json) => one['function']),
      [{ name: call!.name, arguments: call!.arguments }])
    assert.equal(json['usage'].prompt_tokens, response.usage!.input_tokens)
  }
})

test('what was asked for is told again, and none and a name are kept to', async () => {
  const response = await ask({ ...base, tool_choice: { type: 'function', name: 'get_weather' } })
  assert.deepEqual(callsOf(response.output).map(({ name }) => name), ['get_weather'])
  assert.deepEqual([response.tools, response.tool_choice, response.parallel_tool_calls],
    [tools, { type: 'function', name: 'get_weather' }, true])
  const none = await ask({ ...base, tool_choice: 'none', max_output_tokens: 16 })
  assert.deepEqual(none.output.map(({ type }) => type), ['message'])
  const auto = await ask({ ...base, max_output_tokens: 16 })
  assert.equal(auto.output[0]!.type, 'message')
})

/** The items that the events of a stream add up to, checked for OpenAI's order. */
function itemsOf (events: readonly Json[]): Json[] {
  const items: Json[] = []
  for (const event of events) {
    const at = event['output_index'] as number
    switch (event['type']) {
      case 'response.output_item.added':
        assert.equal(at, items.length)
        items.push({ ...event['item'], text: '' })
        break
      case 'response.output_text.delta':
      case 'response.function_call_arguments.delta':
        assert.equal(event['item_id'], items[at]!['id'])
        items[at]!['text'] += event['delta']
        break
      case 'response.output_text.done':
        assert.equal(event['text'], items[at]!['text'])
        break
      case 'response.function_call_arguments.done':
        assert.deepEqual([event['arguments'], event['name']], [items[at]!['text'], items[at]!['name']])
        break
      case 'response.output_item.done':
        assert.equal(at, items.length - 1)
        items[at] = event['item']
    }
  }
  return items
}

test('a stream gives the same items, with OpenAI’s events; the stream helper puts them together', async () => {
  for (const body of [{ ...forced, seed: 4 }, { ...base, tool_choice: 'required', seed: 2, max_output_tokens: 200 },
    { ...base, seed: 1, top_logprobs: 1, max_output_tokens: 40 },
    { ...forced, seed: 2, alignment: { reward: 'length', num_candidates: 2 } }]) {
    const events: Json[] = []
    for await (const event of await client.responses.create(
      { ...body, stream: true } as never
    ) as unknown as AsyncIterable<Json>) events.push(event)
    const last = events.at(-1)!['response']
    assert.deepEqual(itemsOf(events), last.output)
    const whole = await ask(body)
    const shape = (output: readonly Json[]): unknown[] =>
      output.map(item => [item['type'], item['status'], item['name'], item['arguments'], item['content']])
    assert.deepEqual(shape(last.output), shape(whole.output))
    for (const call of callsOf(last.output).slice(0, -1)) checkCall(call)
  }
  const final = await client.responses.stream(
    { ...forced, seed: 4, tool_choice: { type: 'function', name: 'get_weather' } } as never
  ).finalResponse()
  const [call] = callsOf(final.output)
  checkCall(call!)
  assert.deepEqual((call as Json)['parsed_arguments'], JSON.parse(call!.arguments))
})

test('a call that is cut off is incomplete', async () => {
  const response = await ask({ ...base, max_output_tokens: 62, tool_choice: { type: 'function', name: 'get_weather' } })
  assert.deepEqual([response.status, callsOf(response.output)[0]!.status], ['incomplete', 'incomplete'])
})

test('results go back by hand or by previous_response_id, and are listed', async () => {
  const first = await ask(forced)
  const [call] = callsOf(first.output)
  const result = { type: 'function_call_output', call_id: call!.call_id, output: 'rain' }
  const second = await ask({ ...base, previous_response_id: first.id, input: [result], max_output_tokens: 8 })
  const byHand = await ask({
    ...base,
    input: [{ role: 'user', content: 'hi' }, ...first.output,
      { ...result, output: [{ type: 'input_text', text: 'rain' }] }],
    max_output_tokens: 8
  })
  assert.equal(second.output_text, byHand.output_text)
  assert.equal(second.usage!.input_tokens, byHand.usage!.input_tokens)
  const listed = await client.responses.inputItems.list(second.id, { order: 'asc' })
  assert.deepEqual(listed.data.map(({ type }) => type), ['message', 'function_call', 'function_call_output'])
  const chat = [
    { role: 'user', content: 'hi' },
    {
      role: 'assistant',
      content: null,
      tool_calls: [{ id: 'a', type: 'function', function: { name: call!.name, arguments: call!.arguments } }]
    },
    { role: 'tool', tool_call_id: 'a', content: 'rain' }
  ]
  const { json } = await server.post('/v1/chat/completions', {
    model: 'tiny',
    messages: chat,
    tools: tools.map(({ type, ...one }) => ({ type, function: one })),
    max_tokens: 8,
    seed: 1,
    return_token_ids: true
  })
  assert.equal(json['usage'].prompt_tokens, second.usage!.input_tokens)
  assert.match(await promptOf({ model: 'tiny', prompt: json['prompt_token_ids'], echo: true, max_tokens: 0 }),
    /<tool_response>\nrain\n<\/tool_response>/)
})

test('over the WebSocket a call is answered in the next turn', async () => {
  const socket = new ResponsesWS(client)
  const events: Json[] = []
  const ended = async (body: object): Promise<Json> => {
    const last = new Promise<Json>(resolve => {
      socket.on('event', event => {
        if (['response.completed', 'response.incomplete', 'error'].includes(event.type)) {
          resolve(event as unknown as Json)
        }
      })
    })
    socket.send({ type: 'response.create', seed: 1, ...body } as never)
    return await last
  }
  socket.on('event', event => { events.push(event as unknown as Json) })
  const { response } = await ended({ ...forced, store: false })
  assert.deepEqual(itemsOf(events), response.output)
  checkCall(response.output[0])
  const over = await ask(forced)
  assert.equal(callsOf(over.output)[0]!.arguments, response.output[0].arguments)
  const next = await ended({
    ...base,
    store: false,
    previous_response_id: response.id,
    input: [{ type: 'function_call_output', call_id: response.output[0].call_id, output: 'rain' }],
    max_output_tokens: 8
  })
  assert.equal(next['response'].status, 'incomplete')
  assert.equal(next['response'].output[0].content[0].text, (await ask({
    ...base,
    previous_response_id: over.id,
    input: [{ type: 'function_call_output', call_id: callsOf(over.output)[0]!.call_id, output: 'rain' }],
    max_output_tokens: 8
  })).output_text)
  socket.close()
})

test('tools and items that cannot be used are a 400 that names the field', async () => {
  const result = { type: 'function_call_output', call_id: 'call_1', output: 'x' }
  for (const [fields, param] of [
    [{ tools: [{ type: 'web_search' }] }, 'tools[0].type'],
    [{ tools: [{ type: 'function', function: { name: 'a' } }] }, 'tools[0].function'],
    [{ tools: [{ type: 'function', name: 'a b' }] }, 'tools[0].name'],
    [{ tools: [tools[1], tools[1]] }, 'tools[1].name'],
    [{
      tools: [
        { type: 'function', name: 'a', strict: true, parameters: { type: 'object', properties: { a: { not: {} } } } }
      ]
    }, 'tools[0].parameters.properties.a.not'],
    [{ tool_choice: { type: 'function', name: 'none_such' } }, 'tool_choice.name'],
    [{ tool_choice: { type: 'function', function: { name: 'get_time' } } }, 'tool_choice.name'],
    [{ tool_choice: 'required', tools: [] }, 'tool_choice'],
    [{ text: { format: { type: 'json_object' } } }, 'tools'],
    [{ ignore_eos: true }, 'ignore_eos'],
    [{ parallel_tool_calls: 'no' }, 'parallel_tool_calls'],
    [{ input: [result] }, 'input'],
    [{ input: [{ ...result, type: 'web_search_call' }] }, 'input[0].type'],
    [{ input: [{ type: 'function_call', call_id: 'a', name: 'b' }] }, 'input[0].arguments'],
    [{ input: [{ ...result, output: [{ type: 'input_image' }] }] }, 'input[0].output[0].type']
  ] as const) {
    const { status, json } = await server.post('/v1/responses', { ...base, ...fields })
    assert.equal(status, 400, JSON.stringify(fields))
    assert.equal(json['error'].param, param, JSON.stringify(json))
  }
})
