/** The whole server in front of an inference engine elsewhere: what works, what is refused by name. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import OpenAI from 'openai'
import type { Entry } from '../../src/journal/entries.js'
import { fold } from '../../src/journal/fold.js'
import { assertUsage } from '../helpers/journals.js'
import {
  tinyEngineElsewhere, tinyHead, tinyHeadValue, tinyLlamaServer, withHead
} from '../helpers/tiny-engine-elsewhere.js'
import { tinyModel } from '../helpers/tiny-model.js'
import { completedOverSocket, startTinyServers, type TinyServer } from '../helpers/tiny-server.js'

const startServer = startTinyServers()
const messages = [{ role: 'user' as const, content: 'abc' }]
const body = { model: 'org/tiny', messages, max_tokens: 12, seed: 7 }
const policyTokenizer = 'FOLDER/tiny.gguf'

const searches = [
  { strategy: 'best_of_n', num_candidates: 4, reward: 'length' },
  { strategy: 'speculative_rejection', num_candidates: 4, reward: 'length' },
  { strategy: 'beam_search', num_beams: 2, num_children: 2, step: { tokens: 4 }, reward: 'length' },
  { strategy: 'dvts', num_trees: 2, num_children: 2, step: { delimiter: '\n' }, reward: 'length' },
  { strategy: 'rebase', width: 3, step: { tokens: 4 }, reward: 'length' },
  { strategy: 'particle_filter', num_particles: 3, step: { tokens: 4 }, reward: 'length' },
  { strategy: 'segment_rejection', segment: { tokens: 4 }, reward: 'length', target_reward: 0 },
  { strategy: 'token_guidance', candidates: { top_k: 5 }, reward: 'length' }
]

/** The error of a request that is refused. */
async function refusal (server: TinyServer, given: object, path = '/v1/chat/completions'): Promise<[string, string]> {
  const { status, json } = await server.post(path, given)
  assert.equal(status, 400, JSON.stringify(json))
  return [json['error'].code, json['error'].param]
}

test('every strategy answers over HTTP, the openai client and the socket', async () => {
  const engine = await tinyEngineElsewhere()
  const server = await startServer({ policy: `${engine.url}/v1#org/tiny`, policyTokenizer })
  const client = new OpenAI({ baseURL: `${server.address}/v1`, apiKey: 'none' })
  for (const alignment of [undefined, ...searches]) {
    const asked = { ...body, ...alignment && { alignment } }
    const one = await client.chat.completions.create(asked as OpenAI.ChatCompletionCreateParamsNonStreaming)
    assert.match(one.choices[0]!.message.content!, /^[abc \n.]*$/)
    // The same over the socket, and as a stream.
    const other = await completedOverSocket(server, JSON.stringify({ type: 'create', id: 'a', request: asked }))
    assert.equal(other['choices'][0].message.content, one.choices[0]!.message.content)
    const chunks = await server.stream('/v1/chat/completions',
      { ...asked, stream_options: { include_journal: true, include_usage: true } })
    const streamed = chunks.map(chunk => chunk['choices'][0]?.delta.content ?? '').join('')
    assert.equal(streamed, one.choices[0]!.message.content)
    const run = fold(chunks.flatMap(({ journal }) => (journal ?? []) as Entry[]))
    assert.deepEqual([run.candidates.get(run.select!.chosen[0]!)!.text, run.missing], [streamed, 0])
    assertUsage(run.done!.usage, chunks.at(-1)!['usage'])
    const details = (one.usage as unknown as Record<string, any>)['alignment_details']
    assert.equal(details.generated_tokens, details.returned_tokens + details.discarded_tokens)
    assert.equal(details.engine.failed_calls, 0)
    assert.ok(details.engine.calls >= 1)
  }
  const response = await client.responses.create({ model: 'org/tiny', input: 'abc', max_output_tokens: 12 })
  assert.match(response.output_text, /^[abc \n.]*$/)
  const completion = await client.completions.create({ model: 'org/tiny', prompt: ['abc', 'ab'], max_tokens: 4, n: 2 })
  assert.equal(completion.choices.length, 4)
})

