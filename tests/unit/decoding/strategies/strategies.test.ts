import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fanOut } from '../../../../src/decoding/strategies/strategy-footprint.js'
import { randomStream } from '../../../../src/policies/random-stream.js'
import { decode } from '../../../../src/decoding/strategies/strategies.js'
import type { Scorer } from '../../../../src/rewards/scorer.js'
import {
  alignmentOf, canReturnTwo, everyStrategy, indifferent, oddities, oddity, run, tokensOf
} from '../../../helpers/run-strategy.js'
import { enumerate, ToyPolicy, toyPrompt, toyRequest, toyScorer } from '../../../helpers/toy-policy.js'

test('one candidate, one beam, a constant reward, or strength 0 give the very tokens of plain sampling', async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const plain = (await run(null, { seed })).result.choices[0]!
    for (const [alignment, scorer] of [
      [{ strategy: 'best_of_n', num_candidates: 1 }, oddities],
      [{ strategy: 'best_of_n', num_candidates: 6 }, indifferent],
      [{ strategy: 'beam_search', num_beams: 1, num_children: 1, step: { tokens: 1 } }, oddities],
      [{ strategy: 'beam_search', num_beams: 2, num_children: 2, step: { tokens: 2 } }, indifferent],
      [{ strategy: 'best_of_n', num_candidates: 6, selection: 'pessimistic', strength: 0 }, oddities],
      [{ strategy: 'best_of_n', num_candidates: 6, selection: 'threshold', min_reward: 0 }, indifferent],
      [{ strategy: 'speculative_rejection', num_candidates: 1 }, oddities],
      [{ strategy: 'speculative_rejection', num_candidates: 6, checkpoints: [1, 2] }, indifferent],
      [{
        strategy: 'beam_search',
        num_beams: 1,
        num_children: 1,
        step: { delimiter: 'b' },
        score_every: 2,
        lookahead_tokens: 2
      }, oddities],
      [{ strategy: 'dvts', num_trees: 1, num_children: 1, step: { tokens: 1 } }, oddities],
      [{ strategy: 'rebase', width: 1, step: { tokens: 1 } }, oddities],
      [{ strategy: 'particle_filter', num_particles: 1, step: { tokens: 1 } }, oddities],
      [{ strategy: 'segment_rejection', segment: { tokens: 1 }, strength: 0, target_reward: 5 }, oddities],
      [{ strategy: 'segment_rejection', segment: { entropy: 1 }, max_tries: 1, target_reward: 5 }, oddities],
      [{ strategy: 'token_guidance', strength: 0, candidates: { top_k: 4 } }, oddities],
      [{ strategy: 'token_guidance', strength: 0, candidates: { top_k: 2 }, transform: 'centered', outside: 'keep' },
        oddities],
      [{ strategy: 'token_guidance', strength: 0, source: 'next_token', candidates: { top_k: 0 } }, oddities],
      [{ strategy: 'token_guidance', strength: 0, contrast: { toward: {} }, candidates: { top_k: 0 } }, oddities]
    ] as const) {
      const { result } = await run(alignment, { seed, scorer })
      assert.equal(result.choices[0]!.text, plain.text, `${JSON.stringify(alignment)}, seed ${seed}`)
      assert.ok(Math.abs(result.choices[0]!.logprob - plain.logprob) < 1e-9)
    }
  }
})

test('a beam as wide as the tree finds the best answer there is', async () => {
  const policy = new ToyPolicy({ size: 3, seed: 3 })
  const { result } = await run({ strategy: 'beam_search', num_beams: 8, num_children: 16, step: { tokens: 1 } },
    { policy, sampling: { maxTokens: 3 }, scorer: oddities })
  const rewards = await oddities.score(toyPrompt,
    enumerate(policy, 3).map(({ tokens }) => ({ text: '', tokens, final: true }) as never))
  assert.equal(result.choices[0]!.score!.value, Math.max(...rewards.map(score => score.value)))
})

