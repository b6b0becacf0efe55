/**
 * One server with several models: each answers as a server with it alone does, whoever else is answered; what is
 * reported and counted of each.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { Worker } from 'node:worker_threads'
import { Fairlead } from 'fairlead'
import OpenAI from 'openai'
import { WebSocket } from 'ws'
import {
  chat, file, folder, get, messages, modelServers, sampling, textOf, type Json, type ModelServers
} from '../helpers/model-servers.js'
import { sameBits } from '../helpers/same-bits.js'
import type { TinyServer } from '../helpers/tiny-server.js'
import { chatTemplate, tinyVocabulary } from '../helpers/tiny-vocabulary.js'

/** The threads of inference, in the order in which they were started. */
const threads: Worker[] = []
process.on('worker', started => { threads.push(started) })

let both: ModelServers['both']
let alone: ModelServers['alone']
let close: ModelServers['close']
before(async () => { ({ both, alone, close } = await modelServers()) })
after(() => close())

/** Each model, and what it is called on a server of its own. */
const ownNames = { tiny: 'tiny', other: 'small' } as const
const models = ['tiny', 'other'] as const

test('models and their profiles are listed, the default first, each with its facts', async () => {
  const { data } = await get(both, '/v1/models')
  assert.deepEqual(data.map(({ id, parent = null, max_model_len: length }: Json) => [id, parent, length]), [
    ['tiny', null, 512], ['tiny:short-2', 'tiny', 512],
    ['other', null, 256], ['other:short-2', 'other', 256], ['other:sure-3', 'other', 256],
    ['strange', null, 512], ['strange:short-2', 'strange', 512]
  ])
  assert.equal((await get(both, '/v1/models/other'))['max_model_len'], 256)
  assert.match((await get(both, '/v1/models/small'))['error'].message, /this server has tiny, .*other/)
})

test('under load of both, each gives the tokens and the fingerprint that it gives alone', async () => {
  const guided = {
    alignment: {
      strategy: 'beam_search',
      num_beams: 2,
      num_children: 2,
      step: { tokens: 3 },
      reward: 'length',
      allow_scope_mismatch: true
    }
  }
  const jobs = models.flatMap(model => [{}, { n: 4 }, guided,
    { alignment: { reward: 'sure', num_candidates: 4 } },
    { alignment: { reward: 'judged', num_candidates: 4 } }].map((more, seed) => ({ model, body: { seed, ...more } })))
  const together = await Promise.all(jobs.map(({ model, body }) => chat(both, { model, ...body })))
  for (const [index, { model, body }] of jobs.entries()) {
    const { choices, usage, system_fingerprint: fingerprint } =
      await chat(alone[model], { model: ownNames[model], ...body })
    assert.deepEqual(together[index]!['choices'], choices, `${model} ${JSON.stringify(body)}`)
    assert.equal(together[index]!['usage'].alignment_details.generated_tokens, usage.alignment_details.generated_tokens)
    assert.equal(together[index]!['system_fingerprint'], fingerprint)
    assert.equal(together[index]!['model'], model)
  }
  assert.equal(new Set(together.map(one => one['system_fingerprint'])).size, 2)
})

/** The last event of a request on a socket. */
async function overSocket (path: string, message: object): Promise<Json> {
  const socket = new WebSocket(`${both.address.replace('http', 'ws')}${path}`)
  await once(socket, 'open')
  return await new Promise((resolve, reject) => {
    socket.on('message', data => {
      const event = JSON.parse(String(data)) as Json
      if (!/^(completed|error|response\.(completed|incomplete|failed))$/.test(event['type'])) return
      socket.close()
      resolve(event)
    })
    socket.on('error', reject)
    socket.send(JSON.stringify(message))
  })
}

