/**
 * What Fairlead relies on in vLLM's protocol, and the traps that it steps around: a version in which one of these no
 * longer holds is found here. On a tiny model.
 */
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Checks } from './check.js'
import type { EngineProcess, Json } from '../engine-process.js'
import { figureOf } from './vllm-engine.js'

/** A prompt of some length: the tokens are letters. */
export const letters = (count: number): number[] => Array.from({ length: count }, (_, index) => 70 + index * 7 % 60)

/** The tokens of a completion's choices. */
async function drawn (engine: EngineProcess, prompt: readonly number[], body: object): Promise<Json> {
  const { status, json } = await engine.post('/v1/completions', {
    prompt, max_tokens: 16, temperature: 1, ignore_eos: true, return_token_ids: true, logprobs: 0, ...body
  })
  assert.equal(status, 200, JSON.stringify(json))
  return json
}
const tokens = (json: Json, index = 0): number[] => json['choices'][index].token_ids as number[]

/** Requests that the engine runs now. */
const running = (engine: EngineProcess): Promise<number> => figureOf(engine, 'num_requests_running')

/** Runs all. */
export async function protocolChecks (checks: Checks, engine: EngineProcess): Promise<void> {
  const prompt = letters(100)
  await checks.check('the i-th of n answers has seed + i, and a batch of prompts one seed', async () => {
    const many = await drawn(engine, prompt, { n: 3, seed: 7 })
    for (const index of [0, 1, 2]) {
      assert.deepEqual(tokens(many, index), tokens(await drawn(engine, prompt, { seed: 7 + index })))
    }
    const batch = await drawn(engine, [prompt, prompt] as never, { seed: 7 })
    assert.deepEqual(tokens(batch, 0), tokens(batch, 1))
  })
  await checks.check('a seeded answer is the same among neighbours', async () => {
    const alone = tokens(await drawn(engine, prompt, { seed: 42 }))
    const [first] = await Promise.all([42, 1, 2, 3, 4].map((seed, index) =>
      drawn(engine, index === 0 ? prompt : letters(60 + seed * 9), { seed })))
    assert.deepEqual(tokens(first!), alone)
  })
  await checks.check('greedy steps are the uninterrupted answer, and their prompts are cached', async () => {
    const whole = tokens(await drawn(engine, prompt, { temperature: 0, max_tokens: 48 }))
    const grown: number[] = []
    let cached = 0
    while (grown.length < 48) {
      const step = await drawn(engine, [...prompt, ...grown], { temperature: 0 })
      grown.push(...tokens(step))
      cached = step['usage'].prompt_tokens_details.cached_tokens as number
    }
    assert.deepEqual(grown, whole)
    assert.ok(cached >= 96, `${cached} tokens were cached`)
  })
  await checks.check('a salt keeps caches apart, and takes few characters', async () => {
    const cachedWith = async (salt: string): Promise<number> =>
      (await drawn(engine, letters(90).reverse(), { cache_salt: salt }))['usage'].prompt_tokens_details.cached_tokens
    assert.equal(await cachedWith('one'), 0)
    assert.ok(await cachedWith('one') >= 64)
    assert.equal(await cachedWith('two'), 0)
    assert.equal((await engine.post('/v1/completions', { prompt, max_tokens: 1, cache_salt: 'a/b' })).status, 400)
  })
  await checks.check('a stop string is no part of the prompt, and its tokens are all told', async () => {
    const free = await drawn(engine, prompt, { temperature: 0 })
    const stop = (free['choices'][0].text as string).slice(3, 4)
    const stopped = await drawn(engine, prompt, { temperature: 0, stop: [stop], include_stop_str_in_output: true })
    const { finish_reason: reason, stop_reason: by } = stopped['choices'][0]
    assert.deepEqual([reason, by], ['stop', stop])
    assert.deepEqual(tokens(stopped), tokens(free).slice(0, tokens(stopped).length))
  })
  await checks.check('unknown fields are ignored, and too long answers cut, silently', async () => {
    const { choices } = await drawn(engine, letters(2030), { max_tokens: 100, no_such_field: 1, temperature: 0 })
    assert.equal(choices[0].token_ids.length, 18)
    assert.equal(choices[0].finish_reason, 'length')
    const { status, json } = await engine.post('/v1/completions', { prompt: letters(2049), max_tokens: 1 })
    assert.deepEqual([status, json['error'].param], [400, 'input_tokens'])
  })
  await checks.check('who hangs up is no longer worked for', async () => {
    const leaving = new AbortController()
    const asked = engine.post('/v1/completions',
      { prompt, max_tokens: 1900, ignore_eos: true, n: 8, temperature: 1 }, leaving.signal)
    const begun = performance.now()
    while (await running(engine) === 0) {
      assert.ok(performance.now() - begun < 30_000, 'nothing ran for 30 seconds')
      await sleep(10)
    }
    leaving.abort()
    await assert.rejects(asked)
    const from = performance.now()
    while (await running(engine) > 0 && performance.now() - from < 10_000) await sleep(20)
    assert.equal(await running(engine), 0)
    return `after ${Math.round(performance.now() - from)} ms`
  })
}
