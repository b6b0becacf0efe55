/**
 * One server with several models: each answers as a server with it alone does, whoever else is answered; what is told
 * and counted of each.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, mock, test } from 'node:test'
import type { Worker } from 'node:worker_threads'
import { Fairlead } from 'fairlead'
import OpenAI from 'openai'
import { WebSocket } from 'ws'
import { loadConfig } from '../../src/config.js'
import { createHosts } from '../../src/serving/model-runtime.js'
import { Tensor } from '../../src/runtime/tensor.js'
import { writeTinyCheckpoint } from '../helpers/tiny-checkpoint.js'
import { sameBits } from '../helpers/same-bits.js'
import { writeTinyGguf } from '../helpers/tiny-gguf.js'
import { tinyServer, type TinyServer } from '../helpers/tiny-server.js'
import { chatTemplate, tinyVocabulary } from '../helpers/tiny-vocabulary.js'

type Json = Record<string, any>

const folder = mkdtempSync(join(tmpdir(), 'fairlead-models-'))
const file = (name: string): string => join(folder, `${name}.gguf`)
writeTinyGguf(file('tiny'))
// Another width, depth, context and template.
writeTinyGguf(file('small'), {
  seed: 7,
  layers: 3,
  hiddenSize: 32,
  queryHeads: 2,
  kvHeads: 1,
  contextLength: 256,
  metadata: { 'tokenizer.chat_template': chatTemplate.replaceAll('<|im_end|>', ' the<|im_end|>') }
})
writeTinyGguf(file('strange'), {
  seed: 9,
  metadata: {
    'tokenizer.ggml.tokens': tinyVocabulary.map((token, id) => id === tinyVocabulary.length - 1 ? 'zzz' : token)
  }
})
writeTinyCheckpoint(join(folder, 'judge'), { family: 'llama', head: 'score' })

const members = { outcome: { normalization: { mean: 0, std: 1, pool: 'none' } } }
const rewardsDir = join(folder, 'rewards')
mkdirSync(rewardsDir)
for (const reward of [
  { name: 'sure', kind: 'confidence', measure: 'mean_logprob', members },
  { name: 'nearer', kind: 'log_ratio', toward: { system: 'the an' }, away: {}, members },
  { name: 'judged', kind: 'classifier', model: '../judge', format: 'f32', members }
]) writeFileSync(join(rewardsDir, `${reward.name}.json`), JSON.stringify({ description: 'x', ...reward }))

const settings = `
profiles:
  short-2:
    alignment: {strategy: best_of_n, num_candidates: 2, rewards: [{name: length, weight: -1}]}
  sure-3:
    model: other
    alignment: {strategy: best_of_n, num_candidates: 3, reward: sure}
`

/** The threads of inference, in the order in which they were started. */
const threads: Worker[] = []
process.on('worker', started => { threads.push(started) })

/** Both models, each alone, and both together. */
let both: TinyServer
let alone: Record<string, TinyServer>
before(async () => {
  writeFileSync(join(folder, 'settings.yaml'), settings)
  const own = { cacheDir: folder, rewardsDir, format: 'f32' }
  both = await tinyServer({
    ...own,
    model: file('tiny'),
    moreModels: `other=${file('small')},strange=${file('strange')}`,
    contrastModels: `expert=${file('small')}`,
    dataDir: join(folder, 'data'),
    config: join(folder, 'settings.yaml')
  })
  alone = {
    tiny: await tinyServer({ ...own, model: file('tiny') }), other: await tinyServer({ ...own, model: file('small') })
  }
})
after(async () => {
  for (const server of [both, ...Object.values(alone)]) await server.close()
  rmSync(folder, { recursive: true })
})

const get = async (path: string, server = both): Promise<Json> =>
  await (await fetch(`${server.address}${path}`)).json() as Json
const messages = [{ role: 'user' as const, content: 'the an' }]
const drawing = { max_tokens: 12, ignore_eos: true }
/** What a model is called on a server of its own. */
const ownName = (model: string): string => model === 'other' ? 'small' : model

