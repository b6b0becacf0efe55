import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runSvg } from '../../../src/journal/svg.js'
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
    'request.messages[0]', 'request.messages[1]', 'grow of candidates that were not chosen'
  ])
  assert.deepEqual(redact(entries, { system: false, prompt: false, others: false }), entries)
})

test('prompts of other endpoints are left out, too, and who asked always is', () => {
  const request = {
    model: 'm',
    instructions: 'be brief',
    input: [{ role: 'user', content: [{ type: 'input_text', text: 'secret' }], name: 'secret' }],
    user: 'jane',
    metadata: { of: 'jane' }
  }
  const shared = (given: Head['request'], what: { system: boolean, prompt: boolean }): Head =>
    redact([{ ...head, request: given }], { ...what, others: false })[0] as Head
  const all = shared(request, { system: true, prompt: true })
  assert.deepEqual(all.request, {
    model: 'm', instructions: '[left out]', input: [{ role: 'user', content: '[left out]' }]
  })
  assert.deepEqual(all.redacted, ['request.instructions', 'request.input[0]', 'request.user', 'request.metadata'])
  assert.deepEqual(shared(request, { system: false, prompt: false }).request,
    { model: 'm', instructions: request.instructions, input: request.input })
  const { request: legacy } = shared({ prompt: 'secret', suffix: 'more', n: 2 }, { system: false, prompt: true })
  assert.deepEqual(legacy, { prompt: '[left out]', suffix: '[left out]', n: 2 })
  assert.deepEqual(shared({ input: 'secret' }, { system: true, prompt: false }).request, { input: 'secret' })
})

test('a picture of a run has nothing in it that was left out', () => {
  const svg = runSvg(redact([...entries, { t: 6, commit: [[0, 4, 2]] }], { system: true, prompt: true, others: true }))
  assert.match(svg, /\[left out\].*\n[^]*abef/)
  for (const word of ['be brief', 'secret', 'xy', 'cd']) assert.ok(!svg.includes(word), word)
})
