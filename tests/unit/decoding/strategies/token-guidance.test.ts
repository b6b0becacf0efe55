import assert from 'node:assert/strict'
import { test } from 'node:test'
import { guide, guideWithin, stepKl, transforms } from '../../../../src/decoding/guidance/guided-distribution.js'
import { parseAlignment } from '../../../../src/decoding/strategies/parse-alignment.js'
import { oddities, oddity, run } from '../../../helpers/run-strategy.js'
import { assertDrawnFrom } from '../../../helpers/statistics.js'
import { enumerate, ToyPolicy, toyPrompt, toyScorer } from '../../../helpers/toy-policy.js'

const policy = new ToyPolicy({ size: 3, seed: 8 })
const length = 3
const strength = 1.3
const reward = (tokens: readonly number[]): number =>
  tokens.reduce((sum, token, index) => sum + (token === 1 ? 1 : -0.4) * (index + 1), 0)

/** Every answer that begins so, with its probability given that beginning. */
const endings = (tokens: readonly number[]): ReturnType<typeof enumerate> => enumerate(policy, length, tokens, 1)

/**
 * The probability of an answer when each token is drawn with guidance by a value of prefixes. An answer that ended is
 * its own value.
 */
function guidedProbability (
  answer: readonly number[], ended: boolean, value: (tokens: readonly number[], final: boolean) => number
): number {
  let probability = 1
  for (let position = 0; position < answer.length + (ended ? 1 : 0); position++) {
    const prefix = answer.slice(0, position)
    const ranked = Array.from({ length: policy.size },
      (_, token) => ({ token, logProbability: policy.logProbability([...toyPrompt.tokens, ...prefix], token) }))
    const values = ranked.map(({ token }) =>
      token === policy.endToken ? value(prefix, true) : value([...prefix, token], position + 1 === length))
    const token = position < answer.length ? answer[position]! : policy.endToken
    probability *= Math.exp(guide(ranked, values, strength).ranked[token]!.logProbability)
  }
  return probability
}

test('guidance by the exact soft value draws from policy · exp(strength · reward); by the mean reward it ' +
  'does not', () => {
  const soft = (tokens: readonly number[], final: boolean): number => final
    ? reward(tokens)
    : Math.log(endings(tokens).reduce((sum, one) => sum + one.probability * Math.exp(strength * reward(one.tokens)),
      0)) / strength
  const mean = (tokens: readonly number[], final: boolean): number =>
    final ? reward(tokens) : endings(tokens).reduce((sum, one) => sum + one.probability * reward(one.tokens), 0)
  const answers = enumerate(policy, length)
  const normalizer = answers.reduce((sum, one) => sum + one.probability * Math.exp(strength * reward(one.tokens)), 0)
  let worstOfMean = 0
  for (const { tokens, probability } of answers) {
    const target = probability * Math.exp(strength * reward(tokens)) / normalizer
    const ended = tokens.length < length
    assert.ok(Math.abs(guidedProbability(tokens, ended, soft) - target) < 1e-6)
    worstOfMean = Math.max(worstOfMean, Math.abs(guidedProbability(tokens, ended, mean) - target))
  }
  assert.ok(worstOfMean > 1e-3)
})

const ranked = [0.5, 0.3, 0.2].map((probability, token) => ({ token, logProbability: Math.log(probability) }))

test('strength 0 is the policy, and its KL is nothing', () => {
  for (const [index, { logProbability }] of guide(ranked, [1, 2, 3], 0).ranked.entries()) {
    assert.ok(Math.abs(logProbability - ranked[index]!.logProbability) < 1e-12)
  }
  assert.ok(Math.abs(stepKl(guide(ranked, [1, 2, 3], 0), ranked)) < 1e-12)
})

test('the KL of a step is Σ π′ ln(π′/π)', () => {
  const guided = guide(ranked, [0, Math.log(2), 0], 1)
  // Weights .5, .6, .2 over 1.3.
  const expected = 0.5 / 1.3 * Math.log(1 / 1.3) + 0.6 / 1.3 * Math.log(2 / 1.3) + 0.2 / 1.3 * Math.log(1 / 1.3)
  assert.ok(Math.abs(stepKl(guided, ranked) - expected) < 1e-12)
})

