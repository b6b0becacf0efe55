/** Requests through the API on a device: every strategy, and rewards with heads and with models of their own there. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { encodeFloats } from '../../src/rewards/kinds/q-head.js'
import { everyStrategy } from '../helpers/run-strategy.js'
import { tinyTokenizerJson, writeTinyCheckpoint } from '../helpers/tiny-checkpoint.js'
import { tinyServer, type TinyServer } from '../helpers/tiny-server.js'

const folder = mkdtempSync(join(tmpdir(), 'fairlead-vulkan-serving-'))
const rewardsDir = join(folder, 'rewards')
mkdirSync(rewardsDir)
writeTinyCheckpoint(join(folder, 'judge'), { family: 'llama', head: 'score', seed: 4 })
/** What ends a step takes the place of the last byte's token. */
const marker = {
  id: 263, content: '<extra_0>', single_word: false, lstrip: false, rstrip: false, normalized: false, special: true
}
writeTinyCheckpoint(join(folder, 'steps'), {
  family: 'qwen2', head: 'process', labels: 2, tokenizer: { added_tokens: [...tinyTokenizerJson.added_tokens, marker] }
})

const numbers = (count: number): Float32Array => Float32Array.from({ length: count }, (_, index) => Math.sin(index))
const normalization = { mean: 0, std: 1, pool: 'none' }
const members = { outcome: { normalization }, prefix: { normalization } }
const rewards: Record<string, object> = {
  head: {
    kind: 'head',
    members,
    policy: { id: 'none', weightsSha256: '0'.repeat(64), format: 'f32' },
    layer: 1,
    pooling: 'mean',
    weights: [...numbers(64)],
    bias: 0,
    nextToken: {
      layer: 2,
      rank: 2,
      state: encodeFloats(numbers(2 * 65)),
      token: encodeFloats(numbers(2 * 65)),
      fit: { prompts: 1, positions: 1, values: 2, regularization: 0 },
      metrics: { rankCorrelation: 0, standardError: 0, candidates: 2, positions: 1, prompts: 1, split: 'none' }
    }
  },
  judge: { kind: 'classifier', model: '../judge', format: 'f32', members },
  sound: { kind: 'process', model: '../steps', format: 'f32', steps: 'qwen', members }
}
for (const [name, descriptor] of Object.entries(rewards)) {
  writeFileSync(join(rewardsDir, `${name}.json`), JSON.stringify({ name, description: 'x', ...descriptor }))
}

let server: TinyServer
before(async () => {
  server = await tinyServer({
    device: 'webgpu',
    format: 'f32',
    rewardsDir,
    kvCacheBytes: String(1 << 24),
    rewardKvCacheBytes: String(1 << 24),
    prefixCacheBytes: String(1 << 20)
  })
})
after(async () => {
  await server.close()
  rmSync(folder, { recursive: true })
})

const messages = [{ role: 'user', content: 'say the' }]

/** Asks for a chat completion. */
async function ask (request: object): Promise<Record<string, any>> {
  const { status, json } =
    await server.post('/v1/chat/completions', { model: 'tiny', messages, max_tokens: 8, seed: 1, ...request })
  assert.equal(status, 200, JSON.stringify(json))
  return json
}

test('the device is named where the model is', async () => {
  const { models: [model] } = await (await fetch(`${server.address}/version`)).json() as Record<string, any>
  assert.equal(model.device.id, 'webgpu')
})

for (const given of everyStrategy) {
  test(`${JSON.stringify(given)} answers, twice the same`, async () => {
    const reward = given['source'] === 'next_token' ? 'head' : 'length'
    const request = { alignment: { ...given['contrast'] === undefined && { reward }, ...given } }
    const first = await ask(request)
    assert.equal(first['alignment'].strategy, given['strategy'])
    assert.deepEqual((await ask(request))['choices'], first['choices'])
  })
}

for (const reward of Object.keys(rewards)) {
  for (const strategy of ['best_of_n', 'beam_search']) {
    test(`${strategy} by ${reward}`, async () => {
      const shape = strategy === 'best_of_n'
        ? { num_candidates: 4, return_candidates: true }
        : { num_beams: 2, num_children: 2, step: { tokens: 3 } }
      const { choices: [choice] } = await ask({ alignment: { strategy, reward, ...shape } })
      assert.ok(Number.isFinite(choice.alignment.reward), JSON.stringify(choice.alignment))
    })
  }
}

test('a seed brings the same answer beside others as alone', async () => {
  const request = { temperature: 1, max_tokens: 20, seed: 7 }
  const alone = await ask(request)
  const crowd = await Promise.all(Array.from({ length: 12 }, (_, index) => ask({ ...request, seed: 1 + index % 8 })))
  assert.deepEqual(crowd[6]!['choices'], alone['choices'])
})

test('logprobs, penalties, grammars and embeddings are answered', async () => {
  const { choices: [first] } = await ask({ logprobs: true, top_logprobs: 3, temperature: 1 })
  assert.equal(first.logprobs.content[0].top_logprobs.length, 3)
  await ask({ frequency_penalty: 1, logit_bias: { 5: 3 }, top_p: 0.9 })
  const { choices: [{ message }] } = await ask({
    response_format: { type: 'json_schema', json_schema: { name: 'x', schema: { enum: ['yes', 'no'] } } }
  })
  assert.ok(['yes', 'no'].includes(JSON.parse(message.content) as string), message.content)
  const { status, json } = await server.post('/v1/embeddings', { model: 'tiny', input: ['the sea', 'the wind'] })
  assert.equal(status, 200, JSON.stringify(json))
})