test('what the engine cannot do is refused by name; rewards that need no policy work', async () => {
  const engine = await tinyEngineElsewhere({ ignores: ['min_p'] })
  const server = await startServer({ policy: `${engine.url}#org/tiny`, policyTokenizer })
  const ask = (more: object): Promise<[string, string]> => refusal(server, { ...body, ...more })
  const invalid = (param: string): [string, string] => ['invalid_request', param]
  assert.deepEqual(await ask({ min_p: 0.1 }), invalid('min_p'))
  const guided = { strategy: 'token_guidance', reward: 'length' }
  assert.deepEqual(await ask({ alignment: { ...guided, candidates: { top_k: 30 } } }),
    invalid('alignment.candidates.top_k'))
  assert.deepEqual(await ask({ alignment: { ...guided, candidates: { top_k: 5 }, max_kl: 1 } }),
    invalid('alignment.strategy'))
  assert.deepEqual(await ask({ alignment: guided, temperature: 0.5 }), invalid('temperature'))
  const contrast = { toward: { prefix: 'x' } }
  assert.deepEqual(await ask({ alignment: { strategy: 'token_guidance', contrast, candidates: { top_k: 5 } } }),
    invalid('alignment.contrast.toward'))
  assert.deepEqual(await ask({ alignment: { selection: 'mbr' } }), invalid('alignment.strategy'))
  assert.deepEqual(await ask({ alignment: { reward: 'positive' } }), invalid('alignment.rewards'))
  assert.deepEqual(await ask({ alignment: searches[2], frequency_penalty: 1 }), invalid('alignment.strategy'))
  assert.deepEqual(await ask({ alignment: searches[2], response_format: { type: 'json_object' } }),
    invalid('alignment.strategy'))
  assert.deepEqual(await ask({ prediction: { type: 'content', content: 'abc' } }), invalid('prediction'))
  const tools = [{ type: 'function', function: { name: 'f', parameters: { type: 'object', properties: {} } } }]
  assert.deepEqual(await ask({ tools, tool_choice: 'required' }), invalid('tools'))
  assert.deepEqual(await ask({ max_tokens: 1000 }), ['context_length_exceeded', 'max_tokens'])
  assert.deepEqual(await refusal(server, { model: 'org/tiny', input: 'abc' }, '/v1/embeddings'), invalid('model'))
  const { json: scored } = await server.post('/v1/rewards/score', {
    model: 'org/tiny', reward: 'length', input: [{ messages, answer: 'abc abc' }]
  })
  assert.ok(JSON.stringify(scored).includes('"raw"'), JSON.stringify(scored))
})

test('a schema is the engine’s to hold answers to, in one call', async () => {
  const engine = await tinyEngineElsewhere()
  const server = await startServer({ policy: `${engine.url}#org/tiny`, policyTokenizer })
  const schema = { enum: ['ab', 'cab'] }
  const { json } = await server.post('/v1/chat/completions', {
    ...body,
    alignment: { num_candidates: 3, reward: 'length' },
    response_format: { type: 'json_schema', json_schema: { name: 'word', schema } }
  })
  assert.ok(['"ab"', '"cab"'].includes(json['choices'][0].message.content as string), JSON.stringify(json))
  const held = engine.calls.map(({ body }) => body['sampling_params'].structured_outputs?.json)
  assert.ok(held.includes(JSON.stringify(schema)))
})

test('searches on llama.cpp’s server, whose streams leave out the pieces of characters', async () => {
  const engine = await tinyLlamaServer()
  const server = await startServer({ policy: `${engine.url}#tiny`, policyTokenizer })
  for (const alignment of [undefined, ...[0, 2, 3, 7].map(index => searches[index]!)]) {
    const { status, json } = await server.post('/v1/chat/completions',
      { ...body, model: 'tiny', logprobs: true, top_logprobs: 1, ...alignment && { alignment } })
    assert.equal(status, 200, JSON.stringify(json))
    const { message: { content }, logprobs } = json['choices'][0]
    assert.match(content as string, /^[abc \n.🙂]*\uFFFD*$/u)
    const bytes = (logprobs.content as Array<{ bytes: number[] }>).flatMap(one => one.bytes)
    assert.ok(Buffer.from(bytes).toString().startsWith((content as string).replace(/\uFFFD+$/, '')))
    assert.equal(json['usage'].alignment_details.engine.failed_calls, 0)
  }
  for (const field of ['frequency_penalty', 'presence_penalty', 'min_tokens']) {
    assert.deepEqual(await refusal(server, { ...body, model: 'tiny', [field]: 1 }), ['invalid_request', field])
  }
})