test('a budget of KL scales the strength down to what is left, and ends guidance that cannot be paid', () => {
  const values = [0, 0, 10]
  const { guided, share } = guideWithin(ranked, values, 3, 0.1)!
  assert.ok(Math.abs(stepKl(guided, ranked) - 0.1) < 1e-6)
  assert.deepEqual(guided, guide(ranked, values, 3 * share))
  assert.deepEqual(guideWithin(ranked, values, 3, 10), { guided: guide(ranked, values, 3), share: 1 })
  // Looking at two of three tokens alone costs −ln 0.8.
  assert.equal(guideWithin(ranked.slice(0, 2), [0, 1], 1, 0.2), null)
})

test('transforms are what their names say', () => {
  assert.deepEqual(transforms.centered([1, 2, 6]), [-2, -1, 3])
  assert.deepEqual(transforms.minmax([1, 2, 5]), [0, 0.25, 1])
  assert.deepEqual(transforms.minmax([2, 2]), [0, 0])
  assert.deepEqual(transforms.clip01([-1, 0.5, 3]), [0, 0.5, 1])
  assert.deepEqual(transforms.identity([1, 2]), [1, 2])
  const [low, middle, high] = transforms.log_sigmoid([-800, 0, 800]) as [number, number, number]
  assert.equal(low, -800)
  assert.ok(Math.abs(middle + Math.LN2) < 1e-12)
  assert.equal(high, -0)
})

/** The next token's exact distribution when two of five tokens are guided and the others kept, and its KL. */
function keptDistribution (toy: ToyPolicy, strength: number): { probabilities: Map<string, number>, kl: number } {
  const p = Array.from({ length: toy.size }, (_, token) => Math.exp(toy.logProbability(toyPrompt.tokens, token)))
  const inside = [...p.keys()].sort((a, b) => p[b]! - p[a]!).slice(0, 2)
  const values = inside.map(token => oddity(token === toy.endToken ? [] : [token]))
  const mean = (values[0]! + values[1]!) / 2
  const weights = p.map((one, token) =>
    inside.includes(token) ? one * Math.exp(strength * (values[inside.indexOf(token)]! - mean)) : one)
  const sum = weights.reduce((a, b) => a + b, 0)
  const probabilities = new Map(weights.map((weight, token) =>
    [token === toy.endToken ? '' : String.fromCharCode(97 + token), weight / sum]))
  return {
    probabilities,
    kl: weights.reduce((total, weight, token) => total + weight / sum * Math.log(weight / sum / p[token]!), 0)
  }
}

test('tokens outside the candidates are kept with value 0: drawn, and in the KL, as enumeration has it', async () => {
  const toy = new ToyPolicy({ size: 5, seed: 8, listed: 3 })
  const { probabilities, kl } = keptDistribution(toy, 1.4)
  const drawn: string[] = []
  for (let seed = 0; seed < 800; seed++) {
    const { result } = await run({
      strategy: 'token_guidance', strength: 1.4, candidates: { top_k: 2 }, transform: 'centered', outside: 'keep'
    }, { policy: toy, scorer: oddities, seed, sampling: { maxTokens: 1 } })
    drawn.push(result.choices[0]!.text)
    assert.ok(Math.abs(result.kl.value! - kl) < 1e-6)
  }
  assert.ok(drawn.some(one => !['', 'a'].includes(one)))
  assertDrawnFrom(probabilities, drawn, 'kept')
  const [best] = [...probabilities].reduce((a, b) => b[1] > a[1] ? b : a)
  const { result } = await run({
    strategy: 'token_guidance',
    strength: 1.4,
    candidates: { top_k: 2 },
    transform: 'centered',
    outside: 'keep',
    draw: 'argmax'
  }, { policy: toy, scorer: oddities, sampling: { maxTokens: 1 } })
  assert.equal(result.choices[0]!.text, best)
})

/**
 * The exact distribution of answers of two tokens at most, and the mean KL along them, where strength rises over some
 * tokens: the first gets 1 / warmup of it, the second 2 / warmup.
 */
