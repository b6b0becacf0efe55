/** Calls of functions in text: the grammar that answers are held to, and reading them back piece by piece. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { ToolCallReader, readToolCalls as read, type Piece } from '../../../src/api/chat/tool-call-parser.js'
import { chatCompletionBody } from '../../../src/api/chat/chat-completion-schema.js'
import { chatMessagesOf, checkResults } from '../../../src/api/chat/message-schema.js'
import { toolsOf as use } from '../../../src/api/chat/tool-schema.js'
import { randomStream } from '../../../src/policies/random-stream.js'
import { Grammars } from '../../../src/grammar/grammars.js'
import { grammarText } from '../../../src/grammar/grammar-source.js'
import { callGrammar as grammarOf, type CallRules } from '../../../src/grammar/tool-call-grammar.js'
import { hermesForm, llamaForm } from '../../../src/models/tokenizer/tool-call-format.js'
import { writtenMessages } from '../../../src/models/tokenizer/tool-messages.js'
import { accepts, randomText, walkVocabulary } from '../../helpers/grammar-walk.js'

const callGrammar = (rules: CallRules, form = hermesForm): string => grammarOf(rules, form)
const readToolCalls = (text: string, form = hermesForm): ReturnType<typeof read> => read(text, form)
const toolsOf = (fields: object): ReturnType<typeof use> =>
  use(chatCompletionBody.read({ model: 'm', messages: [{ role: 'user', content: 'hi' }], ...fields }).value, hermesForm)

const grammars = new Grammars(walkVocabulary)
after(() => grammars.close())

const weather = {
  name: 'get_weather',
  parameters: JSON.stringify(
    { type: 'object', properties: { city: { type: 'string', maxLength: 8 } }, required: ['city'] }),
  strict: true,
  path: 'tools[0].function.parameters'
}
const clock = { name: 'get', parameters: null, strict: false, path: '' }
const loose = {
  name: 'loose',
  parameters: JSON.stringify({ type: 'object', properties: { at: { type: 'string', pattern: 'x' } } }),
  strict: false,
  path: ''
}
const call = (name: string, given: string): string =>
  `<tool_call>\n{"name": "${name}", "arguments": ${given}}\n</tool_call>`
const llama = (name: string, given: string): string => `{"name": "${name}", "parameters": ${given}}`
const oslo = call('get_weather', '{"city": "Oslo"}')

test('calls have the form and the arguments that they must have', async () => {
  const forced = callGrammar({ functions: [weather, clock, loose], mayBeText: false, mayRepeat: true })
  for (const text of [oslo, call('get', '{}'), call('loose', '{"any": [1]}'), `${oslo}\n${call('get', '{}')}`]) {
    assert.ok(await accepts(grammars, forced, text), text)
  }
  for (const text of ['', 'text', call('other', '{}'), call('get_weather', '{}'), call('get_weather', '{"city": 1}'),
    call('get', '{"a": 1}'), `a${oslo}`, `${oslo}b`]) assert.ok(!await accepts(grammars, forced, text), text)
  const single = callGrammar({ functions: [clock], mayBeText: false, mayRepeat: false })
  assert.ok(!await accepts(grammars, single, `${call('get', '{}')}\n${call('get', '{}')}`))
})

test('text may come first where no call is forced, but what begins a call is one', async () => {
  const free = callGrammar({ functions: [weather, clock], mayBeText: true, mayRepeat: true })
  for (const text of ['', 'Hello, 1 < 2 <tool <<tool_call x é\n', oslo, `So: <${oslo}`, `<tool_${oslo}`]) {
    assert.ok(await accepts(grammars, free, text), text)
  }
  for (const text of ['<tool_call>', 'a <tool_call> b', `${oslo} and more`]) {
    assert.ok(!await accepts(grammars, free, text), text)
  }
})

test('a strict function is held to what can be enforced', () => {
  assert.throws(
    () => callGrammar({ functions: [{ ...loose, strict: true, path: 'tools[2]' }], mayBeText: true, mayRepeat: true }),
    { param: 'tools[2].properties.at.pattern' }
  )
})

/** What pieces amount to. */
function sum (pieces: readonly Piece[]): { content: string, calls: Array<{ name: string, arguments: string }> } {
  const result = { content: '', calls: [] as Array<{ name: string, arguments: string }> }
  for (const piece of pieces) {
    if (piece.type === 'content') result.content += piece.text
    else if (piece.type === 'call') result.calls.push({ name: piece.name, arguments: '' })
    else result.calls.at(-1)!.arguments += piece.text
  }
  return result
}