test('a beam whose step is the whole answer is best-of-n', async () => {
  for (let seed = 1; seed <= 5; seed++) {
    const beam = await run({ strategy: 'beam_search', num_beams: 2, num_children: 3, step: { tokens: 16 } },
      { seed, scorer: oddities })
    const best = await run({ strategy: 'best_of_n', num_candidates: 6 }, { seed, scorer: oddities })
    assert.equal(beam.result.choices[0]!.text, best.result.choices[0]!.text)
    assert.deepEqual(beam.result.candidates.map(one => one.text), best.result.candidates.map(one => one.text))
  }
})

test('the prompt is read once, whatever the fan-out', async () => {
  for (const alignment of [null, ...everyStrategy]) {
    const { policy } = await run(alignment, { scorer: oddities })
    assert.equal(policy.asked.filter(length => length === toyPrompt.tokens.length).length, 1, JSON.stringify(alignment))
  }
})

test('streamed text and logprobs are the choice’s, and every sequence is closed', async () => {
  for (const alignment of [null, ...everyStrategy]) {
    for (let seed = 1; seed <= 10; seed++) {
      const { result, texts, policy, events } =
        await run(alignment, { seed, scorer: oddities, sampling: { maxTokens: 6, topLogprobs: 1 } })
      assert.equal(texts[0], result.choices[0]!.text)
      assert.equal(policy.open, 0)
      assert.equal(events.filter(event => event.type === 'choice-end').length, 1)
      assert.deepEqual(events.flatMap(event => event.type === 'text' ? event.logprobs : []),
        result.choices[0]!.logprobs)
      assert.ok(result.generatedTokens >= result.choices[0]!.completionTokens)
    }
  }
})

test('no more sequences are open at a time than the request reserves', async () => {
  for (const alignment of [null, ...everyStrategy]) {
    const policy = new ToyPolicy()
    let most = 0
    const asked = policy.asked.push.bind(policy.asked)
    policy.asked.push = (...items) => { most = Math.max(most, policy.open); return asked(...items) }
    const n = alignment && !canReturnTwo(alignment) ? 1 : 2
    await run(alignment, { policy, n, scorer: oddities })
    const allowed = fanOut(alignmentOf(alignment), n)
    assert.ok(most <= allowed, `${JSON.stringify(alignment)}: ${most} open, ${allowed} reserved`)
  }
})

test('n choices: the n best, distinct candidates, each with its own text', async () => {
  const { result, texts } = await run({ strategy: 'best_of_n', num_candidates: 6 }, { n: 3, scorer: oddities, seed: 3 })
  const best = result.candidates.map(one => one.score!.value).sort((a, b) => b - a).slice(0, 3)
  assert.deepEqual(result.choices.map(choice => choice.score!.value), best)
  assert.equal(new Set(result.choices.map(choice => choice.candidateIndex)).size, 3)
  assert.deepEqual(texts, result.choices.map(choice => choice.text))
})

test('a stop string across tokens ends the answer before it, and the kept text is what is scored', async () => {
  const policy = new ToyPolicy({ size: 4, seed: 6 })
  const scored: Array<readonly number[]> = []
  const scorer =
    toyScorer((tokens, answer) => { scored.push(tokens); assert.equal(answer.text.length, tokens.length); return 0 })
  let stopped = 0
  for (let seed = 0; seed < 40; seed++) {
    const { result } = await run({ strategy: 'best_of_n', num_candidates: 1 },
      { policy, seed, scorer, sampling: { stop: ['ba', 'cc'], maxTokens: 6 } })
    const { text, finishReason } = result.choices[0]!
    assert.ok(!text.includes('ba') && !text.includes('cc'))
    assert.deepEqual(scored.at(-1)!.map(token => String.fromCharCode(97 + token)).join(''), text)
    if (finishReason === 'stop') stopped++
    const plain = (await run(null, { policy, seed, sampling: { maxTokens: 6 } })).result.choices[0]!.text
    assert.ok(plain.startsWith(text))
  }
  assert.ok(stopped > 0)
})

test('budgets of tokens and time end a search with the best so far', async () => {
  for (const alignment of everyStrategy) {
    const { result } = await run(alignment,
      { scorer: oddities, limits: { maxGeneratedTokens: 7 }, sampling: { maxTokens: 6, ignoreEos: true } })
    assert.ok(result.generatedTokens <= 7)
    assert.equal(result.choices.length, 1)
    let now = 0
    const late = await run(alignment, {
      scorer: oddities, limits: { deadlineMs: 5 }, elapsedMs: () => now++, sampling: { maxTokens: 6, ignoreEos: true }
    })
    assert.equal(late.result.stoppedBy, 'deadline', JSON.stringify(alignment))
    assert.ok(late.result.choices[0]!.score, 'the best so far is scored')
  }
})