function warmedUp (toy: ToyPolicy, strength: number, warmup: number): { answers: Map<string, number>, kl: number } {
  const answers = new Map<string, number>()
  let kl = 0
  const stepAfter = (prefix: readonly number[]) => {
    const p = Array.from({ length: toy.size },
      (_, token) => Math.exp(toy.logProbability([...toyPrompt.tokens, ...prefix], token)))
    const share = Math.min(1, (prefix.length + 1) / warmup)
    const weights = p.map((one, token) =>
      one * Math.exp(strength * share * oddity(token === toy.endToken ? prefix : [...prefix, token])))
    const sum = weights.reduce((a, b) => a + b, 0)
    return {
      guided: weights.map(weight => weight / sum),
      kl: weights.reduce((total, weight, token) => total + weight / sum * Math.log(weight / sum / p[token]!), 0)
    }
  }
  const textOf = (...tokens: readonly number[]): string =>
    tokens.filter(token => token !== toy.endToken).map(token => String.fromCharCode(97 + token)).join('')
  const first = stepAfter([])
  kl += first.kl
  for (const [one, probability] of first.guided.entries()) {
    if (one === toy.endToken) {
      answers.set('', probability)
      continue
    }
    const second = stepAfter([one])
    kl += probability * second.kl
    for (const [other, next] of second.guided.entries()) {
      const text = textOf(one, other)
      answers.set(text, (answers.get(text) ?? 0) + probability * next)
    }
  }
  return { answers, kl }
}

test('strength rises over warmup_tokens: answers and KL are those of enumeration', async () => {
  const toy = new ToyPolicy({ size: 3, seed: 8 })
  const [count, strength] = [1000, 2]
  for (const warmup of [2, 5]) {
    const exact = warmedUp(toy, strength, warmup)
    const drawn: string[] = []
    let kl = 0
    for (let seed = 0; seed < count; seed++) {
      const { result } = await run({ strategy: 'token_guidance', strength, warmup_tokens: warmup },
        { policy: toy, scorer: oddities, seed, sampling: { maxTokens: 2 } })
      drawn.push(result.choices[0]!.text)
      kl += result.kl.value! / count
    }
    assertDrawnFrom(exact.answers, drawn, `warmup ${warmup}`)
    assert.ok(Math.abs(kl - exact.kl) < 0.05 * exact.kl, `${kl} ${exact.kl}`)
  }
})

test('one token of warm-up is none, and one token under a long warm-up is its share of the strength', async () => {
  for (let seed = 0; seed < 10; seed++) {
    const of = async (maxTokens: number, more: object) => (await run({ strategy: 'token_guidance', ...more },
      { scorer: oddities, seed, sampling: { maxTokens } })).result
    const [none, one] = [await of(6, { strength: 1.5 }), await of(6, { strength: 1.5, warmup_tokens: 1 })]
    assert.deepEqual([one.choices, one.kl], [none.choices, none.kl])
    const [weak, warming] = [await of(1, { strength: 0.5 }), await of(1, { strength: 4, warmup_tokens: 8 })]
    assert.deepEqual([warming.choices, warming.kl], [weak.choices, weak.kl])
  }
})

test('max_kl holds under a warm-up, and is spent later', async () => {
  for (let seed = 0; seed < 20; seed++) {
    const given = { scorer: oddities, seed, sampling: { maxTokens: 6, ignoreEos: true } }
    const { result } = await run({ strategy: 'token_guidance', strength: 50, warmup_tokens: 6, max_kl: 0.5 }, given)
    assert.ok(result.kl.value! <= 0.5 + 1e-9)
  }
})

test('guidance before the temperature is guidance with strength over temperature', async () => {
  for (let seed = 0; seed < 20; seed++) {
    const given = { scorer: oddities, seed, sampling: { temperature: 0.5, maxTokens: 5 } }
    const before = await run({ strategy: 'token_guidance', strength: 0.6, guidance_before_temperature: true }, given)
    const after = await run({ strategy: 'token_guidance', strength: 1.2 }, given)
    assert.deepEqual(before.result.choices, after.result.choices)
  }
})

test('argmax takes the most probable token under guidance, as temperature 0 does', async () => {
  for (let seed = 0; seed < 10; seed++) {
    const drawn =
      await run({ strategy: 'token_guidance', draw: 'argmax' }, { scorer: oddities, seed, sampling: { maxTokens: 5 } })
    const greedy =
      await run({ strategy: 'token_guidance' }, { scorer: oddities, seed, sampling: { maxTokens: 5, temperature: 0 } })
    assert.equal(drawn.result.choices[0]!.text, greedy.result.choices[0]!.text)
    const args = await run({ strategy: 'token_guidance', method: 'args', candidates: { top_k: 4 } },
      { scorer: oddities, seed, sampling: { maxTokens: 5 } })
    // The KL of the distribution whose most probable token is taken is not the answer's.
    for (const { result } of [drawn, greedy, args]) assert.deepEqual(result.kl, { value: null, kind: null })
  }
})

