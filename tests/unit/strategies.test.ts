import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fanOut, parseAlignment, type AlignmentRequest } from '../../src/decoding/parameters.js'
import type { DecodeEvent, DecodeResult, Runtime, SamplingParams } from '../../src/decoding/runtime.js'
import { decode } from '../../src/decoding/strategies.js'
import type { Scorer } from '../../src/rewards/scorer.js'
import { enumerate, plainSampling, ToyPolicy, toyPrompt, toyRuntime, toyScorer } from '../helpers/toy-policy.js'

type Given = NonNullable<Parameters<typeof toyRuntime>[1]>

/** Any reward of an answer: letters at odd places count for, others against. */
const oddities: Scorer = toyScorer(tokens => tokens.reduce((sum, token, index) => sum + (index % 2 === 1 ? token : -0.5 * token), 0))
const indifferent: Scorer = toyScorer(() => 0)

/** Runs a request on a toy to its end. */
async function run (alignment: Record<string, unknown> | null, { policy = new ToyPolicy(), n = 1, sampling = {}, ...given }: Given & { policy?: ToyPolicy, n?: number, sampling?: Partial<SamplingParams> } = {}): Promise<{ result: DecodeResult, events: DecodeEvent[], policy: ToyPolicy, texts: string[] }> {
  const params = { ...plainSampling, ...sampling }
  const runtime: Runtime = toyRuntime(policy, { temperature: params.temperature, ...given })
  const parsed: AlignmentRequest | null = alignment && parseAlignment({ reward: 'toy', ...alignment })
  const events: DecodeEvent[] = []
  for await (const event of decode(runtime, toyPrompt, params, parsed, n)) events.push(event)
  const last = events.at(-1)!
  assert.equal(last.type, 'end')
  const result = (last as { result: DecodeResult }).result
  const texts = Array.from({ length: n }, (_, choice) => events.map(event => event.type === 'text' && event.choice === choice ? event.text : '').join(''))
  return { result, events, policy, texts }
}

const everyStrategy: ReadonlyArray<Record<string, unknown>> = [
  { strategy: 'best_of_n', num_candidates: 5 },
  { strategy: 'best_of_n', num_candidates: 5, selection: 'softmax' },
  { strategy: 'beam_search', num_beams: 2, num_children: 3, step: { tokens: 2 } },
  { strategy: 'token_guidance', candidates: { top_k: 4 } }
]

test('one candidate, one beam, a constant reward, or strength 0 give the very tokens of plain sampling', async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const plain = (await run(null, { seed })).result.choices[0]!
    for (const [alignment, scorer] of [
      [{ strategy: 'best_of_n', num_candidates: 1 }, oddities],
      [{ strategy: 'best_of_n', num_candidates: 6 }, indifferent],
      [{ strategy: 'beam_search', num_beams: 1, num_children: 1, step: { tokens: 1 } }, oddities],
      [{ strategy: 'beam_search', num_beams: 2, num_children: 2, step: { tokens: 2 } }, indifferent],
      [{ strategy: 'token_guidance', strength: 0, candidates: { top_k: 4 } }, oddities]
    ] as const) {
      const { result } = await run(alignment, { seed, scorer })
      assert.equal(result.choices[0]!.text, plain.text, `${JSON.stringify(alignment)}, seed ${seed}`)
      assert.ok(Math.abs(result.choices[0]!.logprob - plain.logprob) < 1e-9)
    }
  }
})

test('best-of-n draws from the exact distribution of the best of n', async () => {
  const policy = new ToyPolicy({ size: 3, seed: 4 })
  const sampling = { maxTokens: 2 }
  const reward = (tokens: readonly number[]): number => tokens.reduce((sum, token) => sum + token + 1, 0)
  const answers = enumerate(policy, 2)
  for (const n of [2, 3]) {
    // P(best reward = r) = F(r)^n − F(r−)^n over rewards, since equal rewards go to the lower index, whose answer is an independent draw.
    const levels = [...new Set(answers.map(({ tokens }) => reward(tokens)))].sort((a, b) => a - b)
    const upTo = (level: number): number => answers.filter(({ tokens }) => reward(tokens) <= level).reduce((sum, one) => sum + one.probability, 0)
    const expected = new Map(levels.map((level, index) => [level, upTo(level) ** n - (index > 0 ? upTo(levels[index - 1]!) ** n : 0)]))
    const counts = new Map<number, number>()
    const rounds = 1500
    for (let seed = 0; seed < rounds; seed++) {
      const { result } = await run({ strategy: 'best_of_n', num_candidates: n }, { policy, sampling, seed, scorer: toyScorer(reward) })
      const value = result.choices[0]!.score!.value
      counts.set(value, (counts.get(value) ?? 0) + 1)
    }
    const chiSquare = [...expected].reduce((sum, [level, p]) => p > 0 ? sum + ((counts.get(level) ?? 0) - rounds * p) ** 2 / (rounds * p) : sum, 0)
    // 4 to 5 degrees of freedom: above 20.5 about once in a thousand sets of seeds; the seeds are fixed.
    assert.ok(chiSquare < 20.5, `n=${n}: ${chiSquare}`)
  }
})

