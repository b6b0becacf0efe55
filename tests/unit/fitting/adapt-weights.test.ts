import assert from 'node:assert/strict'
import { test } from 'node:test'
import { suggestPairs, type Candidate } from '../../../src/fitting/active-learning.js'
import {
  withOpposites, leaveOneOut, mixHeads, pairAccuracy, randomHeads, type LinearHead, type StatePair
} from '../../../src/fitting/adapt-weights.js'
import { denseRows, fitBradleyTerry } from '../../../src/statistics/linear-fit.js'
import { meanAndStd } from '../../../src/statistics/metrics.js'
import { principalDirections } from '../../../src/statistics/pca.js'
import { normal, uniform } from '../../../src/statistics/random.js'

const normals = (seed: number): () => number => {
  const random = uniform(seed)
  return () => normal(random)
}

test('principal directions are the eigenvectors of the covariance, most variance first', () => {
  const draw = normals(1)
  // Spread 5, 3 and 1 along turned axes, around a mean that must not count.
  const [c, s] = [Math.cos(0.5), Math.sin(0.5)]
  const rows = Array.from({ length: 4000 }, () => {
    const [x, y, z] = [5 * draw(), 3 * draw(), draw()]
    return Float32Array.of(100 + c * x - s * y, s * x + c * y, z)
  })
  const [first, second, third] = principalDirections(rows, 3)
  for (const [found, expected] of [[first, [c, s, 0]], [second, [-s, c, 0]], [third, [0, 0, 1]]] as const) {
    assert.ok(Math.abs(Math.abs(found!.reduce((sum, value, i) => sum + value * expected[i]!, 0)) - 1) < 0.005,
      `${[...found!]}`)
  }
  const flat = Array.from({ length: 50 }, (_, i) => Float32Array.of(i, 2 * i, 0))
  assert.equal(principalDirections(flat, 3).length, 1)
})

/**
 * States of 40 numbers, five of which users care about, each in their own way; the others are as large and mean
 * nothing.
 */
const width = 40
const attributes = 5
const utility = (taste: readonly number[], state: Float32Array): number =>
  taste.reduce((sum, weight, i) => sum + weight * state[i]!, 0)

function pairsOf (taste: readonly number[], count: number, draw: () => number): StatePair[] {
  return Array.from({ length: count }, () => {
    const prompt = draw()
    const [a, b] =
      [0, 1].map(() => Float32Array.from({ length: width }, (_, i) => (i < attributes ? 2 : 0.7) * draw() + prompt))
    return utility(taste, a!) > utility(taste, b!) ? { chosen: a!, rejected: b! } : { chosen: b!, rejected: a! }
  })
}

function tasteOf (draw: () => number): number[] {
  const raw = Array.from({ length: attributes }, draw)
  const length = Math.hypot(...raw)
  return raw.map(one => one / length)
}

const difference = ({ chosen, rejected }: StatePair): Float32Array => chosen.map((value, i) => value - rejected[i]!)

test('five users, five pairs each: adapting directions beats the one head of all users, and random heads', () => {
  const draw = normals(2)
  const everybody = Array.from({ length: 30 }, () => tasteOf(draw)).flatMap(taste => pairsOf(taste, 20, draw))
  const differences = everybody.map(difference)
  const { weights } =
    fitBradleyTerry(denseRows(Float32Array.from(differences.flatMap(one => [...one])), width), { lambda: 0.1 })
  const single: LinearHead = { weights, bias: 0 }
  const heads = [single, ...withOpposites(principalDirections(differences, 10))]
  const users = Array.from({ length: 5 }, () => tasteOf(draw))
  const accuracies = users.flatMap((taste, user) => Array.from({ length: 20 }, (_, trial) => {
    const [own, held] = [pairsOf(taste, 5, draw), pairsOf(taste, 200, draw)]
    const random = randomHeads(heads.length, own, 100 * user + trial)
    return {
      adapted: pairAccuracy(mixHeads(heads, own).head, held),
      single: pairAccuracy(single, held),
      random: pairAccuracy(mixHeads(random, own).head, held)
    }
  }))
  const mean = (name: keyof typeof accuracies[number]): number => meanAndStd(accuracies.map(one => one[name])).mean
  const [adapted, alone, random] = [mean('adapted'), mean('single'), mean('random')]
  assert.ok(adapted > alone + 0.05 && adapted > random + 0.05,
    `adapted ${adapted.toFixed(3)}, single ${alone.toFixed(3)}, random ${random.toFixed(3)}`)
})