test('an end token is a candidate like any other: a reward for short answers ends them at once', async () => {
  const scorer = toyScorer(tokens => -tokens.length)
  for (let seed = 0; seed < 10; seed++) {
    const { result } =
      await run({ strategy: 'token_guidance', strength: 100 }, { scorer, seed, sampling: { maxTokens: 20 } })
    assert.deepEqual([result.choices[0]!.text, result.choices[0]!.finishReason], ['', 'stop'])
  }
})

test('a method fills in what its paper says; fields that are given win', () => {
  const of = (fields: object): Record<string, unknown> => ({
    ...parseAlignment({ strategy: 'token_guidance', reward: 'x', ...fields })
  })
  const args = of({ method: 'args' })
  assert.deepEqual([args['strength'], args['candidates'], args['draw'], args['reward_scale'],
    args['allow_scope_mismatch']], [1.5, { top_k: 10, top_p: 1 }, 'argmax', 'raw', true])
  const rad = of({ method: 'rad', strength: 10 })
  assert.deepEqual([rad['strength'], rad['transform'], rad['candidates']], [10, 'clip01', { top_k: 20, top_p: 1 }])
  const fudge = of({ method: 'fudge', transform: null, reward_scale: 'standardized' })
  assert.deepEqual([fudge['strength'], fudge['transform'], fudge['reward_scale']], [1, 'log_sigmoid', 'standardized'])
  assert.equal(of({ method: 'cd' })['reward_scale'], 'raw')
  const vas = of({ method: 'vas' })
  assert.deepEqual([vas['strength'], vas['candidates'], vas['transform'], vas['outside']],
    [3, { top_k: 20, top_p: 1 }, 'centered', 'keep'])
  const proxy = of({ method: 'proxy_tuning', reward: undefined, contrast: { toward: {}, away: {} } })
  assert.deepEqual([proxy['strength'], proxy['candidates'], proxy['source']], [1, { top_k: 0, top_p: 0.9 }, 'contrast'])
  assert.equal(of({})['reward_scale'], 'standardized')
  const candidates = (fields: object): unknown => of(fields)['candidates']
  assert.deepEqual(candidates({ method: 'q_head', candidates: { top_p: 0.95 } }), { top_k: 64, top_p: 0.95 })
  assert.deepEqual(candidates({ method: 'args', candidates: { top_p: 0.95, top_k: null } }), { top_k: 10, top_p: 0.95 })
  assert.deepEqual(
    candidates({ method: 'genarm', reward: undefined, contrast: { toward: {} }, candidates: { top_p: 0.95 } }),
    { top_k: 0, top_p: 0.95 }
  )
  assert.deepEqual(candidates({
    method: 'proxy_tuning', reward: undefined, contrast: { toward: {}, away: {} }, candidates: { top_k: 0 }
  }), { top_k: 0, top_p: 0.9 })
  assert.deepEqual(candidates({ method: 'rad', candidates: { top_k: 5 } }), { top_k: 5, top_p: 1 })
})

test('a next-token reward that foretells rightly guides as reading each token does, token for token, and ' +
  'reads nothing', async () => {
  for (const more of [{}, { draw: 'argmax' }, { transform: 'centered', outside: 'keep', candidates: { top_k: 2 } },
    { max_kl: 0.7 }]) {
    for (let seed = 0; seed < 20; seed++) {
      const given = { scorer: oddities, seed, n: 2, sampling: { maxTokens: 6 } }
      const read = await run({ strategy: 'token_guidance', strength: 0.8, ...more }, given)
      const foretold = await run({ strategy: 'token_guidance', strength: 0.8, source: 'next_token', ...more }, given)
      assert.deepEqual(foretold.result.choices, read.result.choices)
      assert.equal(foretold.result.kl.value, read.result.kl.value)
      // Every answer is read to its end for its own score: of those cut by length, one token each.
      assert.equal(foretold.result.rewardTokens,
        foretold.result.choices.filter(choice => choice.finishReason === 'length').length)
    }
  }
})

test('progress tells the reward of the prefix after every token', async () => {
  const { events, result } = await run({ strategy: 'token_guidance', return_progress: true },
    { scorer: oddities, seed: 4, sampling: { maxTokens: 5, ignoreEos: true } })
  const steps = events.flatMap(event => event.type === 'progress' ? [event] : [])
  assert.deepEqual(steps.map(one => one.step), [1, 2, 3, 4, 5])
  assert.ok(steps.every(({ candidates }) => candidates.length === 1 && candidates[0]!.reward !== null))
  assert.equal(steps.at(-1)!.candidates[0]!.reward, result.choices[0]!.score!.value)
})
