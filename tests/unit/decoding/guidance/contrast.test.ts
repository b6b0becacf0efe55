/**
 * Guidance by contrast on a toy: what it draws is compared with enumeration. The other contexts are other first tokens.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { run, textOf } from '../../../helpers/run-strategy.js'
import { assertDrawnFrom, tally } from '../../../helpers/statistics.js'
import { ToyPolicy, toyPrompt } from '../../../helpers/toy-policy.js'

const policy = new ToyPolicy({ size: 4, seed: 5 })
const maxTokens = 2
const [toward, away] = [[1, 2], [2, 1, 0]] as const

/** The exact next-token distribution of the toy after a context and an answer's tokens. */
const next = (context: readonly number[], tokens: readonly number[]): number[] =>
  Array.from({ length: policy.size }, (_, token) => Math.exp(policy.logProbability([...context, ...tokens], token)))

const normalized = (weights: readonly number[]): number[] =>
  weights.map(weight => weight / weights.reduce((sum, one) => sum + one, 0))

/**
 * Every answer with its probability where each token is drawn from `draw(tokens so far)`, with what that costs in KL to
 * the policy along the way.
 */
function answers (
  draw: (tokens: readonly number[]) => number[], tokens: readonly number[] = [], probability = 1, kl = 0
): Array<{ text: string, probability: number, kl: number }> {
  if (tokens.length === maxTokens) return [{ text: textOf(tokens), probability, kl }]
  const [guided, plain] = [draw(tokens), next(toyPrompt.tokens, tokens)]
  const used = kl + guided.reduce((sum, p, token) => p === 0 ? sum : sum + p * Math.log(p / plain[token]!), 0)
  return guided.flatMap((p, token) => {
    if (p === 0) return []
    if (token === policy.endToken) return [{ text: textOf(tokens), probability: probability * p, kl: used }]
    return answers(draw, [...tokens, token], probability * p, used)
  })
}

/** The tokens that have 0.9 of the probability, the fewest. */
function nucleus (p: readonly number[]): Set<number> {
  const ranked = [...p.keys()].sort((a, b) => p[b]! - p[a]!)
  let mass = 0
  return new Set(ranked.slice(0, ranked.findIndex(token => (mass += p[token]!) >= 0.9) + 1))
}

const cases: ReadonlyArray<readonly [name: string, alignment: Record<string, unknown>, contrast: object,
  draw: (tokens: readonly number[]) => number[]]> = [
    ['toward a context, away from the prompt itself, at strength 1: the policy in that context',
      { contrast: { toward: { system: 's' }, away: {} }, candidates: { top_k: 0 } }, { toward, away: toyPrompt.tokens },
      tokens => next(toward, tokens)],
    ['toward a context alone, as GenARM: the product of both',
      { method: 'genarm', contrast: { toward: { system: 's' } }, strength: 0.7 }, { toward, away: null },
      tokens => normalized(next(toyPrompt.tokens, tokens).map((p, token) => p * next(toward, tokens)[token]! ** 0.7))],
    ['toward one context and away from another, as proxy-tuning: over the nucleus of the policy',
      { method: 'proxy_tuning', contrast: { toward: { system: 's' }, away: { prefix: 'p' } }, strength: 1.5 },
      { toward, away },
      tokens => {
        const plain = next(toyPrompt.tokens, tokens)
        const inside = nucleus(plain)
        return normalized(plain.map((p, token) =>
          inside.has(token) ? p * (next(toward, tokens)[token]! / next(away, tokens)[token]!) ** 1.5 : 0))
      }],
    ['away from a context alone',
      { contrast: { away: { prefix: 'p' } }, candidates: { top_k: 0 }, strength: 0.5 }, { toward: null, away },
      tokens => normalized(next(toyPrompt.tokens, tokens).map((p, token) => p / next(away, tokens)[token]! ** 0.5))]
  ]

for (const [name, alignment, contrast, draw] of cases) {
  test(name, async () => {
    const all = answers(draw)
    const drawn: string[] = []
    for (let seed = 0; seed < 800; seed++) {
      const { result, policy: toy } =
        await run({ strategy: 'token_guidance', ...alignment }, { policy, contrast, seed, sampling: { maxTokens } })
      drawn.push(result.choices[0]!.text)
      assert.ok(all.some(({ text, kl }) => text === drawn.at(-1) && Math.abs(kl - result.kl.value!) < 1e-5),
        `KL ${result.kl.value}`)
      assert.equal(toy.open, 0)
    }
    assertDrawnFrom(tally(all, one => one.text, one => one.probability), drawn, name)
  })
}

