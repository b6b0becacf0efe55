/** LangChain's @langchain/openai: chat, streams, batches, legacy completions, embeddings, errors. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ChatOpenAI, OpenAI, OpenAIEmbeddings } from '@langchain/openai'
import { z } from 'zod'

const common = { model: 'smollm2-135m', apiKey: 'none', maxRetries: 0, configuration: { baseURL: `${process.env.FAIRLEAD_URL}/v1` } }
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
    assert.deepEqual([all.usage_metadata.input_tokens, all.usage_metadata.output_tokens], [whole.usage_metadata.input_tokens, whole.usage_metadata.output_tokens])
    assert.equal(whole.response_metadata.finish_reason, 'length')
    assert.equal(all.response_metadata.finish_reason, 'length')
  })
}

test('batch answers every prompt', async () => {
  const answers = await chat().batch([prompt, [['system', 'Be brief.'], ['human', prompt]]])
  assert.equal(answers.length, 2)
  assert.ok(answers.every(({ content }) => content.length > 0))
})

test('withStructuredOutput gives what the schema says', async () => {
  const schema = z.object({ title: z.string().max(30), stars: z.number().int().min(1).max(5) })
  const review = await new ChatOpenAI({ ...common, maxTokens: 120, modelKwargs: { seed: 3 } }).withStructuredOutput(schema, { method: 'jsonSchema', name: 'review', strict: true }).invoke(prompt)
  assert.deepEqual(schema.parse(review), review)
})

test('legacy completions go on from a text, whole and streamed', async () => {
  const legacy = new OpenAI({ ...common, maxTokens: 4, temperature: 0 })
  const whole = await legacy.invoke('The capital of France is')
  assert.match(whole, /Paris/)
  let streamed = ''
  for await (const piece of await legacy.stream('The capital of France is')) streamed += piece
  assert.equal(streamed, whole)
})

test('embeddings come as they were asked for', async () => {
  assert.deepEqual((await new OpenAIEmbeddings(common).embedDocuments(['one', 'two words'])).map(one => one.length), [576, 576])
})

test('an error says what is wrong', async () => {
  await assert.rejects(chat({ temperature: 9 }).invoke(prompt), error => error.status === 400 && /temperature must be a number from 0 to 2; got 9/.test(error.message))
})