test('an abort or a deadline at any moment ends every strategy, and closes what it opened', async () => {
  const unhandled: unknown[] = []
  const note = (reason: unknown): void => { unhandled.push(reason) }
  process.on('unhandledRejection', note)
  const random = randomStream(1, 'moments')
  for (const alignment of [null, ...everyStrategy]) {
    for (let round = 0; round < 12; round++) {
      const moment = 1 + Math.floor(40 * random.next())
      const turns = (): number => 1 + Math.floor(3 * random.next())
      const sampling = { maxTokens: 12, ignoreEos: round % 2 === 0 }
      const policy = new ToyPolicy({ turns })
      const controller = new AbortController()
      const asked = policy.asked.push.bind(policy.asked)
      let reached = false
      policy.asked.push = (...items) => {
        if (policy.asked.length === moment) { reached = true; controller.abort(new Error('enough')) }
        return asked(...items)
      }
      const running = run(alignment, { policy, scorer: oddities, seed: round, signal: controller.signal, sampling })
      await running.then(() => { assert.ok(!reached) },
        (error: unknown) => { assert.match(String(error), /enough/, JSON.stringify(alignment)) })
      assert.equal(policy.open, 0, `${JSON.stringify(alignment)} after an abort at output ${moment}`)

      let now = 0
      const late = await run(alignment, {
        policy: new ToyPolicy({ turns }),
        scorer: oddities,
        seed: round,
        limits: { deadlineMs: moment },
        elapsedMs: () => now++,
        sampling
      })
      assert.equal(late.policy.open, 0, `${JSON.stringify(alignment)} after a deadline at ${moment}`)
      assert.equal(late.texts[0], late.result.choices[0]!.text)
      // Wherever it ended, the best so far is what is returned and scored.
      if (alignment) assert.equal(late.result.choices[0]!.score!.value, oddity(tokensOf(late.result.choices[0]!.text)))
    }
  }
  await new Promise(resolve => { setImmediate(resolve) })
  process.off('unhandledRejection', note)
  assert.deepEqual(unhandled, [])
})

test('what a request draws does not depend on when its outputs come', async () => {
  for (const alignment of [null, ...everyStrategy]) {
    const n = alignment && !canReturnTwo(alignment) ? 1 : 2
    const alone = await run(alignment, { scorer: oddities, seed: 5, n, sampling: { maxTokens: 6 } })
    const random = randomStream(2, 'crowd')
    const crowd = new ToyPolicy({ turns: () => 1 + Math.floor(9 * random.next()) })
    const among = await Promise.all(Array.from({ length: 32 }, (_, index) =>
      run(alignment, { policy: crowd, scorer: oddities, seed: 5 + index, n, sampling: { maxTokens: 6 } })))
    assert.deepEqual(among[0]!.result.choices, alone.result.choices, JSON.stringify(alignment))
    assert.deepEqual(among[0]!.result.candidates, alone.result.candidates, JSON.stringify(alignment))
  }
})

/** The same, and nothing in it can be changed. */
function frozen<T> (value: T): T {
  if (typeof value === 'object' && value !== null) Object.values(Object.freeze(value)).forEach(frozen)
  return value
}

test('a request is not changed by being run: the same one gives the same again', async () => {
  for (const alignment of everyStrategy) {
    const params = frozen(alignmentOf(alignment))
    const results = []
    for (let round = 0; round < 2; round++) {
      const request = toyRequest(new ToyPolicy(), { scorer: oddities, seed: 9, sampling: frozen({ maxTokens: 6 }) })
      for await (const event of decode(request, params)) if (event.type === 'end') results.push(event.result)
    }
    assert.deepEqual(results[1], results[0], JSON.stringify(alignment))
  }
})

