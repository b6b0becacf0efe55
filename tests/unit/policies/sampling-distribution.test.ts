import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SamplingDistribution } from '../../../src/policies/sampling-distribution.js'
import { TokenCounts, touchedLogits } from '../../../src/policies/logits-processors.js'
import { randomStream } from '../../../src/policies/random-stream.js'
import { sameBits } from '../../helpers/same-bits.js'
import { distributionOf, plainSampling } from '../../helpers/toy-policy.js'

const random = randomStream(5, 'logits')
/** 400 logits, of which a distribution lists 128. */
const logits = Array.from({ length: 400 }, () => 4 * random.next())

interface Filters { readonly temperature: number, readonly topK: number, readonly topP: number, readonly minP: number }
const open: Filters = { temperature: 1, topK: 0, topP: 1, minP: 0 }

/** The same by sorting the whole row, in vLLM's order: temperature, min_p, top_k, top_p. */
function bruteForce (
  touched: ReadonlyMap<number, number>, { temperature, topK, topP, minP }: Filters,
  isAllowed: (token: number) => boolean
): Map<number, number> {
  const scaled = logits.map((logit, token) =>
    !isAllowed(token) ? 0 : Math.exp((touched.get(token) ?? Math.fround(logit)) / temperature))
  let kept = [...scaled.keys()].filter(token => scaled[token]! > 0).sort((a, b) => scaled[b]! - scaled[a]! || a - b)
  const largest = scaled[kept[0]!]!
  if (minP > 0) kept = kept.filter(token => scaled[token]! >= minP * largest)
  if (topK > 0) kept = kept.slice(0, topK)
  const sum = kept.reduce((total, token) => total + scaled[token]!, 0)
  if (topP < 1) {
    let mass = 0
    const end = kept.findIndex(token => (mass += scaled[token]! / sum) >= topP)
    if (end >= 0) kept = kept.slice(0, end + 1)
  }
  const rest = kept.reduce((total, token) => total + scaled[token]!, 0)
  return new Map(kept.map(token => [token, scaled[token]! / rest]))
}

const touches: Readonly<Record<string, ReadonlyMap<number, number>>> = {
  'nothing touched': new Map(),
  'tokens in and beyond the list touched': new Map([[3, 9], [17, -Infinity], [200, 3.5], [399, -2]]),
  'everything masked but one': new Map(logits.map((_, token) => [token, token === 77 ? 1 : -Infinity]))
}
const filters: Readonly<Record<string, Filters>> = {
  'no filter': open,
  'temperature 0.5': { ...open, temperature: 0.5 },
  'temperature 1.7': { ...open, temperature: 1.7 },
  'top_k inside the list': { ...open, topK: 20 },
  'top_k beyond the list': { ...open, topK: 300 },
  'top_p inside the list': { ...open, topP: 0.4 },
  'top_p beyond the list': { ...open, topP: 0.97 },
  'min_p inside the list': { ...open, minP: 0.5 },
  'min_p beyond the list': { ...open, minP: 0.03 },
  'all at once': { temperature: 0.8, topK: 50, topP: 0.9, minP: 0.1 },
  'all at once, beyond the list': { temperature: 1.5, topK: 250, topP: 0.98, minP: 0.01 }
}

/** What a constraint allows; the last two are too many to be listed one by one. */
const constraints: Readonly<Record<string, ((token: number) => boolean) | null>> = {
  'no constraint': null,
  'a few tokens allowed': token => [3, 17, 77, 250, 399].includes(token),
  'one of three allowed': token => token % 3 === 1,
  'all but a few allowed': token => token % 50 !== 0
}

/** Copies of the row, far less probable, that make it longer than what is listed where a constraint allows few. */
const wide = [...logits, ...Array.from({ length: 2000 }, () => -60)]

function bits (isAllowed: (token: number) => boolean): Int32Array {
  const words = new Int32Array(Math.ceil(wide.length / 32))
  for (const token of wide.keys()) {
    if (token >= logits.length || isAllowed(token)) words[token >> 5]! |= 1 << (token & 31)
  }
  return words
}

test('a constraint that allows many tokens is exact, whichever it forbids', () => {
  for (const isAllowed of Object.values(constraints)) {
    if (!isAllowed) continue
    const expected = bruteForce(new Map([[3, 9], [200, 3.5]]), open, isAllowed)
    const distribution =
      new SamplingDistribution(distributionOf(wide), new Map([[3, 9], [200, 3.5]]), open, bits(isAllowed))
    for (const { token, logProbability } of distribution.ranked(expected.size)) {
      assert.ok(Math.abs(Math.exp(logProbability) - expected.get(token)!) < 1e-6)
    }
    for (let step = 0; step < 2000; step++) assert.ok(isAllowed(distribution.draw((step + 0.5) / 2000)))
    const all = distribution.all().map(({ token }) => token)
    assert.deepEqual(all.filter(token => token < logits.length).sort((a, b) => a - b),
      [...expected.keys()].sort((a, b) => a - b))
  }
})

