/** Strategies on an engine elsewhere draw what they draw on the engine here. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Choice } from '../../../../src/decoding/result.js'
import { completions } from '../../../../src/policies/remote/protocols/completions.js'
import { vllmGenerate } from '../../../../src/policies/remote/protocols/vllm-generate.js'
import { emptyEngineLedger } from '../../../../src/policies/remote/remote-request.js'
import { connected, through, toyEngine } from '../../../helpers/remote-toy.js'
import { oddities, oddity, run, textOf } from '../../../helpers/run-strategy.js'
import { assertDrawnFrom, assertSameSource, tally } from '../../../helpers/statistics.js'
import { enumerate, ToyPolicy, toyPrompt } from '../../../helpers/toy-policy.js'

const policy = new ToyPolicy()
const fake = await toyEngine(policy)

for (const protocol of [vllmGenerate, completions]) {
  const engine = connected([fake.url], { protocol })

  test(`plain answers come from the policy, each with its own noise (${protocol.name})`, async () => {
    const drawn: string[] = []
    for (let seed = 1; seed <= 6; seed++) {
      const { result } = await run(null, { policy, n: 64, seed, through: through(engine) })
      drawn.push(...result.choices.map(({ text }) => text))
    }
    const expected = tally(enumerate(policy, 4), ({ tokens }) => textOf(tokens), ({ probability }) => probability)
    assertDrawnFrom(expected, drawn, 'plain answers')
  })

  test(`greedy answers, logprobs and alternatives are those of the local engine (${protocol.name})`, async () => {
    for (const topLogprobs of [0, 3]) {
      const options = { policy, sampling: { temperature: 0, topLogprobs, maxTokens: 12, ignoreEos: true } }
      const local = (await run(null, options)).result.choices[0]!
      const remote = (await run(null, { ...options, through: through(engine) })).result.choices[0]!
      assert.deepEqual([remote.text, remote.tokenIds, remote.finishReason],
        [local.text, local.tokenIds, local.finishReason])
      for (const [index, { logprob, top }] of local.logprobs.entries()) {
        const other = remote.logprobs[index]!
        assert.ok(Math.abs(other.logprob - logprob) < 1e-9)
        assert.deepEqual(other.top.map(({ token }) => token), top.map(({ token }) => token))
        for (const [rank, one] of top.entries()) assert.ok(Math.abs(other.top[rank]!.logprob - one.logprob) < 1e-9)
      }
    }
  })
}

const engine = connected([fake.url])

test('filters, bias, penalties, stops and lengths are those of the local engine', async () => {
  const cases = [
    { topK: 2 }, { topP: 0.6 }, { minP: 0.4 }, { temperature: 1.7 }, { logitBias: { 1: 1.5 } }, { minTokens: 3 },
    { frequencyPenalty: 1.5 }, { presencePenalty: -1.5 }, { repetitionPenalty: 1.4 }, { stop: ['ab', 'c'] },
    { stop: ['ba'], includeStop: true }, { stopTokenIds: [1] }, { ignoreEos: true }, { maxTokens: 2 }
  ]
  for (const given of cases) {
    const drawn: { local: string[], remote: string[] } = { local: [], remote: [] }
    for (let seed = 1; seed <= 2; seed++) {
      const options = { policy, n: 64, seed, sampling: { maxTokens: 4, ...given } }
      const key = ({ text, finishReason, tokenIds }: Choice): string => `${text} ${finishReason} ${tokenIds.join()}`
      drawn.local.push(...(await run(null, options)).result.choices.map(key))
      drawn.remote.push(...(await run(null, { ...options, through: through(engine) })).result.choices.map(key))
    }
    assertSameSource(drawn.local, drawn.remote, JSON.stringify(given))
  }
})

test('the best of two is what enumeration says', async () => {
  const answers = enumerate(policy, 4)
  const expected = new Map<string, number>()
  for (const one of answers) {
    for (const other of answers) {
      const best = oddity(other.tokens) > oddity(one.tokens) ? other : one
      const text = textOf(best.tokens)
      expected.set(text, (expected.get(text) ?? 0) + one.probability * other.probability)
    }
  }
  const drawn: string[] = []
  for (let seed = 1; seed <= 200; seed++) {
    const given = { strategy: 'best_of_n', num_candidates: 2 }
    drawn.push((await run(given, { policy, seed, scorer: oddities, through: through(engine) })).result.choices[0]!.text)
  }
  assertDrawnFrom(expected, drawn, 'best of two')
})

for (const given of [
  { strategy: 'speculative_rejection', num_candidates: 4, checkpoints: [1, 3] },
  { strategy: 'beam_search', num_beams: 2, num_children: 2, step: { tokens: 2 } },
  { strategy: 'beam_search', num_beams: 1, num_children: 2, step: { delimiter: 'b' } },
  { strategy: 'dvts', num_trees: 2, num_children: 2, step: { tokens: 2 } },
  { strategy: 'rebase', width: 3, step: { tokens: 2 } },
  { strategy: 'particle_filter', num_particles: 3, step: { tokens: 1 } },
  { strategy: 'particle_filter', num_particles: 2, step: { tokens: 2 }, num_iterations: 2 },
  { strategy: 'segment_rejection', segment: { tokens: 2 }, target_reward: 2, max_tries: 3 }
]) {
  test(`draws what the local engine draws: ${JSON.stringify(given)}`, async () => {
    const drawn: { local: string[], remote: string[] } = { local: [], remote: [] }
    for (let seed = 1; seed <= 60; seed++) {
      const options = { policy, seed, scorer: oddities, sampling: { maxTokens: 4 } }
      drawn.local.push((await run(given, options)).result.choices[0]!.text)
      drawn.remote.push((await run(given, { ...options, through: through(engine) })).result.choices[0]!.text)
    }
    assertSameSource(drawn.local, drawn.remote, JSON.stringify(given))
  })
}

test('a seed draws the same answers again, another one others; no two calls have one seed', async () => {
  const given = { strategy: 'beam_search', num_beams: 2, num_children: 3, step: { tokens: 2 } }
  const options = { policy, scorer: oddities, sampling: { maxTokens: 8 }, through: through(engine) }
  const [one, again, other] = [await run(given, { ...options, seed: 5 }), await run(given, { ...options, seed: 5 }),
    await run(given, { ...options, seed: 6 })]
  assert.deepEqual(again.result, one.result)
  assert.notDeepEqual(other.result.candidates, one.result.candidates)
  const before = fake.calls.length
  await run(given, { ...options, seed: 7 })
  const seeds = fake.calls.slice(before).map(({ body }) => body['sampling_params'].seed as number)
  assert.ok(seeds.length > 6)
  assert.equal(new Set(seeds).size, seeds.length)
})

test('calls of a request have one session and salt; steps find their prompt cached, as the ledger says', async () => {
  const ledger = emptyEngineLedger()
  const before = fake.calls.length
  const given = { strategy: 'beam_search', num_beams: 1, num_children: 2, step: { tokens: 4 } }
  await run(given, {
    policy,
    scorer: oddities,
    sampling: { maxTokens: 16, ignoreEos: true },
    through: through(engine, { session: 'one', salt: 'pepper', ledger })
  })
  const calls = fake.calls.slice(before)
  assert.deepEqual(new Set(calls.map(({ headers }) => headers['x-session-id'])), new Set(['one']))
  assert.deepEqual(new Set(calls.map(({ body }) => body['cache_salt'] as string)), new Set(['pepper']))
  assert.equal(ledger.calls, calls.length)
  assert.equal(ledger.promptTokens,
    calls.reduce((sum, { body }) => sum + (body['token_ids'] as number[]).length, 0))
  // Of prompts of 1, 5, 9 and 13 tokens in blocks of 4 all but the last token, at least where they were reread.
  assert.ok(ledger.cachedTokens >= 4 + 8 + 12, String(ledger.cachedTokens))
  assert.equal(ledger.cachedPromptTokens, 0)
  assert.equal(toyPrompt.tokens.length, 1)
})

for (const given of [
  { strategy: 'token_guidance', candidates: { top_k: 4 } },
  { strategy: 'token_guidance', candidates: { top_k: 2 }, transform: 'centered', strength: 2 },
  { strategy: 'token_guidance', candidates: { top_k: 3, top_p: 0.7 }, transform: 'log_sigmoid' }
]) {
  test(`guides each token, with the exact KL: ${JSON.stringify(given)}`, async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const options = { policy, seed, n: 2, scorer: oddities, sampling: { maxTokens: 6, topLogprobs: 2 } }
      const local = (await run(given, options)).result
      const remote = (await run(given, { ...options, through: through(engine) })).result
      // The same random stream draws from the same numbers: the same tokens.
      assert.deepEqual(remote.choices.map(({ tokenIds }) => tokenIds), local.choices.map(({ tokenIds }) => tokenIds))
      assert.ok(Math.abs(remote.kl.value! - local.kl.value!) < 1e-6)
    }
  })
}

test('greedy guidance takes the token that the local engine takes', async () => {
  const given = { strategy: 'token_guidance', candidates: { top_k: 3 } }
  const options = { policy, scorer: oddities, sampling: { temperature: 0, maxTokens: 8, ignoreEos: true } }
  const [local, remote] = [await run(given, options), await run(given, { ...options, through: through(engine) })]
  assert.deepEqual(remote.result.choices[0]!.tokenIds, local.result.choices[0]!.tokenIds)
})