test('tokens of a shared budget go to candidates by the request alone, never by whose outputs come first', async () => {
  for (const alignment of everyStrategy) {
    const n = canReturnTwo(alignment) ? 2 : 1
    for (const maxGeneratedTokens of [5, 11, 17]) {
      const given = { scorer: oddities, seed: 3, n, limits: { maxGeneratedTokens }, sampling: { maxTokens: 6 } }
      const alone = await run(alignment, given)
      for (let round = 0; round < 4; round++) {
        const random = randomStream(round, 'crowd')
        const crowd = new ToyPolicy({ turns: () => 1 + Math.floor(9 * random.next()) })
        const again = await run(alignment, { ...given, policy: crowd })
        assert.deepEqual(again.result, alone.result, `${JSON.stringify(alignment)}, ${maxGeneratedTokens} tokens`)
      }
    }
  }
})

test('a budget is shared out evenly, and what those that end early leave goes to the others', async () => {
  // All answers end by length: 20 tokens over 6 are 4, 4, 3, 3, 3, 3.
  const even = await run({ strategy: 'best_of_n', num_candidates: 6 },
    { scorer: oddities, limits: { maxGeneratedTokens: 20 }, sampling: { maxTokens: 9, ignoreEos: true } })
  assert.deepEqual(even.result.candidates.map(one => one.tokens), [4, 4, 3, 3, 3, 3])
  assert.deepEqual([even.result.generatedTokens, even.result.stoppedBy], [20, 'max_generated_tokens'])
  let early = 0
  for (let seed = 0; seed < 30; seed++) {
    const given = { scorer: oddities, seed, sampling: { maxTokens: 9 } }
    const whole =
      (await run({ strategy: 'best_of_n', num_candidates: 4 }, given)).result.candidates.map(one => one.tokens)
    const { result } =
      await run({ strategy: 'best_of_n', num_candidates: 4 }, { ...given, limits: { maxGeneratedTokens: 16 } })
    // Water finds its level: the highest that 16 tokens fill, whoever would have needed less having just that.
    const filled = (level: number): number => whole.reduce((sum, tokens) => sum + Math.min(tokens, level), 0)
    let level = 0
    while (level < 9 && filled(level + 1) <= 16) level++
    if (whole.some(tokens => tokens <= level)) early++
    for (const [index, { tokens }] of result.candidates.entries()) {
      assert.ok(tokens === Math.min(whole[index]!, level) || tokens === Math.min(whole[index]!, level + 1),
        `seed ${seed}`)
    }
    assert.equal(result.generatedTokens, Math.min(16, filled(9)))
  }
  assert.ok(early > 0)
})

test('every score is that of the candidate it is reported with, and no answer is longer than ' +
  'max_tokens in all', async () => {
  for (const alignment of everyStrategy) {
    for (let seed = 1; seed <= 8; seed++) {
      const { result } = await run(alignment, { seed, scorer: oddities, sampling: { maxTokens: 5 } })
      assert.equal(new Set(result.candidates.map(one => one.index)).size, result.candidates.length)
      for (const { text, tokens, score, parent, index, prunedAt } of result.candidates) {
        assert.ok(tokens <= 5)
        // What was dropped may have been scored by where it leads.
        if (prunedAt === null || alignment['lookahead_tokens'] === undefined) {
          assert.equal(score!.value, oddity(tokensOf(text)), JSON.stringify(alignment))
        }
        assert.ok(parent === null || parent < index)
      }
      const chosen = result.candidates.find(one => one.index === result.choices[0]!.candidateIndex)!
      assert.equal(chosen.text, result.choices[0]!.text)
    }
  }
})

test('KL is what the formulas say', async () => {
  const best = await run({ strategy: 'best_of_n', num_candidates: 8 }, { scorer: oddities })
  assert.equal(best.result.kl.kind, 'upper_bound')
  assert.ok(Math.abs(best.result.kl.value! - 1.2044415) < 1e-6)
  const even = await run({ strategy: 'best_of_n', num_candidates: 8, selection: 'softmax' }, { scorer: indifferent })
  assert.ok(Math.abs(even.result.kl.value!) < 1e-12)
  const wide = await run({ strategy: 'beam_search' }, { scorer: oddities })
  assert.deepEqual(wide.result.kl, { value: null, kind: null })
  for (let seed = 1; seed <= 10; seed++) {
    const bounded = await run({ strategy: 'token_guidance', strength: 50, max_kl: 0.5, candidates: { top_k: 4 } },
      { seed, scorer: oddities })
    assert.ok(bounded.result.kl.value! <= 0.5 + 1e-9)
  }
})

