/**
 * LangChain's @langchain/openai: chat, streams, batches, structured output, tools, responses, legacy completions,
 * embeddings, errors.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HumanMessage, ToolMessage } from '@langchain/core/messages'
import { ChatOpenAI, OpenAI, OpenAIEmbeddings } from '@langchain/openai'
import { z } from 'zod'

const common = {
  model: 'smollm2-135m', apiKey: 'none', maxRetries: 0, configuration: { baseURL: `${process.env.FAIRLEAD_URL}/v1` }
}
/** @param {object} [kwargs] fields of the body that LangChain does not know */
const chat = (kwargs = {}) => new ChatOpenAI({ ...common, maxTokens: 16, modelKwargs: { seed: 3, ...kwargs } })
const alignment = { strategy: 'best_of_n', num_candidates: 4, reward: 'positive' }
const prompt = 'Write a short review of a film.'

for (const [what, kwargs] of Object.entries({ plain: {}, guided: { alignment } })) {
  test(`stream gives what invoke does: ${what}`, async () => {
    const whole = await chat(kwargs).invoke(prompt)
    let all
    for await (const chunk of await chat(kwargs).stream(prompt)) all = all ? all.concat(chunk) : chunk
    assert.equal(all.content, whole.content)
    assert.ok(whole.content.length > 0)
    assert.deepEqual([all.usage_metadata.input_tokens, all.usage_metadata.output_tokens],
      [whole.usage_metadata.input_tokens, whole.usage_metadata.output_tokens])
    assert.equal(whole.response_metadata.finish_reason, 'length')
    assert.equal(all.response_metadata.finish_reason, 'length')
  })
}

test('batch answers every prompt', async () => {
  const answers = await chat().batch([prompt, [['system', 'Be brief.'], ['human', prompt]]])
  assert.equal(answers.length, 2)
  assert.ok(answers.every(({ content }) => content.length > 0))
})

const schema = z.object({ title: z.string().max(30), stars: z.number().int().min(1).max(5) })
const long = fields => new ChatOpenAI({ ...common, maxTokens: 120, ...fields })

for (const method of ['jsonSchema', 'functionCalling']) {
  for (const [what, kwargs] of Object.entries({ plain: {}, guided: { alignment } })) {
    test(`withStructuredOutput by ${method} gives what the schema says: ${what}`, async () => {
      const review = await long({ modelKwargs: { seed: 3, ...kwargs } })
        .withStructuredOutput(schema, { method, name: 'review', strict: true }).invoke(prompt)
      assert.deepEqual(schema.parse(review), review)
    })
  }
}

test('withStructuredOutput by jsonMode gives an object', async () => {
  // Nothing says which, so that it may go on for long: greedy, and asked for a short one.
  const json = long({ temperature: 0 }).withStructuredOutput(z.record(z.string(), z.unknown()),
    { method: 'jsonMode', includeRaw: true })
  const { parsed, raw } = await json.invoke('Answer with {"title": "Rain"} in JSON.')
  assert.equal(raw.response_metadata.finish_reason, 'stop')
  assert.deepEqual(parsed, { title: 'Rain' })
  // What is no JSON otherwise is some now, whole or cut off.
  const [plain, held] = [await long({ temperature: 0 }).invoke(prompt), await json.invoke(prompt)]
  assert.doesNotMatch(plain.content, /^\s*\{/)
  assert.match(held.raw.content, /^\s*\{\s*("|\}$)/)
})

const weather = {
  type: 'function',
  function: {
    name: 'get_weather',
    description: 'The weather of a city',
    strict: true,
    parameters: {
      type: 'object',
      properties: { city: { type: 'string', maxLength: 12 } },
      required: ['city'],
      additionalProperties: false
    }
  }
}

for (const useResponsesApi of [false, true]) {
  test('a bound tool is called, streamed alike, and its result is read: ' +
    `${useResponsesApi ? 'responses' : 'chats'}`, async () => {
    const bound = (tools, limit = 96) => new ChatOpenAI({
      ...common, maxTokens: limit, useResponsesApi, modelKwargs: { seed: 3 }
    }).bindTools([weather], tools)
    const forced = bound({ tool_choice: 'get_weather' })
    const asked = await forced.invoke('What is the weather in Oslo?')
    assert.deepEqual(asked.tool_calls.map(({ name }) => name), ['get_weather'])
    assert.equal(typeof asked.tool_calls[0].args.city, 'string')
    let streamed
    for await (const chunk of await forced.stream('What is the weather in Oslo?')) {
      streamed = streamed ? streamed.concat(chunk) : chunk
    }
    assert.deepEqual(streamed.tool_calls.map(({ name, args }) => [name, args]),
      asked.tool_calls.map(({ name, args }) => [name, args]))
    const answer = await bound({ tool_choice: 'none' }, 8).invoke([new HumanMessage('What is the weather in Oslo?'),
      asked, new ToolMessage({ tool_call_id: asked.tool_calls[0].id, content: 'Rain.' })])
    assert.equal(answer.tool_calls.length, 0)
    assert.ok(answer.text.length > 0)
  })
}

test('legacy completions go on from a text, whole and streamed', async () => {
  const legacy = new OpenAI({ ...common, maxTokens: 4, temperature: 0 })
  const whole = await legacy.invoke('The capital of France is')
  assert.match(whole, /Paris/)
  let streamed = ''
  for await (const piece of await legacy.stream('The capital of France is')) streamed += piece
  assert.equal(streamed, whole)
})

test('embeddings come as they were asked for', async () => {
  assert.deepEqual((await new OpenAIEmbeddings(common).embedDocuments(['one', 'two words'])).map(one => one.length),
    [576, 576])
})

test('a thousand texts are embedded in their order', async () => {
  const texts = Array.from({ length: 1000 }, (_, index) => `text ${index}`)
  const embeddings = new OpenAIEmbeddings({ ...common, batchSize: 1000 })
  const vectors = await embeddings.embedDocuments(texts)
  assert.equal(vectors.length, texts.length)
  for (const index of [0, 128, 999]) {
    const alone = await embeddings.embedQuery(texts[index])
    assert.ok(alone.every((value, at) => Math.abs(value - vectors[index][at]) < 1e-4))
  }
})

test('an error says what is wrong', async () => {
  await assert.rejects(chat({ temperature: 9 }).invoke(prompt), error =>
    error.status === 400 && /temperature must be a number from 0 to 2; got 9/.test(error.message))
})
