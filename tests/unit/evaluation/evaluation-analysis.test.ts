import assert from 'node:assert/strict'
import { test } from 'node:test'
import { analyse, type DonePrompt } from '../../../src/evaluation/analysis.js'
import { sizesUpTo, turningOf, type ScoredAnswer } from '../../../src/evaluation/pools.js'
import { curveGain, softBest } from '../../../src/evaluation/equal-kl.js'
import { analyseOverOptimisation } from '../../../src/evaluation/over-optimisation-analysis.js'
import { curves, type ComparedConfiguration } from '../../../src/evaluation/configurations.js'
import { uniform } from '../../../src/statistics/random.js'

const random = uniform(3)
const normal = (): number => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
const answer = (
  quality: number, proxy: number
): ScoredAnswer => ({ text: 'a b c a b', tokens: 10, logprob: -20, proxy, judge: quality })

/**
 * Prompts whose judge sees the quality and whose proxy sees it with noise; a configuration that answers `lift` better
 * with `tokens` times the tokens and `kl` nats.
 */
function prompts (count: number, lift: number, tokens: number, kl: number | null = null): DonePrompt[] {
  return Array.from({ length: count }, (_, index) => {
    const plain =
      Array.from({ length: 32 }, () => { const quality = normal(); return answer(quality, quality + normal()) })
    const average = plain.reduce((sum, one) => sum + one.judge, 0) / plain.length
    return {
      prompt: String(index),
      plain,
      configurations: [null, null,
        { answers: [answer(average + lift, average + lift)], generatedTokens: 10 * tokens, kl, klKind: null }]
    }
  })
}

const configuration = (
  label: string, pooled: number | null, curve: ComparedConfiguration['curve'] = null
): ComparedConfiguration => ({
  label,
  pooled,
  curve,
  draws: 1,
  outcomeOnly: false,
  configuration: { name: label, system: null, alignment: null, answers: 1 }
})
const configurations = [configuration('plain', 1), configuration('best_of_n 4', 4), configuration('other', null)]
const noTurns = [] as const

function spread (values: readonly number[]): { std: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  return { std: Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length) }
}

