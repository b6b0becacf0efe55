/** What docs/teach.md says is what was kept of the walk. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { prefer, rule } from '../../../scripts/teach-taste.js'
import { checkResult, fitPairs, readPairLines, type CheckVote } from '../../../src/inspector/logic/ratings.js'
import { readJournal } from '../../../src/journal/read.js'
import { page } from '../../helpers/docs.js'

const doc = page('docs/teach.md')
const ratings = readPairLines(page('docs/teach/concrete-and-short.pairs.jsonl'))
const votes = page('docs/teach/concrete-and-short.checks.jsonl').trim().split('\n')
  .map(line => JSON.parse(line) as CheckVote)

test('the 40 pairs are rated by the rule that is shown', () => {
  assert.ok(doc.includes(rule))
  assert.equal(fitPairs({ ratings }).length, 40)
  for (const { left, right, verdict } of ratings) assert.equal(prefer(left, right), verdict, left)
})

test('the check’s answers are judged by it, on prompts that were not rated, and add up to the result', () => {
  const rated = new Set(ratings.map(({ prompt }) => prompt))
  for (const { prompt, plain, steered, winner } of votes) {
    assert.equal({ left: 'plain', right: 'steered', same: 'same' }[prefer(plain, steered)], winner, prompt)
    assert.ok(!rated.has(prompt), prompt)
  }
  const { steered, plain, ties } = checkResult(votes)
  assert.equal(steered + plain + ties, 10)
  assert.ok(doc.includes(`You preferred steered in ${steered} of ${steered + plain}`), doc)
})

test('the run was steered by the reward', () => {
  const { run } = readJournal(page('docs/teach/steered.fairlead.jsonl'))
  assert.deepEqual(run.start!.rewards.map(([name]) => name), ['concrete-and-short'])
  assert.deepEqual([run.state, run.missing, run.start!.strategy], ['done', 0, 'best_of_n'])
})