async function chat (server: TinyServer, body: object): Promise<Json> {
  const { status, json } = await server.post('/v1/chat/completions', { messages, ...drawing, ...body })
  assert.equal(status, 200, JSON.stringify(json))
  return json
}
const textOf = (completion: Json): string => completion['choices'][0].message.content as string

test('models and their profiles are listed, the default first, each with its facts', async () => {
  const { data } = await get('/v1/models')
  assert.deepEqual(data.map(({ id, parent = null, max_model_len: length }: Json) => [id, parent, length]), [
    ['tiny', null, 512], ['tiny:short-2', 'tiny', 512],
    ['other', null, 256], ['other:short-2', 'other', 256], ['other:sure-3', 'other', 256],
    ['strange', null, 512], ['strange:short-2', 'strange', 512]
  ])
  assert.equal((await get('/v1/models/other'))['max_model_len'], 256)
  assert.match((await get('/v1/models/small'))['error'].message, /this server has tiny, .*other/)
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
  const jobs = ['tiny', 'other'].flatMap(model => [{}, { n: 4 }, guided,
    { alignment: { reward: 'sure', num_candidates: 4 } },
    { alignment: { reward: 'judged', num_candidates: 4 } }].map((more, seed) => ({ model, body: { seed, ...more } })))
  const together = await Promise.all(jobs.map(({ model, body }) => chat(both, { model, ...body })))
  for (const [index, { model, body }] of jobs.entries()) {
    const { choices, usage, system_fingerprint: fingerprint } =
      await chat(alone[model]!, { model: ownName(model), ...body })
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
  const expected = textOf(await chat(alone['other']!, { model: 'small', seed: 3 }))
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
    { type: 'create', id: 'a', request: { ...drawing, ...asked } }))['completion']), expected)
  assert.equal((await overSocket('/v1/responses',
    { type: 'response.create', ...response }))['response'].output[0].content[0].text, expected)
})

test('texts are tokenised, embedded and measured by the model that is named, or the default', async () => {
  const count = async (server: TinyServer, model?: string): Promise<Json> =>
    (await server.post('/tokenize', { messages, ...(model ? { model } : {}) })).json
  assert.deepEqual(await count(both, 'other'), await count(alone['other']!))
  assert.deepEqual(await count(both), await count(alone['tiny']!))
  assert.notDeepEqual((await count(both))['tokens'], (await count(both, 'other'))['tokens'])
  const embed = async (server: TinyServer, model: string): Promise<number[]> =>
    (await server.post('/v1/embeddings', { model, input: 'the an' })).json['data'][0].embedding as number[]
  sameBits(await embed(both, 'other'), await embed(alone['other']!, 'small'))
  assert.equal((await embed(both, 'tiny')).length, 64)
  assert.match((await get('/tokenizer_info?model=other'))['chat_template'], / the<\|im_end\|>/)
  assert.equal((await get('/tokenizer_info'))['chat_template'], chatTemplate)
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
  assert.deepEqual(choices, (await chat(alone['other']!,
    { model: 'small', seed: 1, alignment: { reward: 'sure', num_candidates: 3 } }))['choices'])
  assert.equal((await chat(both, { model: 'other:short-2' }))['alignment'].resolved.num_candidates, 2)
  const { status, json } = await both.post('/v1/chat/completions', { model: 'tiny:sure-3', messages })
  assert.deepEqual([status, json['error'].message],
    [404, 'The model "tiny:sure-3" does not exist: there are the profiles short-2'])
})

