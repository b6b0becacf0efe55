/**
 * Rewards with a model of their own, on tiny models: incremental scores equal reading anew, prompts are read once,
 * requests are guided, mistakes are named.
 */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { parseRewardFamily } from '../../src/rewards/descriptor.js'
import type { Answer, RewardMember } from '../../src/rewards/scorer.js'
import { answerOf, openReward, promptOf, type OpenReward } from '../helpers/open-reward.js'
import { tinyTokenizerJson, writeTinyCheckpoint } from '../helpers/tiny-checkpoint.js'
import { tinyServer, type TinyServer } from '../helpers/tiny-server.js'

const folder = mkdtempSync(join(tmpdir(), 'fairlead-classifier-'))
after(() => { rmSync(folder, { recursive: true }) })
/** Other merges than the policy's: the same text, other tokens. */
const otherMerges = { model: { ...tinyTokenizerJson.model, merges: ['i n', 'a n'] } }
writeTinyCheckpoint(join(folder, 'judge'), { family: 'llama', head: 'score', tokenizer: otherMerges })
writeTinyCheckpoint(join(folder, 'classes'), { family: 'qwen2', head: 'score', labels: 3, seed: 2 })
writeTinyCheckpoint(join(folder, 'writer'), { family: 'qwen3', seed: 3 })

const normalization = { mean: 0, std: 1, pool: 'none' }
const members = { outcome: { normalization }, prefix: { normalization } }
const base = { description: 'x', model: 'judge', format: 'f32', members }

const prompt = promptOf('tell me of the sea and the wind, in a few words')
const answer = answerOf
const opened = (descriptor: object, member: RewardMember, width = 4): Promise<OpenReward> =>
  openReward(join(folder, 'judge.json'), descriptor, member, width)
const values = (reward: OpenReward, answers: readonly Answer[]): Promise<number[]> => reward.score(prompt, answers)

/** Scores of each text as a request scores it that has read nothing before, and the tokens that takes. */
async function anew (
  descriptor: object, member: RewardMember, answers: readonly Answer[]
): Promise<{ scores: number[], tokens: number }> {
  const scores: number[] = []
  let tokens = 0
  for (const one of answers) {
    const fresh = await opened(descriptor, member)
    scores.push(...await values(fresh, [one]))
    tokens += fresh.ledger.rewardTokens
    await fresh.end()
  }
  return { scores, tokens }
}

const text = 'then in the end 🙂 the wind 数字 rests… naïve\n\n  in 1789, and then 👩‍👩‍👧 the rest'
const characters = [...text]

for (const kind of ['classifier', 'value']) {
  test(`${kind}: a growing, forking answer scores as it does read anew, in another tokenizer, for the tokens ` +
    'that are new', async () => {
    const descriptor = { ...base, kind }
    const growing = Array.from({ length: 14 }, (_, step) => characters.slice(0, (step + 1) * 5).join(''))
    // Every prefix, and beside it a fork that ends otherwise.
    const answers =
      growing.flatMap((prefix, step) => [answer(prefix, step === growing.length - 1), answer(`${prefix}in`, false)])
    const one = await opened(descriptor, 'prefix')
    const scores: number[] = []
    for (let at = 0; at < answers.length; at += 2) scores.push(...await values(one, answers.slice(at, at + 2)))
    const expected = await anew(descriptor, 'prefix', answers)
    for (const [index, score] of scores.entries()) {
      assert.ok(Math.abs(score - expected.scores[index]!) <= 1e-4,
        `${JSON.stringify(answers[index]!.text)}: ${score}, anew ${expected.scores[index]}`)
    }
    assert.ok(new Set(expected.scores.map(score => score.toFixed(4))).size > 20, 'scores differ')
    assert.ok(one.ledger.rewardTokens < expected.tokens / 3,
      `${one.ledger.rewardTokens} tokens, anew ${expected.tokens}`)
    assert.equal(await one.end(), 0)
  })
}

