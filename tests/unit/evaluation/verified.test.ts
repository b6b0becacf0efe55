import assert from 'node:assert/strict'
import { test } from 'node:test'
import { analyseVerified, loadConstraints, withChecks, type VerifiedPrompt } from '../../../src/evaluation/verified.js'
import type { LocalModel } from '../../../src/serving/served-models.js'
import type { OpenContext } from '../../../src/rewards/reward-kind.js'
import type { Answer, Prompt } from '../../../src/rewards/scorer.js'
import { oneAnswer } from '../../helpers/resolve-alone.js'

const constraints = loadConstraints()
const bare = { rewards: [] as unknown } as LocalModel

/** Whether a text passes all checks of a constraint. */
async function passes (constraint: (typeof constraints)[number], text: string): Promise<boolean> {
  const { source } = withChecks(bare, constraint).rewards[0]!
  const scorer = source.open('outcome', { direction: 1, request: oneAnswer } as unknown as OpenContext)
  const [score] = await scorer.score({ messages: [], text: '', tokens: [] } as Prompt,
    [{ text, tokens: [1], final: true } as unknown as Answer])
  return score!.raw === 1
}

test('there are 300 constraints, six kinds of fifty, no prompt twice, each with checks that compile', () => {
  assert.equal(constraints.length, 300)
  assert.equal(new Set(constraints.map(({ prompt }) => prompt)).size, 300)
  const kinds = [...new Set(constraints.map(({ kind }) => kind))]
  assert.deepEqual(kinds.map(kind => constraints.filter(one => one.kind === kind).length), [50, 50, 50, 50, 50, 50])
  // Six in turn, so that any first ones are of all kinds.
  assert.equal(new Set(constraints.slice(0, 6).map(({ kind }) => kind)).size, 6)
  for (const constraint of constraints) assert.equal(withChecks(bare, constraint).rewards.length, 1, constraint.prompt)
})

test('checks pass what the prompt asks for, and nothing else', async () => {
  const first = (kind: string) => constraints.find(one => one.kind === kind)!
  const cases: ReadonlyArray<readonly [string, string, string]> = [
    ['word limit', 'The sea is wide and deep.', 'word '.repeat(60)],
    ['must mention', 'The sea is blue. I like the blue of it.', 'It is blue and wide.'],
    ['bullets', '- It is salty.\n- It is deep.\n- It is wide.', 'It is salty.'],
    ['json', '{"name": "Ann", "age": 44}', 'Here you are: {"name": "Ann", "age": 44}'],
    ['format', 'How deep is the sea?', 'The sea is deep.'],
    ['avoid words', 'A wide plain of salt water that moves without end under the wind and the moon.',
      'The sea is a wide plain of salt water that moves without end under the wind.']
  ]
  for (const [kind, good, bad] of cases) {
    assert.ok(await passes(first(kind), good), kind)
    assert.ok(!await passes(first(kind), bad), kind)
  }
})

test('pass rates are unbiased from the pool; costs are ratios over all prompts', () => {
  const attempt = (passed: boolean, tokens: number) => ({ passed, tokens })
  const prompt = (passed: number): VerifiedPrompt => ({
    kind: 'k',
    passes: Array.from({ length: 4 }, (_, index) => index < passed),
    lengths: passed === 0 ? [20, 10, 5, 5] : [10, 10, 10, 10],
    configurations: [attempt(passed > 0, 20), attempt(passed > 0, 15), attempt(true, 10), attempt(true, 160)]
  })
  // One plain answer takes 100 ms, the first one of the pool; the retry loop draws all four, of 2 times its tokens,
  // then one, then one.
  const turns = [[100, 200, 80, 80, 80], [100, 50, 80, 80, 80]]
  const { passAt, ways: configurations, kinds, timedPrompts } =
    analyseVerified([prompt(0), prompt(1), prompt(4)], turns, 4, true)
  assert.equal(timedPrompts, 2)
  const rates = new Map(passAt.map(({ n, rate }) => [n, rate.value]))
  // 0, 1/4, 1; then 0, 1 − C(3,2)/C(4,2) = 1/2, 1.
  assert.ok(Math.abs(rates.get(1)! - 1.25 / 3) < 1e-12)
  assert.ok(Math.abs(rates.get(2)! - 1.5 / 3) < 1e-12)
  assert.ok(Math.abs(rates.get(4)! - 2 / 3) < 1e-12)
  const adaptive = configurations.find(({ label }) => label === 'best_of_n, 4 at a time')!
  assert.deepEqual([adaptive.passed.value, adaptive.shareOfBest.value, adaptive.tokens.value, adaptive.time!.value,
    adaptive.fasterThanRetry!.value], [2 / 3, 1, 2, 1.25, 1.2])
  const retry = configurations.find(({ label }) => label === 'retry loop')!
  assert.deepEqual([retry.tokens.value, retry.time!.value, retry.fasterThanRetry!.value], [2, 1.5, 1])
  assert.deepEqual(kinds[0]!.ways.map(configuration => configuration.passed), [2 / 3, 2 / 3, 2 / 3, 1, 1])
  assert.equal(analyseVerified([prompt(1)], [], 4, true).ways[0]!.time, null)
})