test('heads inside the engine score answers, where its plugin is', async () => {
  const rewardsDir = mkdtempSync(join(tmpdir(), 'fairlead-heads-'))
  writeFileSync(join(rewardsDir, 'tinted.json'), JSON.stringify(tinyHead))
  writeFileSync(join(rewardsDir, 'ending.json'), JSON.stringify({ ...tinyHead, name: 'ending', layer: 2 }))
  try {
    for (const generates of [true, false]) {
      const engine = await tinyEngineElsewhere({ ...withHead, generates })
      const server = await startServer({ policy: `${engine.url}#org/tiny`, policyTokenizer, rewardsDir })
      const asked = { model: 'org/tiny', prompt: 'abc', max_tokens: 12, seed: 7, return_token_ids: true }
      for (const search of [0, 2, 5].map(index => searches[index]!)) {
        for (const more of [{}, { stop: ['b'] }]) {
          const { status, json } =
            await server.post('/v1/completions', { ...asked, ...more, alignment: { ...search, reward: 'tinted' } })
          assert.equal(status, 200, JSON.stringify(json))
          const { token_ids: drawn, text, alignment: { rewards: { tinted } } } = json['choices'][0]
          const tokens = tinyModel.tokenizer.encode(text as string)
          assert.deepEqual(tokens, (drawn as number[]).slice(0, tokens.length))
          const mean = tokens.length === 0
            ? 0.5
            : tokens.reduce((sum, token) => sum + tinyHeadValue(token), 0) / tokens.length
          assert.ok(Math.abs(tinted.raw - mean) < 1e-5, `${tinted.raw} and ${mean} of ${JSON.stringify(text)}`)
        }
      }
      const refused = (more: object): Promise<[string, string]> => refusal(server, { ...body, ...more })
      assert.deepEqual(await refused({ alignment: { reward: 'ending' } }), ['invalid_request', 'alignment.rewards'])
      for (const [param, more] of [
        ['alignment.source', { alignment: { ...searches[7], reward: 'tinted' } }],
        ['top_logprobs', { logprobs: true, top_logprobs: 2, alignment: { reward: 'tinted' } }],
        ['response_format', { response_format: { type: 'json_object' }, alignment: { reward: 'tinted' } }]
      ] as const) assert.deepEqual(await refused(more), ['invalid_request', param])
      const { status, json } = await server.post('/v1/rewards/score',
        { model: 'org/tiny', reward: 'tinted', input: [{ messages, answer: 'abc' }] })
      assert.deepEqual([status, json['error'].param], [400, 'rewards'], JSON.stringify(json))
    }
  } finally {
    rmSync(rewardsDir, { recursive: true })
  }
})

test('models here and elsewhere are served side by side; what each is is told', async () => {
  const [one, two] = [await tinyEngineElsewhere(), await tinyEngineElsewhere({ generates: false })]
  const server = await startServer({
    policy: one.url,
    policyTokenizer: 'FOLDER/tiny.gguf,plain=FOLDER/tiny.gguf',
    moreModels: `plain=${two.url}#org/tiny`
  })
  const { data } = await (await fetch(`${server.address}/v1/models`)).json() as { data: Array<Record<string, any>> }
  assert.deepEqual(data.map(({ id, max_model_len: length }) => [id, length]), [['policy', 256], ['plain', 256]])
  assert.deepEqual(data.map(({ engine: { server, protocol, model } }) => [server, protocol, model]),
    [['vLLM 0.32.0', 'vLLM generate', 'org/tiny'], ['vLLM 0.32.0', 'completions', 'org/tiny']])
  for (const model of ['policy', 'plain']) {
    const { json } = await server.post('/v1/chat/completions', { ...body, model, top_logprobs: 2, logprobs: true })
    assert.equal(json['choices'][0].logprobs.content[0].top_logprobs.length, 2, JSON.stringify(json))
  }
  const metrics = await (await fetch(`${server.address}/metrics`)).text()
  assert.match(metrics, /fairlead_engine_up\{model_name="plain",replica="http:\/\/127\.0\.0\.1:\d+"\} 1/)
  const version = await (await fetch(`${server.address}/version`)).json() as { models: Array<Record<string, any>> }
  assert.equal(version.models[0]!['engine'].replicas, 1)
})

test('readiness follows the engine; a request to a lost one gets 503 with Retry-After', async () => {
  const engine = await tinyEngineElsewhere()
  const server = await startServer({ policy: engine.url, policyTokenizer })
  assert.equal((await fetch(`${server.address}/ready`)).status, 200)
  await engine.close()
  assert.equal((await fetch(`${server.address}/ready`)).status, 503)
  const { status, headers, json } = await server.post('/v1/chat/completions', { ...body, model: 'policy' })
  assert.deepEqual([status, json['error'].code], [503, 'unavailable'])
  assert.ok(Number(headers.get('retry-after')) > 0)
  assert.equal((await fetch(`${server.address}/health`)).status, 200)
})

test('a client that leaves takes its calls with it', async () => {
  let release = (): void => {}
  let held: Promise<void> | null = null
  const engine = await tinyEngineElsewhere({ pace: async () => { await held } })
  const server = await startServer({ policy: engine.url, policyTokenizer })
  held = new Promise(resolve => { release = resolve })
  const controller = new AbortController()
  const asked = fetch(`${server.address}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ ...body, model: 'policy', alignment: { num_candidates: 6, reward: 'length' } }),
    signal: controller.signal
  })
  const left = assert.rejects(asked)
  while (engine.running < 6) await new Promise(resolve => { setImmediate(resolve) })
  assert.equal(engine.sockets.size, 6)
  controller.abort()
  await left
  while (engine.running > 0) await new Promise(resolve => { setImmediate(resolve) })
  assert.equal(engine.sockets.size, 0, 'connections are closed, not left to the engine')
  assert.equal(engine.hungUp, 6)
  release()
})