test('answers are read alike however they are cut', async () => {
  const tricky = call('get_weather', '{"city": "}\\"{</tool_call>", "more": {"a": [{}]}}')
  assert.deepEqual(readToolCalls(`Well. ${tricky}\n${call('get', '{}')}`), {
    content: 'Well. ',
    calls: [{ name: 'get_weather', arguments: '{"city": "}\\"{</tool_call>", "more": {"a": [{}]}}' },
      { name: 'get', arguments: '{}' }]
  })
  assert.deepEqual(readToolCalls('a < b <tool'), { content: 'a < b <tool', calls: [] })
  assert.deepEqual(readToolCalls(`${oslo}\n<tool_`).content, '')
  assert.deepEqual(readToolCalls(oslo.slice(0, -14)).calls, [{ name: 'get_weather', arguments: '{"city": "Oslo"}' }])
  const random = randomStream(3, 'calls')
  for (const form of [hermesForm, llamaForm]) {
    const free = callGrammar({ functions: [weather, clock], mayBeText: true, mayRepeat: true }, form)
    const own = form === hermesForm ? [`Well. ${tricky}\n${oslo}`, 'a <'] : [llama('get', '{}'), 'a {"name": "get']
    const texts = [...own,
      ...await Promise.all(Array.from({ length: 10 }, () => randomText(grammars, free, random, 200)))]
    for (const text of texts) {
      if (text === null) continue
      const reader = new ToolCallReader(form)
      const pieces: Piece[] = []
      for (let at = 0; at < text.length;) {
        const size = 1 + Math.floor(random.next() * 6)
        pieces.push(...reader.push(text.slice(at, at += size)))
      }
      assert.deepEqual(sum([...pieces, ...reader.flush()]), readToolCalls(text, form))
    }
  }
})

test('Llama’s form is a call alone, or text that does not begin like one', async () => {
  const rules = { functions: [weather, clock], mayRepeat: true }
  const [forced, free] =
    [false, true].map(mayBeText => callGrammar({ ...rules, mayBeText }, llamaForm)) as [string, string]
  for (const text of [llama('get_weather', '{"city": "Oslo"}'), llama('get', '{}')]) {
    for (const grammar of [forced, free]) assert.ok(await accepts(grammars, grammar, text), text)
  }
  for (const text of ['', 'Hello {"name": "get"', ' {', 'é{', '<tool_call>']) {
    assert.deepEqual([await accepts(grammars, forced, text), await accepts(grammars, free, text)], [false, true], text)
  }
  for (const text of ['{', '{"a": 1}', llama('other', '{}'), `${llama('get', '{}')}\n${llama('get', '{}')}`,
    `${llama('get', '{}')}; `]) assert.ok(!await accepts(grammars, free, text), text)
  assert.deepEqual(readToolCalls(llama('get_weather', '{"city": "}{"}'), llamaForm),
    { content: '', calls: [{ name: 'get_weather', arguments: '{"city": "}{"}' }] })
  assert.deepEqual(readToolCalls('So: {"name": "get", "parameters": {}}', llamaForm),
    { content: 'So: {"name": "get", "parameters": {}}', calls: [] })
})

