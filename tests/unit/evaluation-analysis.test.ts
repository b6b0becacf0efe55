import assert from 'node:assert/strict'
import { test } from 'node:test'
import { analyse, analysePanel, sizesUpTo, turningOf, type DonePrompt, type ScoredAnswer } from '../../src/evaluation/analysis.js'
import { uniform } from '../../src/rewards/random.js'

const random = uniform(3)
const normal = (): number => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
const answer = (quality: number, proxy: number): ScoredAnswer => ({ text: 'a b c a b', tokens: 10, logprob: -20, proxy, judge: quality })

/** Prompts whose judge sees the quality and whose proxy sees it with noise; a way that answers `lift` better with `tokens` times the tokens. */
function prompts (count: number, lift: number, tokens: number): DonePrompt[] {
  return Array.from({ length: count }, (_, index) => {
    const plain = Array.from({ length: 32 }, () => { const quality = normal(); return answer(quality, quality + normal()) })
    const way = (quality: number, share: number) => ({ answers: [answer(quality, quality)], generatedTokens: 10 * share, forwardPasses: 1, ms: 5 * share, kl: null, klKind: null })
    const average = plain.reduce((sum, one) => sum + one.judge, 0) / plain.length
    return { prompt: String(index), plain, ways: [way(average, 1), way(average + 1, 4), way(average + lift, tokens)] }
  })
}

const labels = ['plain', 'best_of_n 4', 'other']

test('gains are in standard deviations of plain answers, and best-of-n rises with n', () => {
  const { bestOfN, turning } = analyse(labels, prompts(100, 0, 1))
  assert.deepEqual(bestOfN.map(({ n }) => n), [1, 2, 4, 8, 16, 32])
  assert.ok(Math.abs(bestOfN[0]!.judge.value) < 1e-9)
  // E[max of 4 standard normals] = 1.029; the judge gets 1/√2 of it, the correlation of proxy and judge.
  assert.ok(Math.abs(bestOfN[2]!.proxy.value - 1.029) < 0.1)
  assert.ok(Math.abs(bestOfN[2]!.judge.value - 1.029 / Math.SQRT2) < 0.12)
  assert.ok(bestOfN[4]!.judge.low > 0)
  assert.equal(turning.bestN, 32)
  assert.equal(bestOfN[0]!.nll, 2)
  assert.equal(bestOfN[0]!.distinctPairs, 3 / 4)
})

test('a way is compared with best-of-n of as many tokens and as much time', () => {
  const { ways } = analyse(labels, prompts(100, 1, 2))
  const other = ways[2]!
  assert.ok(Math.abs(other.tokens - 2) < 1e-9)
  assert.equal(other.time, 2)
  // Best of 2 gains 0.564/√2 = 0.40 by the judge.
  assert.ok(Math.abs(other.overBestOfN.tokens!.value - 0.6) < 0.1)
  assert.ok(Math.abs(other.overBestOfN.time!.value - 0.6) < 0.1)
  assert.equal(other.overBestOfN.kl, null)
  // As slow as no best-of-n that was timed: nothing to compare with.
  assert.equal(analyse(labels, prompts(5, 1, 20)).ways[2]!.overBestOfN.time, null)
})

test('controls: random choice gains nothing, the oracle most', () => {
  const { controls, bestOfN } = analyse(labels, prompts(100, 0, 1))
  const at16 = (label: string) => controls.find(one => one.label.startsWith(label))!.judge.find(({ n }) => n === 16)!.gain
  assert.ok(at16('random').low < 0 && at16('random').high > 0)
  assert.ok(Math.abs(at16('length').value) < 1e-9)
  assert.ok(at16('oracle').value > bestOfN[4]!.judge.high)
})

test('a proxy that goes wrong where it is large is seen to turn', () => {
  const judge = Array.from({ length: 60 }, () => Array.from({ length: 64 }, normal))
  // Nine in ten answers are scored as the judge does; the worst by the judge are scored best.
  const fooled = judge.map(own => own.map(value => value < -1.3 ? 10 - value : value))
  const [wrong, right] = analysePanel([{ group: 'g', label: 'wrong', scores: fooled }, { group: 'g', label: 'right', scores: judge }], judge)
  assert.ok(wrong!.turning.bestN < 64 && wrong!.turning.after.high < 0)
  assert.equal(right!.turning.bestN, 64)
  assert.ok(Math.abs(right!.shareOfOracle.value - 1) < 1e-9)
  assert.ok(wrong!.shareOfOracle.high < 0)
})

test('sizes double up to the pool, which is one of them', () => {
  assert.deepEqual(sizesUpTo(8), [1, 2, 4, 8])
  assert.deepEqual(sizesUpTo(12), [1, 2, 4, 8, 12])
  assert.equal(turningOf([1, 2], [[0, 0], [1, 3]]).bestN, 2)
})
