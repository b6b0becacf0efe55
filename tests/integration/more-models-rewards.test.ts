/** Rewards, and models to contrast with, on a server with several models. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  chat, get, messages, modelServers, textOf, type Json, type ModelServers
} from '../helpers/model-servers.js'
import type { TinyServer } from '../helpers/tiny-server.js'

let both: ModelServers['both']
let alone: ModelServers['alone']
let close: ModelServers['close']
before(async () => { ({ both, alone, close } = await modelServers()) })
after(() => close())

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
  assert.deepEqual(tiny, await scores(alone.tiny, 'tiny'))
  assert.deepEqual(other, await scores(alone.other, 'small'))
  assert.notEqual(tiny[0], other[0])
  assert.notEqual(tiny[1], other[1])
  assert.equal(tiny[2], other[2])
  // The judge, and the model to contrast with.
  assert.equal((await get(both, '/ready'))['engine'].rewardModels.length, 2)
})

test('a head fits models of its shape only: it says which, and is used for them where none is named', async () => {
  const examples = Array.from({ length: 30 },
    (_, index) => ({ prompt: `the ${index}`, chosen: `an in ${index}`, rejected: `on ${index}` }))
  const fitted =
    await both.post('/v1/rewards/fit', { model: 'other', name: 'mine', examples, layers: [2], directions: 1 })
  assert.equal(fitted.status, 200, JSON.stringify(fitted.json))
  assert.deepEqual(fitted.json['models'], ['other'])
  const listed =
    Object.fromEntries((await get(both, '/v1/rewards'))['data'].map(({ id, models }: Json) => [id, models])) as Json
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