test('a constraint that allows nothing is a mistake', () => {
  assert.throws(() => new SamplingDistribution(distributionOf(logits), new Map(), open, new Int32Array(13)),
    /allows no token/)
})

for (const [what, touched, constraint] of Object.entries(touches).flatMap(([touch, touched]) =>
  Object.entries(constraints).map(([name, constraint]) => [`${touch}, ${name}`, touched, constraint] as const))) {
  for (const [how, filter] of Object.entries(filters)) {
    test(`probabilities are exact with ${how}, ${what}`, () => {
      const isAllowed = constraint ?? (() => true)
      const expected = bruteForce(touched, filter, isAllowed)
      if (expected.size === 0) return
      const allowed =
        constraint && bits(isAllowed).slice(0, 13).map((word, index) => index === 12 ? word & 0xFFFF : word)
      const distribution =
        new SamplingDistribution(distributionOf(logits, filter.temperature), touched, filter, allowed)
      const ranked = distribution.ranked(400)
      const byProbability = [...expected.keys()].sort((a, b) => expected.get(b)! - expected.get(a)! || a - b)
      sameBits(ranked.map(one => one.token), byProbability)
      for (const { token, logProbability } of ranked) {
        assert.ok(Math.abs(Math.exp(logProbability) - expected.get(token)!) < 1e-6 * expected.get(token)! + 1e-12)
      }
      // A fine grid of u meets each token in proportion.
      const drawn = new Map<number, number>()
      const grid = 20000
      for (let i = 0; i < grid; i++) {
        const token = distribution.draw((i + 0.5) / grid)
        drawn.set(token, (drawn.get(token) ?? 0) + 1)
      }
      for (const [token, count] of drawn) {
        assert.ok(Math.abs(count / grid - (expected.get(token) ?? 0)) < 1.01 / grid + 1e-9, `${token}: ${count}`)
      }
    })
  }
}

test('the arg max goes to the lower id among equals', () => {
  assert.equal(new SamplingDistribution(distributionOf([1, 3, 3, 2]), new Map(), { ...open, temperature: 0 }).argmax(),
    1)
  assert.equal(new SamplingDistribution(distributionOf([1, 3, 3, 2]), new Map([[1, 0], [3, 3]]),
    { ...open, temperature: 0 }).argmax(), 2)
})

test('penalties, bias and masks change the logits they name', () => {
  const counts = new TokenCounts(new Set([0, 1]))
  counts.add(1)
  counts.add(1)
  counts.add(2)
  const base = distributionOf([2, 4, -1, 0.5, 1])
  const touched = touchedLogits(base,
    { ...plainSampling, repetitionPenalty: 2, frequencyPenalty: 0.5, presencePenalty: 0.25, logitBias: { 3: 1 } },
    counts, [4])
  // 0: 2/2; 1: 4/2 − 2·0.5 − 0.25; 2: −1·2 − 0.5 − 0.25; 3: 0.5 + 1; 4 masked
  assert.deepEqual([...touched.entries()].sort(([a], [b]) => a - b),
    [[0, 1], [1, 0.75], [2, -2.75], [3, 1.5], [4, -Infinity]])
  assert.equal(touchedLogits(base, plainSampling, counts, []).size, 0)
})

test('streams depend on seed and path alone, and fill the unit interval evenly', () => {
  const draws = (seed: number, path: string): number[] => {
    const stream = randomStream(seed, path)
    return Array.from({ length: 5 }, () => stream.next())
  }
  assert.deepEqual(draws(1, '0'), draws(1, '0'))
  assert.notDeepEqual(draws(1, '0'), draws(1, '1'))
  assert.notDeepEqual(draws(1, '0'), draws(2, '0'))
  assert.notDeepEqual(draws(2 ** 53 - 1, '0'), draws(2 ** 53 - 2, '0'))
  const stream = randomStream(9, 'even')
  const bins = new Array<number>(10).fill(0)
  for (let i = 0; i < 10000; i++) bins[Math.floor(10 * stream.next())]!++
  // Chi-square with 9 degrees of freedom is above 27.9 once in a thousand seeds; the seed is fixed.
  assert.ok(bins.reduce((sum, count) => sum + (count - 1000) ** 2 / 1000, 0) < 27.9)
})