test('candidates of one prompt are read side by side, the prompt once; a score does not depend on ' +
  'the others', async () => {
  const descriptor = { ...base, kind: 'classifier' }
  const answers = ['the wind', 'rest', 'in the end', 'then', '', '🙂'].map(one => answer(one, true))
  const together = await opened(descriptor, 'outcome', answers.length)
  const scores = await values(together, answers)
  const alone = await anew(descriptor, 'outcome', answers)
  for (const [index, score] of scores.entries()) assert.ok(Math.abs(score - alone.scores[index]!) <= 1e-4)
  const [empty] = (await anew(descriptor, 'outcome', [answers[4]!])).scores
  assert.ok(Math.abs(scores[4]! - empty!) <= 1e-4)
  const promptTokens = alone.tokens - together.ledger.rewardTokens
  // Five of the six did not read it.
  assert.ok(promptTokens > 5 * 40, `${promptTokens}`)
  await together.end()
})

test('however little room there is, all is read, and nothing else than what it would be', async () => {
  const descriptor = { ...base, kind: 'value' }
  const answers = Array.from({ length: 24 }, (_, index) => answer(characters.slice(0, 3 + 2 * index).join(''), false))
  const narrow = await opened(descriptor, 'prefix', 1)
  assert.equal(narrow.resolved.demands[0]!.sequences, 3)
  const wide = await opened(descriptor, 'prefix', 64)
  const [few, many] = [await values(narrow, answers), await values(wide, answers)]
  for (const [index, score] of few.entries()) assert.ok(Math.abs(score - many[index]!) <= 1e-4)
  await narrow.end()
  await wide.end()
})

test('of several scores the label’s log-odds count', async () => {
  const raws: number[] = []
  for (const label of [0, 1, 2]) {
    const one = await opened({ ...base, kind: 'classifier', model: 'classes', label }, 'outcome')
    raws.push(...await values(one, [answer('the wind', true)]))
    await one.end()
  }
  const sum = raws.reduce((total, raw) => total + 1 / (1 + Math.exp(-raw)), 0)
  assert.ok(Math.abs(sum - 1) < 1e-5, `the classes' probabilities sum to ${sum}`)
})

test('numbers that were regressed on, and labels that hold independently, count as they are', async () => {
  const scoreOf = async (config: Readonly<Record<string, unknown>>, more: object = {}): Promise<number> => {
    writeTinyCheckpoint(join(folder, 'several'), { family: 'qwen2', head: 'score', labels: 5, config })
    const one = await opened({ ...base, kind: 'classifier', model: 'several', label: 4, ...more }, 'outcome')
    const [score] = await one.score(promptOf('what is the sea'), [answer('the wind', true)])
    await one.end()
    return score!
  }
  const near = (given: number, wanted: number): void => { assert.ok(Math.abs(given - wanted) <= 1e-3, `${given}`) }
  near(await scoreOf({ problem_type: 'regression' }), -0.6907)
  near(await scoreOf({ problem_type: 'multi_label_classification' }), -0.6907)
  near(await scoreOf({}, { classes: 'independent' }), -0.6907)
  for (const type of [undefined, null, 'single_label_classification']) {
    near(await scoreOf({ problem_type: type }), -3.1457)
  }
  near(await scoreOf({ problem_type: 'regression' }, { classes: 'exclusive' }), -3.1457)
})

test('a reward is another version with other weights', async () => {
  const versions: string[] = []
  for (const seed of [1, 1, 5]) {
    writeTinyCheckpoint(join(folder, 'changing'), { family: 'llama', head: 'score', seed })
    const one = await opened({ ...base, kind: 'classifier', model: 'changing' }, 'outcome')
    versions.push(one.resolved.scorer.used[0]!.version)
    await one.end()
  }
  assert.equal(versions[0], versions[1])
  assert.notEqual(versions[0], versions[2])
})

test('mistakes are named: no score head, labels, a text that is too long, a folder that is not there', async () => {
  const load = (descriptor: object): Promise<unknown> =>
    opened({ ...base, kind: 'classifier', ...descriptor }, 'outcome')
  await assert.rejects(load({ model: 'writer' }),
    /model writer .*score head/)
  await assert.rejects(load({ model: 'classes' }), /label .*3 scores of classes/)
  await assert.rejects(load({ model: 'classes', label: 3 }),
    /label must be below 3, the number of scores of classes; got 3/)
  await assert.rejects(load({ model: 'nowhere' }), /".*nowhere"/)
  assert.throws(() =>
    parseRewardFamily(JSON.stringify({ name: 'a', ...base, kind: 'classifier', format: 'int3' }), 'a.json'), /\/format/)
  const one = await opened({ ...base, kind: 'classifier' }, 'outcome')
  await assert.rejects(values(one, [answer('x'.repeat(600), true)]),
    (error: Error & { code?: string }) => error.code === 'context_length_exceeded' &&
      /512 tokens; .* 6\d\d/.test(error.message))
  await one.end()
})