const temperature = 0.5
const tempered = (weights: readonly number[]): number[] =>
  normalized(weights.map(weight => weight ** (1 / temperature)))

const temperedCases: typeof cases = [
  ['before the temperature, toward a context and away from the prompt itself: the policy in that context',
    { contrast: { toward: { system: 's' }, away: {} }, candidates: { top_k: 0 }, guidance_before_temperature: true },
    { toward, away: toyPrompt.tokens },
    tokens => tempered(next(toward, tokens))],
  ['GenARM: the product of both, tempered',
    { method: 'genarm', contrast: { toward: { system: 's' } }, strength: 0.7 }, { toward, away: null },
    tokens => tempered(next(toyPrompt.tokens, tokens).map((p, token) => p * next(toward, tokens)[token]! ** 0.7))],
  ['proxy-tuning: tempered over the nucleus of the tempered policy',
    { method: 'proxy_tuning', contrast: { toward: { system: 's' }, away: { prefix: 'p' } }, strength: 1.5 },
    { toward, away },
    tokens => {
      const plain = next(toyPrompt.tokens, tokens)
      const inside = nucleus(tempered(plain))
      return tempered(plain.map((p, token) =>
        inside.has(token) ? p * (next(toward, tokens)[token]! / next(away, tokens)[token]!) ** 1.5 : 0))
    }]
]

for (const [name, alignment, contrast, draw] of temperedCases) {
  test(`at temperature ${temperature}, ${name}`, async () => {
    const drawn: string[] = []
    for (let seed = 0; seed < 800; seed++) {
      drawn.push((await run({ strategy: 'token_guidance', ...alignment },
        { policy, contrast, seed, sampling: { maxTokens, temperature } })).result.choices[0]!.text)
    }
    assertDrawnFrom(tally(answers(draw), one => one.text, one => one.probability), drawn, name)
  })
}

test('at temperature 0 it is the greedy answer in the other context', async () => {
  const greedy = (tokens: readonly number[]): number =>
    next(toward, tokens).reduce((best, p, token, all) => p > all[best]! ? token : best, 0)
  const expected: number[] = []
  while (expected.length < 6 && greedy(expected) !== policy.endToken) expected.push(greedy(expected))
  const { result } =
    await run({ strategy: 'token_guidance', contrast: { toward: { system: 's' }, away: {} }, candidates: { top_k: 0 } },
      { policy, contrast: { toward, away: toyPrompt.tokens }, sampling: { maxTokens: 6, temperature: 0 } })
  assert.equal(result.choices[0]!.text, textOf(expected))
})

test('each context is read once for all answers, and what it takes is counted as reward tokens', async () => {
  const toy = new ToyPolicy({ size: 4, seed: 5 })
  const { result } = await run({
    strategy: 'token_guidance', contrast: { toward: { system: 's' }, away: { prefix: 'p' } }, candidates: { top_k: 0 }
  }, { policy: toy, contrast: { toward, away }, n: 3, sampling: { maxTokens: 4, ignoreEos: true } })
  // Answers of 4 tokens, the last of which is not read.
  assert.equal(result.rewardTokens, toward.length + away.length + 2 * 3 * 3)
  // Outputs after one token: the prompt's alone; after two: the other context's, and those of three answers after their
  // first token.
  assert.deepEqual([1, 2].map(count => toy.asked.filter(length => length === count).length), [1, 4])
  assert.equal(toy.open, 0)
})

test('over all tokens guidance looks at every one that can be drawn, also behind bias and beyond what the ' +
  'engine lists', async () => {
  const toy = new ToyPolicy({ size: 6, seed: 2, listed: 2 })
  for (let seed = 0; seed < 40; seed++) {
    const given = {
      policy: toy,
      seed,
      contrast: { toward: toyPrompt.tokens, away: null },
      sampling: { maxTokens: 5, logitBias: { 1: 3, 4: -100 } }
    }
    const plain = await run(null, given)
    const { result } =
      await run({ strategy: 'token_guidance', contrast: { toward: {} }, candidates: { top_k: 0 }, strength: 0 }, given)
    assert.equal(result.choices[0]!.text, plain.result.choices[0]!.text)
    assert.ok(Math.abs(result.kl.value!) < 1e-5)
  }
})