test('every way of asking reaches the model that it names', async () => {
  const expected = textOf(await chat(alone.other, { model: 'small', seed: 3 }))
  assert.notEqual(textOf(await chat(both, { model: 'tiny', seed: 3 })), expected)
  const client = new OpenAI({ baseURL: `${both.address}/v1`, apiKey: 'none' })
  const asked = { model: 'other', messages, seed: 3, max_tokens: 12, ...{ ignore_eos: true } }
  assert.equal((await client.chat.completions.create(asked)).choices[0]!.message.content, expected)
  assert.equal((await client.chat.completions.stream(asked).finalChatCompletion()).choices[0]!.message.content,
    expected)
  const response = { model: 'other', input: messages, seed: 3, max_output_tokens: 12, ignore_eos: true }
  assert.equal((await client.responses.create(response as never)).output_text, expected)
  const { tokens } = (await both.post('/tokenize', { model: 'other', messages })).json
  assert.equal((await client.completions.create({
    model: 'other', prompt: tokens, seed: 3, max_tokens: 12, ...{ ignore_eos: true }
  })).choices[0]!.text, expected)
  assert.equal(textOf((await overSocket('/v1/stream',
    { type: 'create', id: 'a', request: { ...sampling, ...asked } }))['completion']), expected)
  assert.equal((await overSocket('/v1/responses',
    { type: 'response.create', ...response }))['response'].output[0].content[0].text, expected)
})

test('texts are tokenised, embedded and measured by the model that is named, or the default', async () => {
  const count = async (server: TinyServer, model?: string): Promise<Json> =>
    (await server.post('/tokenize', { messages, ...(model ? { model } : {}) })).json
  assert.deepEqual(await count(both, 'other'), await count(alone.other))
  assert.deepEqual(await count(both), await count(alone.tiny))
  assert.notDeepEqual((await count(both))['tokens'], (await count(both, 'other'))['tokens'])
  const embed = async (server: TinyServer, model: string): Promise<number[]> =>
    (await server.post('/v1/embeddings', { model, input: 'the an' })).json['data'][0].embedding as number[]
  sameBits(await embed(both, 'other'), await embed(alone.other, 'small'))
  assert.equal((await embed(both, 'tiny')).length, 64)
  assert.match((await get(both, '/tokenizer_info?model=other'))['chat_template'], / the<\|im_end\|>/)
  assert.equal((await get(both, '/tokenizer_info'))['chat_template'], chatTemplate)
  assert.equal(
    (await both.post('/detokenize', { model: 'strange', tokens: [tinyVocabulary.length - 1] })).json['prompt'], 'zzz'
  )
})

test('a model that is not there is a 404 that lists those there are, every way', async () => {
  for (const [path, body] of [
    ['/v1/chat/completions', { messages }], ['/v1/completions', { prompt: 'a' }], ['/v1/responses', { input: 'a' }],
    ['/v1/embeddings', { input: 'a' }], ['/tokenize', { prompt: 'a' }], ['/detokenize', { tokens: [3] }],
    ['/v1/rewards/score', { reward: 'length', input: [{ prompt: 'a', answer: 'b' }] }],
    ['/v1/rewards/fit', { name: 'x', examples: [{ prompt: 'a', chosen: 'b', rejected: 'c' }] }],
    ['/v1/rewards/length/adapt', { name: 'x', examples: [{ prompt: 'a', chosen: 'b', rejected: 'c' }] }],
    ['/v1/rewards/length/suggest', { candidates: [{ prompt: 'a', answers: ['b', 'c'] }] }]
  ] as const) {
    for (const model of ['nobody', 'small']) {
      const { status, json } = await both.post(path, { model, ...body })
      assert.deepEqual([status, json['error'].code, json['error'].message],
        [404, 'model_not_found', `The model "${model}" does not exist; this server has tiny, other, strange`], path)
    }
  }
  assert.equal((await overSocket('/v1/stream',
    { type: 'create', id: 'a', request: { model: 'nobody', messages } }))['error'].code, 'model_not_found')
  assert.equal((await fetch(`${both.address}/tokenizer_info?model=nobody`)).status, 404)
})