test('where the template does not know them, messages of calls and results are written as the model writes and ' +
  'reads them', () => {
  const calls = [
    { id: 'a', type: 'function' as const, function: { name: 'get_weather', arguments: '{"city":"Oslo"}' } },
    { id: 'b', type: 'function' as const, function: { name: 'get', arguments: '{}' } }
  ]
  assert.deepEqual(writtenMessages(chatMessagesOf([{ role: 'user', content: 'hi' },
    { role: 'assistant', tool_calls: calls }, { role: 'tool', content: 'rain', tool_call_id: 'a' }, {
      role: 'tool', content: [{ type: 'text', text: 'noon' }], tool_call_id: 'b'
    }, { role: 'user', content: 'so?' }])), [
    { role: 'user', content: 'hi' },
    { role: 'assistant', content: `${call('get_weather', '{"city":"Oslo"}')}\n${call('get', '{}')}` },
    { role: 'user', content: '<tool_response>\nrain\n</tool_response>\n<tool_response>\nnoon\n</tool_response>' },
    { role: 'user', content: 'so?' }
  ])
})

const tool = { type: 'function', function: { name: 'get', parameters: { type: 'object', properties: {} } } }

test('what tools and messages cannot be is refused by its place', () => {
  const refused: ReadonlyArray<readonly [object, string]> = [
    [{ tools: {} }, 'tools'],
    [{ tools: [1] }, 'tools[0]'],
    [{ tools: [{ type: 'code_interpreter' }] }, 'tools[0].type'],
    [{ tools: [{ type: 'function', function: { name: 'a b' } }] }, 'tools[0].function.name'],
    [{ tools: [tool, tool] }, 'tools[1].function.name'],
    [{ tools: [{ type: 'function', function: { name: 'a', parameters: { type: 'string' } } }] },
      'tools[0].function.parameters'],
    [{ tools: [tool], tool_choice: 'any' }, 'tool_choice'],
    [{ tools: [tool], tool_choice: { type: 'function', function: { name: 'other' } } }, 'tool_choice.function.name'],
    [{ tools: null, tool_choice: 'required' }, 'tool_choice']
  ]
  for (const [fields, param] of refused) {
    assert.throws(() => toolsOf(fields),
      { param, code: 'invalid_request' }, JSON.stringify(fields))
  }
  const { grammar } = toolsOf({
    tools: [{
      type: 'function',
      function: { name: 'a', strict: true, parameters: { type: 'object', properties: { a: { not: {} } } } }
    }]
  })
  assert.throws(() => grammarText(grammar!.source), { param: 'tools[0].function.parameters.properties.a.not' })
  assert.throws(() => chatMessagesOf([{ role: 'tool', content: 'x' }]), { param: 'messages[0].tool_call_id' })
  assert.throws(() => chatMessagesOf([{ role: 'user' }]), { param: 'messages[0].content' })
  assert.throws(() => chatMessagesOf([{ role: 'user', content: 'x', tool_call_id: 'a' }]),
    { param: 'messages[0].tool_call_id' })
  assert.equal(toolsOf({ tools: [tool], tool_choice: 'none' }).grammar, null)
  assert.equal(toolsOf({ tools: [], tool_choice: 'auto' }).grammar, null)
})

test('a result is of a call in the message that it and its neighbours stand behind', () => {
  const user = { role: 'user' as const, content: 'hi' }
  const calling = (...ids: string[]) => ({
    role: 'assistant' as const,
    tool_calls: ids.map(id => ({ id, type: 'function' as const, function: { name: 'get', arguments: '{}' } }))
  })
  const result = (id: string) => ({ role: 'tool' as const, content: 'x', tool_call_id: id })
  const check = (messages: Parameters<typeof chatMessagesOf>[0]): void => { checkResults(chatMessagesOf(messages)) }
  check([user, calling('a', 'b'), result('b'), result('a'), user, calling('a'), result('a'), user])
  for (const [messages, index] of [
    [[result('a')], 0],
    [[user, result('a')], 1],
    [[user, calling('a'), result('b')], 2],
    [[user, calling('a', 'b'), result('a'), result('c')], 3],
    [[user, calling('a'), result('a'), user, result('a')], 4],
    [[user, calling('a'), result('a'), user, calling('b'), result('a')], 5]
  ] as const) {
    assert.throws(() => { check(messages) }, {
      param: `messages[${index}].tool_call_id`,
      message: /must be the id of a call that the assistant’s message before the results makes in tool_calls; got "/
    })
  }
})