test('softmax selection draws a candidate in proportion to exp(strength · reward)', async () => {
  const policy = new ToyPolicy({ seed: 2 })
  let [seen, expected, variance] = [0, 0, 0]
  for (let seed = 0; seed < 800; seed++) {
    const { result } = await run({ strategy: 'best_of_n', num_candidates: 3, selection: 'softmax', strength: 0.7 }, { policy, seed, scorer: oddities })
    const weights = result.candidates.map(candidate => Math.exp(0.7 * candidate.score!.value))
    const p = weights[0]! / weights.reduce((a, b) => a + b, 0)
    expected += p
    variance += p * (1 - p)
    if (result.choices[0]!.candidateIndex === 0) seen++
  }
  // Within 3.3 standard deviations: once in a thousand sets of seeds.
  assert.ok(Math.abs(seen - expected) < 3.3 * Math.sqrt(variance), `${seen} for ${expected}`)
})

test('a beam as wide as the tree finds the best answer there is', async () => {
  const policy = new ToyPolicy({ size: 3, seed: 3 })
  const { result } = await run({ strategy: 'beam_search', num_beams: 8, num_children: 16, step: { tokens: 1 } }, { policy, sampling: { maxTokens: 3 }, scorer: oddities })
  const rewards = await oddities.score(toyPrompt, enumerate(policy, 3).map(({ tokens }) => ({ text: '', tokens, final: true }) as never))
  assert.equal(result.choices[0]!.score!.value, Math.max(...rewards.map(score => score.value)))
})

test('a beam whose step is the whole answer is best-of-n', async () => {
  for (let seed = 1; seed <= 5; seed++) {
    const beam = await run({ strategy: 'beam_search', num_beams: 2, num_children: 3, step: { tokens: 16 } }, { seed, scorer: oddities })
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

test('streamed text is the choice’s text, and every sequence is closed', async () => {
  for (const alignment of [null, ...everyStrategy]) {
    for (let seed = 1; seed <= 10; seed++) {
      const { result, texts, policy, events } = await run(alignment, { seed, scorer: oddities, sampling: { maxTokens: 6 } })
      assert.equal(texts[0], result.choices[0]!.text)
      assert.equal(policy.open, 0)
      assert.equal(events.filter(event => event.type === 'choice-end').length, 1)
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
    const n = alignment?.['strategy'] === 'beam_search' ? 1 : 2
    await run(alignment, { policy, n, scorer: oddities })
    const allowed = fanOut(alignment && parseAlignment({ reward: 'toy', ...alignment }), n)
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
  const scorer = toyScorer((tokens, answer) => { scored.push(tokens); assert.equal(answer.text.length, tokens.length); return 0 })
  let stopped = 0
  for (let seed = 0; seed < 40; seed++) {
    const { result } = await run({ strategy: 'best_of_n', num_candidates: 1 }, { policy, seed, scorer, sampling: { stop: ['ba', 'cc'], maxTokens: 6 } })
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
    const { result } = await run(alignment, { scorer: oddities, budget: { maxGeneratedTokens: 7 }, sampling: { maxTokens: 6, ignoreEos: true } })
    assert.ok(result.generatedTokens <= 7)
    assert.equal(result.choices.length, 1)
    let now = 0
    const late = await run(alignment, { scorer: oddities, budget: { deadlineMs: 5 }, elapsedMs: () => now++, sampling: { maxTokens: 6, ignoreEos: true } })
    assert.equal(late.result.stoppedBy, 'deadline')
  }
})

test('an abort ends every strategy with its reason, and closes what it opened', async () => {
  for (const alignment of [null, ...everyStrategy]) {
    const controller = new AbortController()
    const policy = new ToyPolicy()
    const asked = policy.asked.push.bind(policy.asked)
    policy.asked.push = (...items) => { if (policy.asked.length === 3) controller.abort(new Error('enough')); return asked(...items) }
    await assert.rejects(run(alignment, { policy, scorer: oddities, signal: controller.signal, sampling: { maxTokens: 50, ignoreEos: true } }), /enough/, JSON.stringify(alignment))
    assert.equal(policy.open, 0)
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
    const bounded = await run({ strategy: 'token_guidance', strength: 50, max_kl: 0.5, candidates: { top_k: 4 } }, { seed, scorer: oddities })
    assert.ok(bounded.result.kl.value! <= 0.5 + 1e-9)
  }
})