let server: TinyServer
before(async () => {
  const rewards = join(folder, 'rewards')
  mkdirSync(rewards)
  const write = (name: string, descriptor: object): void => {
    writeFileSync(join(rewards, `${name}.json`), JSON.stringify({ name, ...base, model: '../judge', ...descriptor }))
  }
  write('judge', { kind: 'classifier' })
  write('worth', { kind: 'value' })
  write('both', {
    kind: 'ensemble',
    combine: 'mean',
    model: undefined,
    format: undefined,
    members: undefined,
    scorers: [{ kind: 'classifier', model: '../judge', format: 'f32', members },
      { kind: 'value', model: '../judge', format: 'f32', members }]
  })
  server = await tinyServer({ rewardsDir: rewards, format: 'f32' })
})
after(async () => { await server.close() })

const chat = (alignment: object, more: object = {}): Promise<{ status: number, json: Record<string, any> }> =>
  server.post('/v1/chat/completions',
    { model: 'tiny', messages: [{ role: 'user', content: 'say' }], max_tokens: 12, seed: 5, alignment, ...more })

test('every way of guiding takes them, counts their tokens, and gives the same tokens beside other ' +
  'requests', async () => {
  const alignments = [
    { strategy: 'best_of_n', num_candidates: 6, reward: 'judge' },
    { strategy: 'best_of_n', num_candidates: 4, reward: 'both' },
    { strategy: 'beam_search', num_beams: 2, num_children: 2, step: { tokens: 3 }, reward: 'judge' },
    { strategy: 'particle_filter', num_particles: 4, step: { tokens: 4 }, reward: 'worth' },
    { strategy: 'token_guidance', candidates: { top_k: 4 }, strength: 3, reward: 'worth' }
  ]
  const alone: Array<Record<string, any>> = []
  for (const alignment of alignments) {
    const { status, json } = await chat(alignment)
    assert.equal(status, 200, JSON.stringify(json))
    assert.ok(json['usage'].alignment_details.reward_tokens > 20, JSON.stringify(json['usage']))
    alone.push(json)
  }
  const together = await Promise.all([...alignments.map(alignment => chat(alignment)),
    chat({}, { alignment: null, seed: 9, max_tokens: 64 }), ...Array.from({ length: 4 }, (_, seed) =>
      chat({ strategy: 'best_of_n', num_candidates: 8, reward: 'judge' }, { seed }))])
  for (const [index, before] of alone.entries()) {
    assert.equal(together[index]!.json['choices'][0].message.content, before['choices'][0].message.content)
  }
})

test('given answers are scored, whole and as they grow, and a caller who leaves is forgotten', async () => {
  const input = ['then the end', 'in the wind 🙂 数字'].map(one => ({ prompt: 'say', answer: one }))
  const { json } = await server.post('/v1/rewards/score', { reward: 'judge', input, every: 3 })
  for (const item of json['data']) {
    for (const prefix of item.prefixes.slice(0, -1)) assert.ok(Number.isFinite(prefix.reward))
    assert.equal(item.prefixes.at(-1).reward, item.reward)
  }
  const { json: whole } = await server.post('/v1/rewards/score', { reward: 'judge', input })
  for (const [index, item] of whole['data'].entries()) {
    assert.ok(Math.abs(item.reward - json['data'][index].reward) <= 1e-4)
  }
  assert.ok(whole['usage'].computed_tokens > 20)
  const controller = new AbortController()
  const left = fetch(`${server.address}/v1/rewards/score`, {
    method: 'POST',
    signal: controller.signal,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ reward: 'judge', input: Array.from({ length: 60 }, () => input[1]), every: 1 })
  })
  setImmediate(() => { controller.abort() })
  await assert.rejects(left)
  const { status } = await server.post('/v1/rewards/score', { reward: 'judge', input })
  assert.equal(status, 200)
})

test('GET /v1/rewards tells what they are, and not where', async () => {
  const json = await (await fetch(`${server.address}/v1/rewards`)).json() as Record<string, any>
  const judge = json['data'].find((one: { id?: string, name?: string }) => (one.id ?? one.name) === 'judge')
  assert.equal(judge.kind, 'classifier')
  assert.ok(!JSON.stringify(judge).includes('../judge'))
})