test('rewards that read through the policy read through the one that answered, and a model that one brings is ' +
  'loaded once', async () => {
  const scores = async (server: TinyServer, model: string): Promise<number[]> => {
    const raw: number[] = []
    for (const reward of ['sure', 'nearer', 'judged']) {
      raw.push((await server.post(
        '/v1/rewards/score', { model, reward, reward_scale: 'raw', input: [{ prompt: 'the', answer: 'an in on' }] }
      )).json['data'][0].reward as number)
    }
    return raw
  }
  const [tiny, other] = [await scores(both, 'tiny'), await scores(both, 'other')]
  assert.deepEqual(tiny, await scores(alone['tiny']!, 'tiny'))
  assert.deepEqual(other, await scores(alone['other']!, 'small'))
  assert.notEqual(tiny[0], other[0])
  assert.notEqual(tiny[1], other[1])
  assert.equal(tiny[2], other[2])
  // The judge, and the model to contrast with.
  assert.equal((await get('/ready'))['engine'].rewardModels.length, 2)
})

test('a head fits models of its shape only: it says which, and is used for them where none is named', async () => {
  const examples = Array.from({ length: 30 },
    (_, index) => ({ prompt: `the ${index}`, chosen: `an in ${index}`, rejected: `on ${index}` }))
  const fitted =
    await both.post('/v1/rewards/fit', { model: 'other', name: 'mine', examples, layers: [2], directions: 1 })
  assert.equal(fitted.status, 200, JSON.stringify(fitted.json))
  assert.deepEqual(fitted.json['models'], ['other'])
  const listed =
    Object.fromEntries((await get('/v1/rewards'))['data'].map(({ id, models }: Json) => [id, models])) as Json
  assert.deepEqual([listed['mine'], listed['length'], listed['sure']],
    [['other'], ['tiny', 'other', 'strange'], ['tiny', 'other', 'strange']])

  assert.equal((await chat(both, { model: 'other', alignment: { reward: 'mine' } }))['alignment'].rewards_used[0].name,
    'mine')
  const misfit = /reward mine was fitted on other with hidden states of width 32; the model tiny has width 64/
  for (const refused of [
    await both.post('/v1/chat/completions', { model: 'tiny', messages, alignment: { reward: 'mine' } }),
    await both.post('/v1/rewards/score', { model: 'tiny', reward: 'mine', input: [{ prompt: 'the', answer: 'an' }] }),
    await both.post('/v1/rewards/mine/suggest',
      { model: 'tiny', candidates: [{ prompt: 'the', answers: ['an', 'in'] }] })
  ]) {
    assert.equal(refused.status, 400)
    assert.match(refused.json['error'].message, misfit)
  }
  const input = [{ prompt: 'the', answer: 'an' }, { prompt: 'the', answer: 'on' }]
  const scored = (await both.post('/v1/rewards/score', { reward: 'mine', input })).json
  assert.equal(scored['model'], 'other')
  const values = scored['data'].map(({ reward }: Json) => Number(reward.toFixed(6)))
  assert.deepEqual((await both.post('/v1/score',
    { model: 'mine', text_1: 'the', text_2: ['an', 'on'] })).json['data'].map(({ score }: Json) => score), values)
  assert.equal((await both.post('/v1/rerank',
    { model: 'mine', query: 'the', documents: ['an', 'on'] })).json['results'][0].relevance_score, Math.max(...values))
  assert.deepEqual((await both.post('/v1/rewards/mine/adapt',
    { name: 'ours', examples: examples.slice(0, 3) })).json['models'], ['other'])
  assert.equal((await both.post('/v1/rewards/mine/suggest',
    { candidates: [{ prompt: 'the', answers: ['an', 'in'] }] })).status, 200)
  for (const name of ['ours', 'mine']) {
    assert.equal((await fetch(`${both.address}/v1/rewards/${name}`, { method: 'DELETE' })).status, 200)
  }
})

