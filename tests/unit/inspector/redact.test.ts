import assert from 'node:assert/strict'
import { test } from 'node:test'
import { linesOf } from '../../../src/journal/wire.js'
import { redact } from '../../../src/inspector/logic/redact.js'
import { fold } from '../../../src/journal/fold.js'
import type { Entry, Head } from '../../../src/journal/entries.js'

const head: Head = {
  journal: 1,
  id: 'run_1',
  created: 1,
  server: '0.1.0',
  model: 'm',
  fingerprint: 'f',
  request: { messages: [{ role: 'system', content: 'be brief' }, { role: 'user', content: 'secret' }] }
}
/** 0 is forked into 2 after "ab"; then 0 goes on with "cd", 2 with "ef" and is chosen; 1 is dropped. */
const entries: Entry[] = [
  head, { t: 1, open: [[0, null, 0, 0], [1, null, 0, 0]] }, { t: 2, grow: [[0, 2, 'ab'], [1, 2, 'xy']] },
  { t: 3, open: [[2, 0, 2, 2]] }, { t: 4, grow: [[0, 2, 'cd'], [2, ['e', 'f'], [-1, -1]]] },
  { t: 5, select: { chosen: [2], rule: 'argmax' } }
]

test('what is left out is gone, what stays folds to the same answer', () => {
  const all = redact(entries, { system: true, prompt: true, others: true })
  const text = linesOf(all)
  for (const word of ['be brief', 'secret', 'xy', 'cd']) assert.ok(!text.includes(word), word)
  const { candidates } = fold(all)
  assert.equal(candidates.get(2)!.text, 'abef')
  assert.equal(candidates.get(1)!.tokens, 2)
  assert.deepEqual((all[0] as Head).redacted, [
    'request.messages[0].content', 'request.messages[1].content', 'grow of candidates that were not chosen'
  ])
  assert.deepEqual(redact(entries, { system: false, prompt: false, others: false }), entries)
})
