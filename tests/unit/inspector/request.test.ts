import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chatBody, draftOf, firstDraft, plain, streamedBody, type Draft } from '../../../src/inspector/logic/request.js'
import { snippet } from '../../../src/inspector/logic/snippets.js'
import { visible, tokenText } from '../../../src/inspector/logic/formats.js'

const draft: Draft = {
  ...firstDraft,
  system: 'be brief',
  prompt: "it's",
  beginning: 'Once',
  strategy: 'beam_search',
  fields: { beam_search: { num_beams: 2 }, best_of_n: { num_candidates: 4 } },
  rewards: [{ name: 'positive', weight: -1 }],
  seed: 7,
  n: 1,
  sampling: { top_p: 0.9 }
}

test('a form becomes a body, and a body the form again', () => {
  const body = chatBody(draft, 'm')
  assert.deepEqual(body, {
    model: 'm',
    messages: [{ role: 'system', content: 'be brief' }, { role: 'user', content: "it's" },
      { role: 'assistant', content: 'Once' }],
    continue_final_message: true,
    max_tokens: 64,
    seed: 7,
    top_p: 0.9,
    alignment: { strategy: 'beam_search', rewards: [{ name: 'positive', weight: -1 }], num_beams: 2 }
  })
  assert.deepEqual(draftOf(streamedBody(body) as Record<string, unknown>),
    { ...draft, fields: { beam_search: { num_beams: 2 } } })
  const unsteered = { ...firstDraft, strategy: plain, n: 3, seed: null }
  assert.deepEqual(draftOf(chatBody(unsteered, 'm')), unsteered)
})

test('programs are told the same request', () => {
  const body = chatBody(draft, 'm')
  const curl = snippet('curl', body, 'http://h', true)
  assert.match(curl, /it'\\''s/)
  assert.match(curl, /\$FAIRLEAD_API_KEY/)
  const python = snippet('python', body, 'http://h', false)
  assert.match(python, /extra_body=\{\n {8}"continue_final_message": True,/)
  assert.match(python, /api_key="none"/)
  assert.match(snippet('typescript', body, 'http://h', false), /baseURL: 'http:\/\/h\/v1'/)
})

test('characters that hide or turn text are shown', () => {
  assert.equal(visible('a\u202Eb\u001bc\n'), 'a⟨U+202E⟩b␛c\n')
  assert.equal(tokenText(' a\n'), '␣a↵')
})
