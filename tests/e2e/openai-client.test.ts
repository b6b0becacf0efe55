import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { AlignmentParams } from 'fairlead'
import type {} from 'fairlead/openai'
import OpenAI from 'openai'
import { ResponsesWS } from 'openai/resources/responses/ws'
import type { Server } from '../../src/server.js'
import { engineStats, model, readyServer, review } from '../helpers/server.js'

let server: Server
let client: OpenAI

before(async () => {
  server = await readyServer()
  client = new OpenAI({ baseURL: `${server.address}/v1`, apiKey: 'none', maxRetries: 0 })
})
after(() => server.close())

/** The client's parameters with our field, which `fairlead/openai` lets its types have. */
const withAlignment = (
  alignment: AlignmentParams, more: object = {}
): Omit<OpenAI.ChatCompletionCreateParamsNonStreaming, 'stream'> => ({
  model, messages: review, max_tokens: 16, seed: 1, alignment, ...more
})
const guided = (alignment: AlignmentParams, more: object = {}): Promise<OpenAI.ChatCompletion> =>
  client.chat.completions.create(withAlignment(alignment, more))

test('a completion has OpenAI’s shape, and the same seed gives the same text', async () => {
  const ask = (): Promise<OpenAI.ChatCompletion> =>
    client.chat.completions.create({ model, messages: review, max_tokens: 12, seed: 7 })
  const [first, second] = [await ask(), await ask()]
  assert.equal(first.object, 'chat.completion')
  assert.equal(first.choices[0]!.message.role, 'assistant')
  assert.equal(first.choices[0]!.finish_reason, 'length')
  assert.equal(first.usage!.completion_tokens, 12)
  assert.equal(first.usage!.total_tokens, first.usage!.prompt_tokens + 12)
  assert.equal(first.choices[0]!.message.content, second.choices[0]!.message.content)
  assert.ok(second.usage!.prompt_tokens_details!.cached_tokens! > 0)
  assert.equal(first.system_fingerprint, second.system_fingerprint)
})

test('a stream gives the text of the whole answer, one finish reason, and the usage last', async () => {
  const params = { model, messages: review, max_tokens: 12, seed: 7 }
  const whole = await client.chat.completions.create(params)
  let text = ''
  const finishReasons: string[] = []
  let usage: OpenAI.CompletionUsage | null | undefined
  for await (const chunk of await client.chat.completions.create({
    ...params, stream: true, stream_options: { include_usage: true }
  })) {
    text += chunk.choices[0]?.delta.content ?? ''
    if (chunk.choices[0]?.finish_reason) finishReasons.push(chunk.choices[0].finish_reason)
    usage = chunk.usage
  }
  assert.equal(text, whole.choices[0]!.message.content)
  assert.deepEqual(finishReasons, ['length'])
  assert.equal(usage!.completion_tokens, 12)
})

test('the client’s stream helper reads a guided answer', async () => {
  const whole = await guided({ strategy: 'best_of_n', num_candidates: 4, reward: 'positive' })
  const stream =
    client.chat.completions.stream(withAlignment({ strategy: 'best_of_n', num_candidates: 4, reward: 'positive' }))
  assert.equal((await stream.finalChatCompletion()).choices[0]!.message.content, whole.choices[0]!.message.content)
})

test('n choices differ, and logprobs are those of the tokens', async () => {
  const { choices } = await client.chat.completions.create({
    model, messages: review, max_tokens: 8, n: 3, seed: 1, logprobs: true, top_logprobs: 2
  })
  assert.deepEqual(choices.map(choice => choice.index), [0, 1, 2])
  assert.equal(new Set(choices.map(choice => choice.message.content)).size, 3)
  for (const choice of choices) {
    assert.equal(choice.logprobs!.content!.map(one => one.token).join(''), choice.message.content)
    for (const one of choice.logprobs!.content!) {
      assert.ok(one.logprob <= one.top_logprobs[0]!.logprob && one.top_logprobs.length === 2)
    }
  }
})

