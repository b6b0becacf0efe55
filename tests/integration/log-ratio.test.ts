/**
 * Ratios of probabilities, on tiny models: equal to summing token by token, growing or whole, of two models or of the
 * policy and itself.
 */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test, type TestContext } from 'node:test'
import type { Engine } from '../../src/engine/engine.js'
import type { ModelRuntime } from '../../src/engine/model-runtime.js'
import { encodeChat } from '../../src/models/tokenizer/chat-template.js'
import { loadModel, type LoadedModel } from '../../src/models/model.js'
import { parseRewardFamily } from '../../src/rewards/descriptor.js'
import { createRuntime } from '../../src/serving/load-runtime.js'
import { closedAfter } from '../helpers/closed-after.js'
import { answerOf, openReward, promptOf } from '../helpers/open-reward.js'
import { tinyTokenizerJson, writeTinyCheckpoint } from '../helpers/tiny-checkpoint.js'
import { tinyServer, type TinyServer } from '../helpers/tiny-server.js'

const folder = mkdtempSync(join(tmpdir(), 'fairlead-ratio-'))
after(() => { rmSync(folder, { recursive: true }) })
writeTinyCheckpoint(join(folder, 'tuned'),
  { family: 'qwen3', seed: 3, tokenizer: { model: { ...tinyTokenizerJson.model, merges: ['i n', 'a n'] } } })
writeTinyCheckpoint(join(folder, 'base'), { family: 'llama', seed: 4 })

const normalization = { mean: 0, std: 1, pool: 'none' }
const members = { outcome: { normalization }, prefix: { normalization } }
const ratio = (
  toward: object, away: object, more: object = {}
): object => ({ kind: 'log_ratio', toward, away, members, ...more })
const two = ratio({ model: 'tuned', format: 'f32' }, { model: 'base', format: 'f32', system: 'be brief' })
const question = 'tell me of the sea and the wind'
const prompt = promptOf(question)
/** A model that is given back when the test ends. */
async function load (t: TestContext, name: string): Promise<LoadedModel> {
  const model = join(folder, name)
  return closedAfter(t, await loadModel({ model, format: 'f32', threads: 1, cacheDir: folder, contextLength: 0 }))
}

/** A runtime whose engine is closed when the test ends. */
function runtimeOf (t: TestContext, model: LoadedModel): ModelRuntime {
  const room = { maxSequences: 32, kvCacheBytes: 2 ** 24, prefixCacheBytes: 0, maxQueued: 0 }
  const runtime = createRuntime(model, { ...room, prefillTokensPerStep: 512 })
  closedAfter(t, runtime.engine)
  return runtime
}

/** ln probability of an answer, one token after the other. */
async function tokenByToken (model: LoadedModel, engine: Engine, system: string | null, text: string): Promise<number> {
  const context = encodeChat(model.chatTemplate, model.tokenizer,
    [...(system === null ? [] : [{ role: 'system', content: system }]), { role: 'user', content: question }]).tokens
  const sequence = engine.open(context)
  let sum = 0
  for (const token of model.tokenizer.encode(text)) {
    const { distribution: { logits, logNormalizer } } = await sequence.output()
    sum += logits[token]! - logNormalizer
    sequence.append(token)
  }
  sequence.close()
  return sum
}

const text = 'then in the end 🙂 the wind 数字 rests… naïve\n\n  in 1789'
const characters = [...text]
const growing = Array.from({ length: 10 }, (_, step) => characters.slice(0, (step + 1) * 5).join(''))
const pairs = growing.map(prefix => [prefix, `${prefix}in`] as const)

test('two models: a growing, forking answer scores as the sum over its tokens, for the tokens ' +
  'that are new', async t => {
  const [tuned, base] = [await load(t, 'tuned'), await load(t, 'base')]
  const [up, down] = [runtimeOf(t, tuned).engine, runtimeOf(t, base).engine]
  const reward = await openReward(join(folder, 'r.json'), two, 'prefix')
  let whole = 0
  for (const pair of pairs) {
    const scores = await reward.score(prompt, pair.map(one => answerOf(one, false)))
    for (const [index, one] of pair.entries()) {
      const expected = await tokenByToken(tuned, up, null, one) - await tokenByToken(base, down, 'be brief', one)
      assert.ok(Math.abs(scores[index]! - expected) <= 1e-4 * Math.max(1, Math.abs(expected)),
        `${JSON.stringify(one)}: ${scores[index]}, token by token ${expected}`)
      whole += tuned.tokenizer.encode(one).length + base.tokenizer.encode(one).length
    }
  }
  assert.ok(reward.ledger.rewardTokens < whole / 2, `${reward.ledger.rewardTokens} tokens of ${whole}`)
  assert.deepEqual(await reward.score(prompt, [answerOf('', false)]), [0])
  assert.equal(await reward.end(), 0)
})

