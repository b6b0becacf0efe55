import assert from 'node:assert/strict'
import { test } from 'node:test'
import { stopCheck, type StopCondition } from '../../../src/policies/stop-condition.js'
import { Transcript } from '../../../src/policies/transcript.js'
import { tokensOf } from '../../helpers/run-strategy.js'
import { ToyPolicy, toyRequest } from '../../helpers/toy-policy.js'

/** Number of tokens after which the condition is met. @param pause tokens after which it is set up anew */
function metAfter (until: StopCondition, text: string, letters: string, pause = Infinity): number | null {
  const transcript = new Transcript(toyRequest(new ToyPolicy({ size: 8 }), {
    letters, sampling: { maxTokens: 99, ignoreEos: true }
  }).policy.request)
  let isMet = stopCheck(until, transcript)
  for (const token of tokensOf(text)) {
    transcript.accept({ token, logprob: 0, rated: null })
    if (transcript.drawn <= until.from) continue
    if (transcript.drawn === pause) isMet = stopCheck(until, transcript)
    if (isMet()) return transcript.drawn
  }
  return null
}

test('tokens are counted from where the condition was set', () => {
  assert.equal(metAfter({ from: 0, tokens: 3 }, 'abcde', 'abcdefgh'), 3)
  assert.equal(metAfter({ from: 2, tokens: 2 }, 'abcde', 'abcdefgh'), 4)
  assert.equal(metAfter({ from: 0 }, 'abcde', 'abcdefgh'), null)
})

test('a delimiter ends a step across tokens, not before there is content, once for all that a token holds', () => {
  assert.equal(metAfter({ from: 0, delimiter: { text: 'bc', times: 1 } }, 'abcd', 'abcdefgh'), 3)
  // h is a space and a line break ends steps.
  assert.equal(metAfter({ from: 0, delimiter: { text: '\n', times: 1 } }, 'hhahb', 'ab     \n'), 4)
  assert.equal(metAfter({ from: 0, delimiter: { text: 'b', times: 2 } }, 'abab', 'abcdefgh'), 4)
})

test('a condition that is set up anew after a pause goes on where it was', () => {
  for (let pause = 2; pause <= 8; pause++) {
    assert.equal(metAfter({ from: 1, delimiter: { text: 'ab', times: 3 } }, 'cabcabbaab', 'abcdefgh', pause), 10)
  }
})
