/** Token guidance by Q-heads inside an engine elsewhere, through the whole server. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import type { Entry } from '../../src/journal/entries.js'
import { fold } from '../../src/journal/fold.js'
import type { Fault, FakeEngine, FakeEngineOptions } from '../helpers/fake-engine.js'
import { drawGuided, guidedScores } from '../helpers/fake-guidance.js'
import { assertUsage } from '../helpers/journals.js'
import {
  elsewhere, tinyEngineElsewhere, tinyGuide, tinyHead, tinyHeadValue, withHead
} from '../helpers/tiny-engine-elsewhere.js'
import { tinyModel } from '../helpers/tiny-model.js'
import { startTinyServers, type TinyServer } from '../helpers/tiny-server.js'

const startServer = startTinyServers()
const rewardsDir = mkdtempSync(join(tmpdir(), 'fairlead-guidance-'))
after(() => { rmSync(rewardsDir, { recursive: true }) })
const write = (head: { readonly name: string }): void =>
  writeFileSync(join(rewardsDir, `${head.name}.json`), JSON.stringify(head))
write(tinyHead)
write({ ...tinyHead, name: 'refitted', nextToken: { ...tinyHead.nextToken, layer: 0 } } as typeof tinyHead)
write({ ...tinyHead, name: 'reweighed', bias: 1 } as typeof tinyHead)

const { tokenizer } = tinyModel
const prompt = 'abc'
const [letter] = tokenizer.encode('c') as [number]
const alignment = { strategy: 'token_guidance', method: 'q_head', reward: 'tinted', strength: 3 }
const body = { model: 'org/tiny', prompt, max_tokens: 12, seed: 7, return_token_ids: true, alignment }

async function open (options: Partial<FakeEngineOptions> = {}): Promise<{ engine: FakeEngine, server: TinyServer }> {
  const engine = await tinyEngineElsewhere({ ...withHead, ...options })
  const server = await startServer(
    { policy: `${engine.url}#org/tiny`, policyTokenizer: 'FOLDER/tiny.gguf', rewardsDir })
  engine.calls.length = 0
  return { engine, server }
}

/** The greedy answer by the formula. */
function greedy (strength: number, length: number, bias: ReadonlyMap<number, number> = new Map()): number[] {
  const start = tokenizer.encode(prompt)
  const answer: number[] = []
  while (answer.length < length && answer.at(-1) !== elsewhere.endToken) {
    const scores = guidedScores(tinyGuide, strength, 64, {
      logits: elsewhere.logits([...start, ...answer]).map((logit, token) => logit + (bias.get(token) ?? 0)),
      temperature: 0,
      isEnd: token => token === elsewhere.endToken,
      count: answer.length,
      sum: answer.reduce((sum, token) => sum + tinyHeadValue(token), 0)
    })
    answer.push(drawGuided(scores, null))
  }
  return answer
}

const mean = (tokens: readonly number[]): number =>
  tokens.reduce((sum, token) => sum + tinyHeadValue(token), 0) / tokens.length

test('greedy answers are those of the formula, in a call and one for the last value; the head scores', async () => {
  for (const generates of [true, false]) {
    const { engine, server } = await open({ generates })
    for (const strength of [4, -4]) {
      for (const [more, bias] of [
        [{}, new Map()], [{ logit_bias: { [letter]: 2 } }, new Map([[letter, 2]])]
      ] as const) {
        engine.calls.length = 0
        const { status, json } = await server.post('/v1/completions',
          { ...body, ...more, temperature: 0, alignment: { ...alignment, strength } })
        assert.equal(status, 200, JSON.stringify(json))
        const { token_ids: tokens, alignment: { rewards } } = json['choices'][0]
        const expected = greedy(strength, 12, bias)
        assert.deepEqual(tokens, expected)
        const read = expected.filter(token => token !== elsewhere.endToken)
        assert.ok(Math.abs(rewards.tinted.raw - mean(read)) < 1e-5)
        assert.equal(engine.calls.length, read.length === 12 ? 2 : 1)
        assert.deepEqual([json['alignment'].kl.value, json['alignment'].warnings], [null, []])
      }
    }
    assert.notDeepEqual(greedy(4, 12), greedy(-4, 12))
  }
})

test('drawn answers move by strength, repeat by seed, stream, and say that their KL is unknown', async () => {
  const { server } = await open()
  const scoreOf = async (more: object): Promise<[number, unknown]> => {
    const { status, json } = await server.post('/v1/completions', { ...body, n: 8, ...more })
    assert.equal(status, 200, JSON.stringify(json))
    const choices = json['choices'] as Array<Record<string, any>>
    assert.deepEqual(json['alignment'].kl, { value: null, kind: null })
    assert.equal(json['alignment'].warnings[0].code, 'kl_unknown')
    return [choices.reduce((sum, { alignment: { rewards } }) => sum + (rewards.tinted.raw as number), 0) / 8,
      choices.map(({ text }) => text as string)]
  }
  const [up, texts] = await scoreOf({ alignment: { ...alignment, strength: 6 } })
  assert.deepEqual(await scoreOf({ alignment: { ...alignment, strength: 6 } }), [up, texts])
  const [down] = await scoreOf({ alignment: { ...alignment, strength: -6 } })
  assert.ok(up > down, `${up} and ${down}`)
  const chunks = await server.stream('/v1/completions',
    { ...body, stream_options: { include_journal: true, include_usage: true } })
  const texted = chunks.map(chunk => chunk['choices'][0]?.text ?? '').filter(text => text !== '')
  assert.ok(texted.length > 3, `${texted.length} messages with text`)
  const { json } = await server.post('/v1/completions', body)
  assert.equal(texted.join(''), json['choices'][0].text)
  const run = fold(chunks.flatMap(({ journal }) => (journal ?? []) as Entry[]))
  assert.deepEqual([run.candidates.get(0)!.text, run.missing], [texted.join(''), 0])
  assertUsage(run.done!.usage, chunks.at(-1)!['usage'])
})