/** An empty answer is worth more than any other: what was never begun must not be had for that. */
const emptiness = toyScorer(tokens => tokens.length === 0 ? 0 : -1)

for (const [alignment, maxGeneratedTokens, opened] of [
  [{ strategy: 'best_of_n', num_candidates: 8, stop_when: { min_reward: 5, every: 2 } }, 8, 2],
  [{ strategy: 'best_of_n', num_candidates: 8, stop_when: { min_reward: 5, every: 2, eager: true } }, 8, 2],
  [{ strategy: 'segment_rejection', segment: { tokens: 2 }, target_reward: 1, strength: 100 }, 2, 1],
  [{ strategy: 'particle_filter', num_particles: 2, num_iterations: 3 }, 8, 2]
] as const) {
  test('a budget that is used up exactly, or a deadline that passes while answers are scored, opens nothing more: ' +
    `${JSON.stringify(alignment)}`, async () => {
    const sampling = { maxTokens: 4, ignoreEos: true }
    const used = await run(alignment, { scorer: emptiness, limits: { maxGeneratedTokens }, sampling })
    assert.deepEqual([used.result.candidates.length, used.result.generatedTokens, used.result.stoppedBy],
      [opened, maxGeneratedTokens, 'max_generated_tokens'])
    let now = 0
    const slow: Scorer = { ...emptiness, score: (...given) => { now += 100; return emptiness.score(...given) } }
    const late = await run(alignment, { scorer: slow, limits: { deadlineMs: 150 }, elapsedMs: () => now, sampling })
    assert.equal(late.result.stoppedBy, 'deadline')
    for (const { result, policy } of [used, late]) {
      assert.ok(result.candidates.every(({ tokens }) => tokens > 0))
      assert.equal(policy.open, 0)
    }
  })
}

for (const alignment of everyStrategy) {
  test('what a budget ended before its first token is not chosen where there is anything else: ' +
    `${JSON.stringify(alignment)}`, async () => {
    const begun = async (limits: object): Promise<void> => {
      let now = 0
      const { result, policy } = await run(alignment,
        { scorer: emptiness, limits, elapsedMs: () => now++, sampling: { maxTokens: 6, ignoreEos: true } })
      if (result.candidates.some(({ tokens }) => tokens > 0)) {
        assert.ok(result.choices[0]!.completionTokens > 0, JSON.stringify(limits))
      }
      assert.ok(result.choices[0]!.score)
      assert.equal(policy.open, 0)
    }
    for (let maxGeneratedTokens = 1; maxGeneratedTokens <= 8; maxGeneratedTokens++) await begun({ maxGeneratedTokens })
    for (let deadlineMs = 0; deadlineMs <= 40; deadlineMs++) await begun({ deadlineMs })
  })
}

test('an answer that the model ends at once is an answer; what a budget did not begin counts neither as one nor in ' +
  'their KL', async () => {
  const ended = await run({ strategy: 'best_of_n', num_candidates: 32 }, { scorer: emptiness })
  assert.deepEqual([ended.result.choices[0]!.text, ended.result.choices[0]!.finishReason], ['', 'stop'])
  const given = { scorer: emptiness, limits: { maxGeneratedTokens: 3 }, sampling: { ignoreEos: true } }
  const { result } = await run({ strategy: 'best_of_n', num_candidates: 8 }, given)
  assert.equal(result.candidates.length, 8)
  assert.deepEqual(result.details['reward_by_n'], [{ n: 1, reward: -1 }, { n: 2, reward: -1 }, { n: 3, reward: -1 }])
  assert.ok(Math.abs(result.kl.value! - (Math.log(3) - 2 / 3)) < 1e-12)
  const filtered = await run({ strategy: 'particle_filter', num_particles: 8 }, given)
  assert.ok(Math.abs((filtered.result.details['log_z'] as number) + 1) < 1e-12)
  const five = await run({ strategy: 'best_of_n', num_candidates: 8 }, { ...given, n: 5 })
  assert.deepEqual(five.result.choices.map(choice => choice.completionTokens), [1, 1, 1, 0, 0])
})