test('a profile of one model is not another’s', async () => {
  const { choices, alignment } = await chat(both, { model: 'other:sure-3', seed: 1 })
  assert.equal(alignment.resolved.num_candidates, 3)
  assert.deepEqual(choices, (await chat(alone.other,
    { model: 'small', seed: 1, alignment: { reward: 'sure', num_candidates: 3 } }))['choices'])
  assert.equal((await chat(both, { model: 'other:short-2' }))['alignment'].resolved.num_candidates, 2)
  const { status, json } = await both.post('/v1/chat/completions', { model: 'tiny:sure-3', messages })
  assert.deepEqual([status, json['error'].message],
    [404, 'The model "tiny:sure-3" does not exist: there are the profiles short-2'])
})

test('figures are each model’s, and readiness tells of all', async () => {
  const figure = async (name: string, model: string): Promise<number | null> => {
    const text = await (await fetch(`${both.address}/metrics`)).text()
    const found =
      text.split('\n').find(line => line.startsWith(`fairlead_${name}{`) && line.includes(`model_name="${model}"`))
    return found === undefined ? null : Number(found.split(' ').at(-1))
  }
  assert.equal(await figure('prompt_tokens_total', 'strange'), 0)
  const before = await Promise.all(['tiny', 'other'].map(model => figure('prompt_tokens_total', model)))
  const { usage } = await chat(both, { model: 'other' })
  assert.deepEqual(await Promise.all(['tiny', 'other'].map(model => figure('prompt_tokens_total', model))),
    [before[0], before[1]! + usage.prompt_tokens])
  assert.ok((await figure('engine_steps_total', 'other'))! > 0)
  assert.equal(await figure('num_requests_running', 'other'), 0)
  assert.equal(await figure('prompt_tokens_total', 'nobody'), null)
  const { model, engine, more_models: more } = await get(both, '/ready')
  assert.deepEqual([model, engine.sequences, more.map((one: Json) => [one['model'], one['engine'].sequences])],
    ['tiny', 0, [['other', 0], ['strange', 0]]])
})

test('in a program, a request says which model answers', async () => {
  const fairlead = await Fairlead.start({
    model: file('tiny'),
    moreModels: [`other=${file('small')}`],
    format: 'f32',
    cacheDir: folder,
    dataDir: join(folder, 'program')
  })
  try {
    assert.deepEqual(fairlead.models.map(({ id }) => id), ['tiny', 'other'])
    const ask = async (model?: string): Promise<string | null> => (await fairlead.generate({
      messages, ...sampling, seed: 3, ...(model ? { model } : {})
    })).choices[0]!.message.content
    assert.equal(await ask('other'), textOf(await chat(alone.other, { model: 'small', seed: 3 })))
    assert.equal(await ask(), textOf(await chat(alone.tiny, { model: 'tiny', seed: 3 })))
    await assert.rejects(ask('nobody'), /this server has tiny, other/)
  } finally {
    await fairlead.close()
  }
})

test('a lost thread comes back with all models', async () => {
  const lost = both.post('/v1/chat/completions', { model: 'other', messages, n: 32, max_tokens: 200, ignore_eos: true })
  while ((await get(both, '/ready'))['more_models'][0].engine.sequences === 0);
  await threads[0]!.terminate()
  assert.equal((await lost).status, 503)
  const deadline = Date.now() + 60000
  while ((await fetch(`${both.address}/ready`)).status !== 200) {
    assert.ok(Date.now() < deadline, 'the thread did not come back')
    await new Promise(resolve => { setTimeout(resolve, 50) })
  }
  for (const model of models) {
    assert.equal(textOf(await chat(both, { model, seed: 3 })),
      textOf(await chat(alone[model], { model: ownNames[model], seed: 3 })))
  }
})