test('gains are in standard deviations of plain answers, and best-of-n rises with n', () => {
  const { bestOfN, turning } = analyse(configurations, prompts(100, 0, 1), noTurns)
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

test('a configuration is compared with best-of-n of as many tokens and as much time', () => {
  const turns = [[100, 400, 200], [200, 800, 400]]
  const { ways: [plain, four, other], timedPrompts } = analyse(configurations, prompts(100, 1, 2), turns)
  assert.equal(timedPrompts, 2)
  assert.ok(Math.abs(other!.tokens - 2) < 1e-9)
  assert.equal(other!.time!.value, 2)
  // Best of 2 gains 0.564/√2 = 0.40 by the judge.
  assert.ok(Math.abs(other!.overBestOfN.tokens!.value - 0.6) < 0.1)
  assert.ok(Math.abs(other!.overBestOfN.time!.value - 0.6) < 0.1)
  assert.equal(other!.overBestOfN.kl, null)
  // What the pool tells is told from it, and is its own measure.
  assert.ok(Math.abs(plain!.judge.value) < 1e-9)
  assert.deepEqual([plain!.kl, four!.tokens, four!.overBestOfN.tokens!.value], [0, 4, 0])
  // As slow as no best-of-n that was timed: nothing to compare with. Not timed at all: no time.
  assert.equal(analyse(configurations, prompts(5, 1, 20), [[1, 4, 20]]).ways[2]!.overBestOfN.time, null)
  assert.equal(analyse(configurations, prompts(5, 1, 2), noTurns).ways[2]!.time, null)
})

test('shares of best-of-16 are ratios of gains, where it gains anything clear', () => {
  const { ways: [, four], bestOfN } = analyse(configurations, prompts(100, 1, 2), noTurns)
  assert.ok(Math.abs(four!.shareOf16!.value - bestOfN[2]!.judge.value / bestOfN[4]!.judge.value) < 1e-9)
  // A judge that goes against the reward: a share of its loss would be a large number for a small loss.
  const against =
    prompts(100, 1, 2).map(one => ({ ...one, plain: one.plain.map(each => ({ ...each, judge: -each.judge })) }))
  assert.equal(analyse(configurations, against, noTurns).ways[1]!.shareOf16, null)
})

test('guidance is compared with look-ahead at its own KL, and a Q-head of few nats with soft best-of-n', () => {
  const lookAhead = (strength: number): ComparedConfiguration =>
    configuration(`look-ahead ${strength}`, null, { name: curves.prefix, strength })
  const compared = [configuration('plain', 1), lookAhead(1), lookAhead(2),
    configuration(`${curves.qHead} 1`, null, { name: curves.qHead, strength: 1 })]
  const done = prompts(60, 0, 1).map(({ configurations: _, ...one }) => {
    const average = one.plain.reduce((sum, { judge }) => sum + judge, 0) / one.plain.length
    const guided = (lift: number, kl: number) => ({
      answers: [answer(average + lift, average + lift)], generatedTokens: 10, kl, klKind: 'exact_sampled'
    })
    return { ...one, configurations: [null, guided(0.4, 1), guided(1, 3), guided(1, 2)] }
  })
  const { ways: found, frontier } = analyse(compared, done, noTurns)
  const { std } = spread(done.flatMap(({ plain }) => plain.map(({ judge }) => judge)))
  // At 2 nats look-ahead gains half-way between 0.4 and 1.
  assert.ok(Math.abs(found[3]!.overLookAhead!.value - 0.3 / std) < 1e-9)
  assert.equal(found[1]!.overLookAhead, null)
  assert.equal(frontier!.ways.length, 1)
  assert.ok(Math.abs(frontier!.ways[0]!.share!.value - 1 / std / frontier!.judge.value) < 1e-9)
})

test('a curve is read between its points, and not beyond them', () => {
  const points = [{ kl: 4, gains: [2, 4] }, { kl: 2, gains: [1, 1] }]
  assert.deepEqual(curveGain(points, 1), [0.5, 0.5])
  assert.deepEqual(curveGain(points, 3), [1.5, 2.5])
  assert.equal(curveGain(points, 5), null)
})

test('soft best-of-n has the KL that it is asked for', () => {
  const keys = Array.from({ length: 50 }, () => Array.from({ length: 64 }, normal))
  const { strength, gains } = softBest(keys, keys, 2)
  // Of standard normals tilted by λ: KL λ²/2, gain λ; a pool of 64 has less of either than there is.
  assert.ok(strength > 1.9 && strength < 3, String(strength))
  const gain = gains.reduce((sum, one) => sum + one, 0) / gains.length
  assert.ok(gain > 1.5 && gain < 2, String(gain))
  assert.deepEqual(softBest([[1, 1]], [[0, 4]], 2).gains, [0])
})

test('controls: random choice gains nothing, the oracle most', () => {
  const { controls, bestOfN } = analyse(configurations, prompts(100, 0, 1), noTurns)
  const at16 = (label: string) =>
    controls.find(one => one.label.startsWith(label))!.judge.find(({ n }) => n === 16)!.gain
  assert.ok(at16('random').low < 0 && at16('random').high > 0)
  assert.ok(Math.abs(at16('length').value) < 1e-9)
  assert.ok(at16('oracle').value > bestOfN[4]!.judge.high)
})

test('a proxy that goes wrong where it is large is seen to turn', () => {
  const judge = Array.from({ length: 60 }, () => Array.from({ length: 64 }, normal))
  // Nine in ten answers are scored as the judge does; the worst by the judge are scored best.
  const fooled = judge.map(own => own.map(value => value < -1.3 ? 10 - value : value))
  const [wrong, right] =
    analyseOverOptimisation(
      [{ group: 'g', label: 'wrong', scores: fooled }, { group: 'g', label: 'right', scores: judge }], judge
    )
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