test('best-of-16 reads the prompt once and returns the candidate with the best reward', async () => {
  const { choices, usage, alignment } =
    await guided({ strategy: 'best_of_n', num_candidates: 16, reward: 'positive', return_candidates: true },
      { cache_salt: 'read once' })
  const details = usage!.alignment_details!
  assert.equal(details.computed_prompt_tokens, usage!.prompt_tokens)
  assert.equal(details.generated_tokens, details.returned_tokens + details.discarded_tokens)
  const candidates = alignment!.candidates!
  const rewards = candidates.map(one => one.reward!)
  assert.equal(rewards.length, 16)
  assert.equal(choices[0]!.alignment!.reward, Math.max(...rewards))
  assert.equal(candidates[choices[0]!.alignment!.candidate_index]!.text, choices[0]!.message.content)
  // ln 16 − 15/16
  assert.deepEqual(alignment!.kl, { value: 1.835089, kind: 'upper_bound' })
})

test('one candidate, one beam, or no strength: the text of plain sampling', async () => {
  const plain = (await client.chat.completions.create({
    model, messages: review, max_tokens: 16, seed: 1
  })).choices[0]!.message.content
  for (const alignment of [
    { strategy: 'best_of_n', num_candidates: 1, reward: 'positive' },
    { strategy: 'beam_search', num_beams: 1, num_children: 1, reward: 'positive' }
  ] as const) assert.equal((await guided(alignment)).choices[0]!.message.content, plain, alignment.strategy)
  const greedy = (await client.chat.completions.create({
    model, messages: review, max_tokens: 16, temperature: 0
  })).choices[0]!.message.content
  const unguided = await guided({ strategy: 'token_guidance', strength: 0, reward: 'positive' }, { temperature: 0 })
  assert.equal(unguided.choices[0]!.message.content, greedy)
})

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length

test('every strategy raises the reward it is given', async () => {
  // Means, since what one seed draws differs between processors.
  const { alignment: drawn } = await guided({
    strategy: 'best_of_n', num_candidates: 16, reward: 'positive', return_candidates: true
  })
  const plain = mean(drawn!.candidates!.map(one => one.reward!))
  for (const alignment of [
    { strategy: 'best_of_n', num_candidates: 16 },
    { strategy: 'speculative_rejection', checkpoints: [4, 8] },
    { strategy: 'beam_search' },
    { strategy: 'beam_search', step: { delimiter: '.' }, lookahead_tokens: 4 },
    { strategy: 'dvts', step: { tokens: 4 } },
    { strategy: 'rebase', step: { tokens: 4 } },
    { strategy: 'particle_filter', step: { tokens: 4 }, strength: 3 },
    { strategy: 'segment_rejection', segment: { tokens: 4 }, strength: 5 },
    { strategy: 'token_guidance', strength: 20 }
  ] as const) {
    const answers = await Promise.all([1, 2, 3].map(seed => guided({ ...alignment, reward: 'positive' }, { seed })))
    assert.ok(mean(answers.map(({ choices }) => choices[0]!.alignment!.reward!)) > plain, JSON.stringify(alignment))
    for (const { usage } of answers) {
      const details = usage!.alignment_details!
      assert.equal(details.generated_tokens, details.returned_tokens + details.discarded_tokens)
    }
  }
})

test('a request gives the same text alone and among 31 others', async () => {
  const ask = (seed: number): Promise<string | null> =>
    client.chat.completions.create({ model, messages: review, max_tokens: 16, seed }).then(({ choices }) =>
      choices[0]!.message.content)
  const alone = await ask(1)
  const crowd = await Promise.all(Array.from({ length: 32 }, (_, index) => ask(index + 1)))
  assert.equal(crowd[0], alone)
  assert.equal(new Set(crowd).size, 32)
})

test('leaving a stream frees its sequences', async () => {
  const stream = await client.chat.completions.create({
    ...withAlignment({ strategy: 'best_of_n', num_candidates: 8, reward: 'positive' }, { max_tokens: 4000 }),
    stream: true
  })
  await stream[Symbol.asyncIterator]().next()
  stream.controller.abort()
  // Each look takes its turn behind at least one step; sequences must be gone within a few of them.
  for (let look = 0; look < 50 && (await engineStats(server)).sequences > 0; look++) {
    await new Promise(resolve => { setTimeout(resolve, 20) })
  }
  const { sequences, runningRequests, kvTokens } = await engineStats(server)
  assert.deepEqual({ sequences, runningRequests, kvTokens }, { sequences: 0, runningRequests: 0, kvTokens: 0 })
})