test('an answer that is interrupted, or shares a budget, goes on as if it were in one piece', async () => {
  let fault: Fault | null = null
  const { engine, server } = await open({
    fault: () => {
      const now = fault
      fault = null
      return now
    }
  })
  const expected = greedy(4, 12)
  for (const after of [1, 2, 5]) {
    fault = { kind: 'break', after }
    engine.calls.length = 0
    const { json } = await server.post('/v1/completions',
      { ...body, temperature: 0, alignment: { ...alignment, strength: 4 } })
    assert.deepEqual(json['choices'][0].token_ids, expected)
    assert.equal(json['usage'].alignment_details.engine.failed_calls, 1)
    const { extra_args: told } = engine.calls[1]!.body['sampling_params']
    assert.equal(told.fairlead_answer_tokens, after)
    const before = expected.slice(0, after - 1).reduce((sum, token) => sum + tinyHeadValue(token), 0)
    assert.ok(Math.abs(told.fairlead_sums[0] - before) < 1e-5)
  }
  const { json } = await server.post('/v1/completions',
    { ...body, n: 2, temperature: 0, alignment: { ...alignment, strength: 4, max_generated_tokens: 9 } })
  assert.deepEqual((json['choices'] as Array<Record<string, any>>).map(({ token_ids: tokens }) => tokens),
    [expected.slice(0, 5), expected.slice(0, 4)])
})

test('weights, scales, temperatures and draws are told as the plugin means them', async () => {
  const { engine, server } = await open()
  for (const [more, given, temperature, strength, topK] of [
    [{}, {}, 1, 3, 64],
    [{ temperature: 0.5 }, { guidance_before_temperature: true }, 0.5, 6, 64],
    [{ temperature: 0.5 }, { draw: 'argmax' }, 0, 1.5, 64],
    [{ temperature: 0.5 }, { draw: 'argmax', guidance_before_temperature: true }, 0, 3, 64],
    [{ temperature: 0 }, { guidance_before_temperature: true }, 0, 3, 64],
    [{}, { candidates: { top_k: 0 } }, 1, 3, 0],
    [{}, { reward_scale: 'raw' }, 1, 6, 64],
    [{}, { reward: undefined, rewards: [{ name: 'tinted', weight: -2 }] }, 1, -6, 64]
  ] as const) {
    engine.calls.length = 0
    const { status, json } = await server.post('/v1/completions',
      { ...body, ...more, alignment: { ...alignment, ...given } })
    assert.equal(status, 200, JSON.stringify(json))
    const { temperature: asked, extra_args: told } = engine.calls[0]!.body['sampling_params']
    assert.equal(asked, temperature)
    assert.deepEqual(told, { fairlead_guide: ['tinted'], fairlead_strength: [strength], fairlead_top_k: topK })
  }
})

test('what the engine would do otherwise, or cannot, is refused by name', async () => {
  const { server } = await open()
  const refused = async (more: object, given: object = {}): Promise<[string, string]> => {
    const { status, json } = await server.post('/v1/completions',
      { ...body, ...more, alignment: { ...alignment, ...given } })
    assert.equal(status, 400, JSON.stringify(json))
    return [json['error'].param, json['error'].message]
  }
  for (const [param, more, given] of [
    ['alignment.max_kl', {}, { max_kl: 1 }],
    ['alignment.warmup_tokens', {}, { warmup_tokens: 8 }],
    ['alignment.transform', {}, { transform: 'centered' }],
    ['alignment.candidates.top_p', {}, { candidates: { top_p: 0.9 } }],
    ['alignment.strength', { temperature: 0.001 },
      { strength: 1000, guidance_before_temperature: true, reward_scale: 'raw' }],
    ['top_k', { top_k: 5 }, {}],
    ['top_p', { top_p: 0.9 }, {}],
    ['min_p', { min_p: 0.1 }, {}],
    ['frequency_penalty', { frequency_penalty: 1 }, {}],
    ['presence_penalty', { presence_penalty: 1 }, {}],
    ['repetition_penalty', { repetition_penalty: 1.1 }, {}],
    ['response_format', { response_format: { type: 'json_object' } }, {}]
  ] as const) {
    const [named] = await refused(more, given)
    assert.equal(named, param)
  }
  for (const [reward, message] of [
    ['refitted', /another next_token member in the engine of this model: give its plugin the same descriptor/],
    ['reweighed', /is none of the heads of the engine of the model org\/tiny \(tinted\)/]
  ] as const) {
    const [param, said] = await refused({}, { reward })
    assert.equal(param, 'alignment.rewards')
    assert.match(said, message)
  }
  const models = await (await fetch(`${server.address}/v1/models`)).json() as { data: Array<Record<string, any>> }
  assert.deepEqual(models.data[0]!['engine'].guiding_heads, ['tinted'])
  const plain = await startServer(
    { policy: (await tinyEngineElsewhere()).url, policyTokenizer: 'FOLDER/tiny.gguf', rewardsDir })
  const { status, json } = await plain.post('/v1/completions', { ...body, model: 'policy' })
  assert.deepEqual([status, json['error'].param], [400, 'alignment.strategy'])
  assert.match(json['error'].message as string, /vLLM offers it with the plugin integrations\/vllm \(0\.2\.0 or later\)/)
})
