/** Vercel's AI SDK over @ai-sdk/openai-compatible: text, streams, objects, tools, embeddings, errors. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { APICallError, embedMany, generateObject, generateText, stepCountIs, streamObject, streamText, tool } from 'ai'
import { z } from 'zod'

const fairlead = createOpenAICompatible({
  name: 'fairlead', baseURL: `${process.env.FAIRLEAD_URL}/v1`, includeUsage: true, supportsStructuredOutputs: true
})
const model = fairlead('smollm2-135m')
const plain = { model, prompt: 'Write a short review of a film.', maxOutputTokens: 16, seed: 3, maxRetries: 0 }
/** @param {object} alignment what steers the answer */
const guided = alignment => ({
  ...plain, providerOptions: { fairlead: { alignment: { reward: 'positive', ...alignment } } }
})

for (const [what, params] of Object.entries({
  plain,
  'best of 4': guided({ strategy: 'best_of_n', num_candidates: 4 }),
  'token by token': guided({ strategy: 'token_guidance', strength: 20 })
})) {
  test(`streamText gives what generateText does: ${what}`, async () => {
    const whole = await generateText(params)
    const stream = streamText(params)
    let text = ''
    for await (const part of stream.fullStream) {
      assert.notEqual(part.type, 'error', JSON.stringify(part))
      if (part.type === 'text-delta') text += part.text
    }
    assert.equal(text, whole.text)
    assert.equal(await stream.finishReason, whole.finishReason)
    const [streamed, own] = [await stream.usage, whole.usage]
    assert.deepEqual([streamed.inputTokens, streamed.outputTokens], [own.inputTokens, own.outputTokens])
    assert.equal(own.outputTokens, 16)
  })
}

const disliked = { reward: undefined, rewards: [{ name: 'positive', weight: -1 }] }

test('guidance changes the answer, and its ledger is in the usage', async () => {
  const [one, other] = [await generateText(plain),
    // The plain answer is one of the eight, and the one that the reward likes best.
    await generateText(guided({ strategy: 'best_of_n', num_candidates: 8, ...disliked }))]
  assert.notEqual(one.text, other.text)
  const { generated_tokens: generated, returned_tokens: returned, discarded_tokens: discarded } =
    other.usage.raw.alignment_details
  assert.equal(generated, returned + discarded)
  assert.ok(discarded > returned)
})

test('generateObject and streamObject give what the schema says, guided or not', async () => {
  const schema = z.object({
    title: z.string().max(30),
    stars: z.number().int().min(1).max(5),
    tags: z.array(z.enum(['dark', 'funny', 'slow'])).max(3)
  })
  for (const params of [plain, guided({ strategy: 'best_of_n', num_candidates: 4 })]) {
    const { object, finishReason } = await generateObject({ ...params, schema, maxOutputTokens: 120 })
    assert.equal(finishReason, 'stop')
    assert.deepEqual(schema.parse(object), object)
    const stream = streamObject({ ...params, schema, maxOutputTokens: 120 })
    let partial
    for await (const one of stream.partialObjectStream) partial = one
    assert.deepEqual([partial, await stream.object], [object, object])
  }
})

const inputSchema = z.object({ city: z.string().max(12), unit: z.enum(['celsius', 'fahrenheit']) })
const weather = tool({
  description: 'The weather of a city', inputSchema, execute: ({ city, unit }) => `12 degrees ${unit} in ${city}`
})

test('generateText calls a tool, and goes on from what it returned', async () => {
  for (const params of [plain, guided({ strategy: 'best_of_n', num_candidates: 4 })]) {
    const { steps } = await generateText({
      ...params,
      tools: { weather },
      toolChoice: { type: 'tool', toolName: 'weather' },
      maxOutputTokens: 96,
      stopWhen: stepCountIs(2),
      prepareStep: ({ stepNumber }) => stepNumber === 0 ? {} : { toolChoice: 'none', maxOutputTokens: 8 }
    })
    assert.equal(steps.length, 2)
    const [{ toolCalls: [call], toolResults: [result], finishReason }, answer] = steps
    assert.equal(finishReason, 'tool-calls')
    assert.deepEqual(inputSchema.parse(call.input), call.input)
    assert.equal(result.output, `12 degrees ${call.input.unit} in ${call.input.city}`)
    assert.equal(answer.toolCalls.length, 0)
    assert.ok(answer.text.length > 0)
  }
})

test('streamText streams the input of the call that generateText makes', async () => {
  const params = {
    ...plain,
    tools: { weather: { ...weather, execute: undefined } },
    toolChoice: 'required',
    maxOutputTokens: 120,
    providerOptions: { fairlead: { parallel_tool_calls: false } }
  }
  const whole = await generateText(params)
  const [pieces, calls] = [[], []]
  for await (const part of streamText(params).fullStream) {
    assert.notEqual(part.type, 'error', JSON.stringify(part))
    if (part.type === 'tool-input-delta') pieces.push(part.delta)
    if (part.type === 'tool-call') calls.push(part)
  }
  assert.ok(pieces.length > 1)
  assert.deepEqual(JSON.parse(pieces.join('')), calls[0].input)
  assert.deepEqual(calls.map(({ toolName, input }) => [toolName, input]),
    whole.toolCalls.map(({ toolName, input }) => [toolName, input]))
})

test('embedMany gives a vector for each text', async () => {
  const { embeddings, usage } =
    await embedMany({ model: fairlead.textEmbeddingModel('smollm2-135m'), values: ['one', 'two words'] })
  assert.deepEqual(embeddings.map(one => one.length), [576, 576])
  assert.ok(usage.tokens > 0)
})

test('an error is not tried again and says what is wrong', async () => {
  await assert.rejects(generateText({ ...plain, temperature: 9 }),
    error => APICallError.isInstance(error) && error.statusCode === 400 && !error.isRetryable &&
      /temperature must be a number from 0 to 2; got 9/.test(error.message))
})