test('errors reach the client as its own classes, naming the field', async () => {
  await assert.rejects(client.chat.completions.create({ model: 'nope', messages: review }), (error: unknown) =>
    error instanceof OpenAI.NotFoundError && error.code === 'model_not_found')
  await assert.rejects(client.chat.completions.create({ model, messages: review, temperature: 3 }), (error: unknown) =>
    error instanceof OpenAI.BadRequestError && error.param === 'temperature' &&
      /must be a number from 0 to 2; got 3/.test(error.message))
})

test('legacy completions: the client’s own shapes, echo with logprobs, a stream', async () => {
  const params = { model, prompt: 'The capital of France is', max_tokens: 6, temperature: 0 }
  const whole = await client.completions.create({ ...params, echo: true, logprobs: 1 })
  const { text, logprobs } = whole.choices[0]!
  assert.match(text, /^The capital of France is Paris/)
  assert.equal(logprobs!.tokens!.join(''), text)
  // Greedy answers are the most probable tokens.
  for (const [index, token] of logprobs!.tokens!.entries()) {
    if (index >= whole.usage!.prompt_tokens) assert.equal(Object.keys(logprobs!.top_logprobs![index]!)[0], token)
  }
  let streamed = ''
  for await (const chunk of await client.completions.create({ ...params, stream: true })) {
    streamed += chunk.choices[0]?.text ?? ''
  }
  assert.equal(`${params.prompt}${streamed}`, text)
})

test('responses: the text of the same chat, guided, streamed, and gone on from', async () => {
  const params = { model, input: review[0]!.content, max_output_tokens: 16, seed: 1 }
  const alignment = { strategy: 'best_of_n', num_candidates: 4, reward: 'positive' } as const
  const whole = await client.responses.create({ ...params, alignment })
  assert.equal(whole.output_text, (await guided(alignment)).choices[0]!.message.content)
  const stream = client.responses.stream({ ...params, alignment })
  assert.equal((await stream.finalResponse()).output_text, whole.output_text)
  const next = await client.responses.create({ ...params, input: 'Now a bad one.', previous_response_id: whole.id })
  const { choices } = await client.chat.completions.create({
    model,
    max_tokens: 16,
    seed: 1,
    messages: [...review, { role: 'assistant', content: whole.output_text },
      { role: 'user', content: 'Now a bad one.' }]
  })
  assert.equal(next.output_text, choices[0]!.message.content)
})

test('responses over a WebSocket: the client’s own events, guided by every kind of strategy', async () => {
  const socket = new ResponsesWS(client)
  for (const [input, alignment] of [['Hello!', null],
    [review[0]!.content, { strategy: 'best_of_n', num_candidates: 4, reward: 'positive' }],
    [review[0]!.content, { strategy: 'token_guidance', strength: 20, reward: 'positive' }]] as const) {
    const params = { model, input, max_output_tokens: 16, seed: 1, alignment }
    const ended = new Promise<OpenAI.Responses.Response>((resolve, reject) => {
      socket.on('error', reject)
      socket.on('response.completed', ({ response }) => { resolve(response) })
      socket.on('response.incomplete', ({ response }) => { resolve(response) })
    })
    socket.send({ type: 'response.create', ...params })
    const { output, usage } = await ended
    const whole = await client.responses.create(params)
    assert.deepEqual((output[0] as OpenAI.Responses.ResponseOutputMessage).content,
      (whole.output[0] as OpenAI.Responses.ResponseOutputMessage).content)
    assert.equal(usage!.output_tokens, whole.usage!.output_tokens)
  }
  socket.close()
})

test('embeddings are nearer for texts that are alike', async () => {
  const { data } = await client.embeddings.create({
    model, input: ['The cat sleeps on the sofa.', 'A kitten naps on the couch.', 'Interest rates rose by half a point.']
  })
  const [cat, kitten, rates] = data.map(one => one.embedding)
  const dot = (a: number[], b: number[]): number => a.reduce((sum, value, index) => sum + value * b[index]!, 0)
  assert.equal(cat!.length, 576)
  assert.ok(dot(cat!, kitten!) > dot(cat!, rates!))
})
