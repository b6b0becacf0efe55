import assert from 'node:assert/strict'
import { test } from 'node:test'
import { haveOnePrompt, isPinOf, pinOf, type Pin } from '../../../src/inspector/logic/pins.js'
import type { Entry } from '../../../src/journal/entries.js'
import { fold, type Run } from '../../../src/journal/fold.js'

const user = { role: 'user', content: 'Say something.' }
const messages = [user, { role: 'assistant', content: 'Once' }]
const runOf = (more: object): Run => fold([
  { id: 'run_1', request: { messages }, journal: 1, ...more } as unknown as Entry,
  { t: 1, open: [[0, null, 0, 0], [1, null, 0, 0]] }, { t: 2, grow: [[0, 2, 'ab']] }
])
const pinned = (more = {}, index = 0): Pin | string => {
  const run = runOf(more)
  return pinOf(run, run.candidates.get(index)!)
}

test('a pin has the answer as it stands, and what it was asked with', () => {
  assert.deepEqual(pinned(),
    { run: 'run_1', candidate: 0, fate: 'growing', text: 'ab', tokens: 2, messages: [user] })
  assert.equal(isPinOf(pinned() as Pin, runOf({}), 0), true)
  assert.equal(isPinOf(pinned() as Pin, runOf({ id: 'run_2' }), 0), false)
  // Requests of other endpoints have no messages.
  assert.deepEqual((pinned({ request: { prompt: 'Say something.' } }) as Pin).messages, [user])
})

test('what cannot be read again cannot be pinned', () => {
  assert.equal(pinned({}, 1), 'Candidate 1 has no text to pin.')
  assert.match(pinned({ redacted: ['request.messages[0]'] }) as string, /left out/)
  assert.equal(typeof pinned({ redacted: ['request.user', 'grow of candidates that were not chosen'] }), 'object')
})

test('answers to different prompts are told apart', () => {
  const other = pinned({ request: { prompt: 'Say another thing.' } }) as Pin
  assert.equal(haveOnePrompt([pinned() as Pin, pinned() as Pin]), true)
  assert.equal(haveOnePrompt([pinned() as Pin, other]), false)
})
