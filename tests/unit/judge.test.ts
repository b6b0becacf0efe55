import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadJudge } from '../../models/rewards/make/judge.js'

test('the judge in the box tells plain praise from plain criticism', () => {
  const judge = loadJudge()
  assert.ok(judge.probability('A wonderful film, great performances, perfectly paced and the best of the year.') > 0.6)
  assert.ok(judge.probability('A boring, stupid mess: bad script, the worst acting, nothing works, a waste of time.') < 0.4)
})