test('the policy against itself: no other model is loaded, and a mean is one per token', async t => {
  const model = await load(t, 'base')
  const runtime = runtimeOf(t, model)
  const { engine } = runtime
  const itself = ratio({ system: 'the sea is all' }, {}, { beta: 0.5 })
  const reward = await openReward(join(folder, 'r.json'), itself, 'outcome', 2, runtime)
  const mean = await openReward(join(folder, 'r.json'), { ...itself, per: 'token' }, 'outcome', 2, runtime)
  const expected =
    0.5 * (await tokenByToken(model, engine, 'the sea is all', text) - await tokenByToken(model, engine, null, text))
  const [score] = await reward.score(prompt, [answerOf(text, true)])
  assert.ok(Math.abs(score! - expected) <= 1e-4, `${score}, expected ${expected}`)
  const [each] = await mean.score(prompt, [answerOf(text, true)])
  assert.ok(Math.abs(each! * model.tokenizer.encode(text).length - expected) <= 1e-4)
  assert.ok(reward.resolved.demands.every(demand => demand.runtime === runtime))
  await reward.end()
  assert.equal(await mean.end(), 0)
})

test('ratios that say nothing, and models that write nothing, are refused', async () => {
  writeTinyCheckpoint(join(folder, 'judge'), { family: 'llama', head: 'score' })
  const parse = (descriptor: object): unknown =>
    parseRewardFamily(JSON.stringify({ name: 'r', description: 'x', ...descriptor }), join(folder, 'r.json'))
  assert.throws(() => parse(ratio({}, {})),
    /toward and away must differ in their model, its adapter or layers, or their system message/)
  assert.throws(() => parse(ratio({ model: 'base', temperature: 2 }, {})), /unknown field temperature/)
  assert.throws(() => parse(ratio({ model: 'base' }, {}, { beta: 0 })), /\/beta/)
  await assert.rejects(openReward(join(folder, 'r.json'), ratio({ model: 'judge' }, {}), 'outcome'),
    /toward: judge .*score head/)
  await assert.rejects(openReward(join(folder, 'r.json'), ratio({ system: 'a', format: 'q8' }, {}), 'outcome'),
    /toward: format/)
})

let server: TinyServer
before(async () => {
  const rewards = join(folder, 'rewards')
  mkdirSync(rewards)
  const write = (name: string, descriptor: object): void => {
    writeFileSync(join(rewards, `${name}.json`), JSON.stringify({ name, description: 'x', ...descriptor }))
  }
  write('sea', ratio({ system: 'the sea is all' }, {}))
  write('tuned', ratio({ model: '../tuned', format: 'f32' }, { model: '../base', format: 'f32' }))
  server = await tinyServer({ rewardsDir: rewards, format: 'f32', kvCacheBytes: String(1 << 22) })
})
after(async () => { await server.close() })

test('searches are guided by them, alone and side by side, and everything is given back', async () => {
  const chat = (alignment: object, seed: number): Promise<{ status: number, json: Record<string, any> }> =>
    server.post('/v1/chat/completions',
      { model: 'tiny', messages: [{ role: 'user', content: 'say' }], max_tokens: 12, seed, alignment })
  const alignments = [{ strategy: 'best_of_n', num_candidates: 6, reward: 'sea' }, {
    strategy: 'beam_search',
    num_beams: 2,
    num_children: 2,
    step: { tokens: 4 },
    rewards: [{ name: 'sea' }, { name: 'tuned' }]
  }]
  const alone = [await chat(alignments[0]!, 1), await chat(alignments[1]!, 2)]
  for (const { status, json } of alone) {
    assert.equal(status, 200, JSON.stringify(json))
    assert.ok(json['usage'].alignment_details.reward_tokens > 24)
  }
  const together = await Promise.all([...alignments.map((alignment, index) => chat(alignment, index + 1)),
    ...Array.from({ length: 6 }, (_, seed) => chat(alignments[seed % 2]!, seed + 10))])
  for (const [index, { json }] of alone.entries()) {
    assert.equal(together[index]!.json['choices'][0].message.content, json['choices'][0].message.content)
  }
  const { engine } =
    await (await fetch(`${server.address}/ready`)).json() as { engine: { sequences: number, runningRequests: number } }
  assert.deepEqual([engine.sequences, engine.runningRequests], [0, 0])
})