test('what is mixed is one head: the shares add up to one and lie where the pairs are told apart', () => {
  const heads = withOpposites([Float64Array.of(1, 0), Float64Array.of(0, 1)])
  const pairs = [{ chosen: Float32Array.of(1, 5), rejected: Float32Array.of(-1, 5.1) },
    { chosen: Float32Array.of(2, -3), rejected: Float32Array.of(0.5, -3.1) }]
  const { head, shares } = mixHeads(heads, pairs)
  assert.ok(Math.abs(shares.reduce((sum, one) => sum + one, 0) - 1) < 1e-12)
  assert.ok(shares[0]! > 0.5, `${shares.join()}`)
  assert.equal(pairAccuracy(head, pairs), 1)
  // What all but one agree on tells that one: the first number decides, the second does not.
  const agreed = [1, -1, 1,
    -1].map((noise, index) => ({ chosen: Float32Array.of(2 + index, noise), rejected: Float32Array.of(index, 0) }))
  assert.equal(leaveOneOut(heads, agreed), 1)
  const same = { chosen: Float32Array.of(1, 1), rejected: Float32Array.of(1, 1) }
  assert.ok(mixHeads(heads, [same]).head.weights.every(Number.isFinite))
})

test('each suggestion leaves least variance about all candidates, beside those before it', () => {
  const draw = normals(3)
  const candidates = Array.from({ length: 12 },
    (): Candidate => ({ difference: Float64Array.from({ length: 2 }, draw), margin: draw() }))
  const known = candidates.slice(10)
  const open = candidates.slice(0, 10)
  const information = (margin: number): number => 1 / ((1 + Math.exp(margin)) * (1 + Math.exp(-margin)))
  const prior = 0.1 * meanAndStd(open.map(({ difference: z, margin }) =>
    information(margin) * z.reduce((sum, value) => sum + value ** 2, 0))).mean
  /** Σ zᵀ (prior·I + Σ p(1 − p) z zᵀ)⁻¹ z over the open pairs. */
  const variance = (pairs: readonly Candidate[]): number => {
    let [a, b, d] = [prior, 0, prior]
    for (const { difference: [x, y], margin } of pairs) {
      a += information(margin) * x! * x!
      b += information(margin) * x! * y!
      d += information(margin) * y! * y!
    }
    return open.reduce(
      (sum, { difference: [x, y] }) => sum + (d * x! * x! - 2 * b * x! * y! + a * y! * y!) / (a * d - b * b), 0
    )
  }
  const taken = [...known]
  for (const { index, gain } of suggestPairs(open, known, 4)) {
    const gains =
      open.map(candidate => taken.includes(candidate) ? -1 : 1 - variance([...taken, candidate]) / variance(taken))
    assert.equal(index, gains.indexOf(Math.max(...gains)))
    assert.ok(Math.abs(gain - gains[index]!) < 1e-9)
    taken.push(open[index]!)
  }
  assert.equal(suggestPairs(open, [], 99).length, 10)
  const same = { difference: new Float64Array(2), margin: 0 }
  assert.deepEqual(suggestPairs([same, same], [same], 1), [{ index: 0, gain: 0 }])
})

test('labels that were suggested teach more than as many random ones, over ten seeds', () => {
  const gains = Array.from({ length: 10 }, (_, seed) => {
    const draw = normals(50 + seed)
    const dimensions = 24
    const truth = Float64Array.from({ length: dimensions }, draw)
    // What people write varies along some directions much more than along others.
    const state = (): Float64Array => Float64Array.from({ length: dimensions }, (_, i) => draw() * 2 / (1 + i / 4))
    const pool = Array.from({ length: 400 }, state)
    const held = Array.from({ length: 500 }, () => Float64Array.from({ length: dimensions }, draw))
    const score = (weights: Float64Array, z: Float64Array): number =>
      z.reduce((sum, value, i) => sum + value * weights[i]!, 0)
    const learn = (labelled: readonly number[]): Float64Array =>
      fitBradleyTerry(denseRows(Float64Array.from(labelled.flatMap(
        index => { const z = pool[index]!; return [...score(truth, z) > 0 ? z : z.map(value => -value)] }
      )), dimensions), { lambda: 0.01 }).weights
    const accuracy = (weights: Float64Array): number =>
      held.filter(z => score(weights, z) * score(truth, z) > 0).length / held.length
    const first = Array.from({ length: 10 }, (_, index) => index)
    const head = learn(first)
    const candidate = (index: number): Candidate => ({ difference: pool[index]!, margin: score(head, pool[index]!) })
    const rest = Array.from({ length: 390 }, (_, index) => 10 + index)
    const suggested = suggestPairs(rest.map(candidate), first.map(candidate), 30).map(({ index }) => rest[index]!)
    // The pool is in no order: each stretch of it is a random choice.
    const random = Array.from({ length: 13 }, (_, choice) =>
      accuracy(learn([...first, ...rest.slice(30 * choice, 30 * choice + 30)])))
    return accuracy(learn([...first, ...suggested])) - meanAndStd(random).mean
  })
  const { mean, std } = meanAndStd(gains)
  assert.ok(mean > 2 * std / Math.sqrt(10) && mean > 0.01, `${mean.toFixed(3)} ± ${(std / Math.sqrt(10)).toFixed(3)}`)
})
