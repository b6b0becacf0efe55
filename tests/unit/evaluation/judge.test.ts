import assert from 'node:assert/strict'
import { test } from 'node:test'
import { criteria, judgeNames, loadJudge } from '../../../src/evaluation/criteria.js'
import { promptSetNames } from '../../../src/evaluation/prompt-sets.js'

test('the judge of sentiment tells plain praise from plain criticism', () => {
  const judge = loadJudge('sentiment')
  assert.ok(judge.score('A wonderful film, great performances, perfectly paced and the best of the year.') > 0.4)
  assert.ok(judge.score('A boring, stupid mess: bad script, the worst acting, nothing works, a waste of time.') < -0.4)
})

test('the judge of instructions prefers an answer to a refusal', () => {
  const judge = loadJudge('instructions')
  assert.ok(judge.score('Certainly! Here are three tips:\n\n1. **Plan ahead**: write down each step.\n2. ' +
    '**Measure**: keep notes.') > judge.score('I am sorry, I do not know.'))
})

test('every criterion names a judge and prompts that are in the box', () => {
  for (const [reward, { judge, prompts }] of Object.entries(criteria)) {
    assert.ok(judgeNames.includes(judge), reward)
    assert.ok(promptSetNames.includes(prompts), reward)
  }
})