test('a model to contrast with is offered to the models whose tokens it has', async () => {
  const alignment = { strategy: 'token_guidance', contrast: { toward: { model: 'expert' }, away: {} } }
  const greedy = { temperature: 0, alignment: { ...alignment, candidates: { top_k: 0 } } }
  assert.equal(textOf(await chat(both, { model: 'other', ...greedy })),
    textOf(await chat(both, { model: 'other', temperature: 0 })))
  await chat(both, { model: 'tiny', ...greedy })
  const { status, json } =
    await both.post('/v1/chat/completions', { model: 'strange', messages: [{ role: 'user', content: 'b' }], alignment })
  assert.equal(status, 400)
  assert.match(json['error'].message, /this one has none for the model/)
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
  const { model, engine, more_models: more } = await get('/ready')
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
      messages, ...drawing, seed: 3, ...(model ? { model } : {})
    })).choices[0]!.message.content
    assert.equal(await ask('other'), textOf(await chat(alone['other']!, { model: 'small', seed: 3 })))
    assert.equal(await ask(), textOf(await chat(alone['tiny']!, { model: 'tiny', seed: 3 })))
    await assert.rejects(ask('nobody'), /this server has tiny, other/)
  } finally {
    await fairlead.close()
  }
})

test('a context that there is no memory for stops the start, whoever has it', async () => {
  const { allocate } = Tensor
  const start = (refusedLength: number): Promise<unknown> => {
    const refusing = mock.method(Tensor, 'allocate', (...[type, dims]: Parameters<typeof allocate>) => {
      if (dims.length === 4 && dims[2] === refusedLength) throw new Error('std::bad_alloc')
      return allocate.call(Tensor, type, dims)
    })
    return createHosts(loadConfig({
      model: file('tiny'),
      format: 'f32',
      cacheDir: folder,
      dataDir: join(folder, 'none'),
      contextLength: '128',
      contrastModels: `expert=${file('small')}`
    }, {}), () => {}).finally(() => { refusing.mock.restore() })
  }
  await assert.rejects(start(128),
    /^RequestError: context-length must be one that there is memory for; got 128: the KV of 32 sequences of 128 tokens needs 4 buffers of \d+ bytes, and the system refuses to reserve them$/)
  await assert.rejects(start(256),
    /^RequestError: small .*256 tokens, .*: the KV of 32 sequences of 256 tokens/)
})

test('models that cannot be served stop the start, and say which and why', async () => {
  const start = (moreModels: string): Promise<unknown> => createHosts(
    loadConfig({ model: file('tiny'), cacheDir: folder, dataDir: join(folder, 'none'), moreModels }, {}), () => {}
  )
  for (const [moreModels, message] of [
    [file('small'), /^more-models: must hold models as name=path, .*small\.gguf"$/],
    [`a b=${file('small')}`, /more-models: must hold models as name=path.*got "a b=/],
    [`tiny=${file('small')}`, /more-models: tiny is what the default model is called/],
    [`a=${file('small')},a=${file('strange')}`, /more-models: a is there twice/],
    [`a=${file('nowhere')}`, /more-models: a: .*nowhere\.gguf/],
    ['a=nobody', /more-models: a: .*"nobody"/],
    [`a=${join(folder, 'judge')}`, /more-models: a: model a scores texts and cannot write them/]
  ] as const) await assert.rejects(start(moreModels), ({ message: said }: Error) => message.test(said), moreModels)
  writeFileSync(join(folder, 'wrong.yaml'), 'profiles: {x: {model: small, alignment: {reward: length}}}')
  await assert.rejects(tinyServer({ config: join(folder, 'wrong.yaml'), moreModels: `other=${file('small')}` }),
    /profiles\.x\.model must be one of tiny, other; got "small"/)
})

test('a lost thread comes back with all models', async () => {
  const lost = both.post('/v1/chat/completions', { model: 'other', messages, n: 32, max_tokens: 200, ignore_eos: true })
  while ((await get('/ready'))['more_models'][0].engine.sequences === 0);
  await threads[0]!.terminate()
  assert.equal((await lost).status, 503)
  const deadline = Date.now() + 60000
  while ((await fetch(`${both.address}/ready`)).status !== 200) {
    assert.ok(Date.now() < deadline, 'the thread did not come back')
    await new Promise(resolve => { setTimeout(resolve, 50) })
  }
  for (const model of ['tiny', 'other']) {
    assert.equal(textOf(await chat(both, { model, seed: 3 })),
      textOf(await chat(alone[model]!, { model: ownName(model), seed: 3 })))
  }
})
