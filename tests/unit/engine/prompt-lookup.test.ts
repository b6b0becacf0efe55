/** Where draft tokens come from. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PromptLookup } from '../../../src/engine/prompt-lookup.js'

test('a draft goes on as the text it did where its last two tokens stood last', () => {
  const lookup = new PromptLookup([1, 2, 3, 4, 1, 2, 5, 6, 1])
  assert.deepEqual(lookup.draft(4), [])
  lookup.push(2)
  assert.deepEqual(lookup.draft(4), [5, 6, 1, 2])
  assert.deepEqual(lookup.draft(1), [5])
  assert.deepEqual(lookup.draft(0), [])
  lookup.push(9)
  assert.deepEqual(lookup.draft(4), [])
  assert.deepEqual(new PromptLookup([7]).draft(4), [])
  assert.deepEqual(new PromptLookup([7, 7, 7, 7]).draft(3), [7])
})
