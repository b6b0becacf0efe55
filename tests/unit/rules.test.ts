import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LengthDescriptor, RegexDescriptor } from '../../src/rewards/descriptor.js'
import { hasNestedRepetition, ruleNormalization, ruleScorer } from '../../src/rewards/rules.js'
import { toyAnswer } from '../helpers/toy-states.js'

const regex: RegexDescriptor = { name: 'asks', description: 'x', kind: 'rule', rule: 'regex', pattern: '\\bcat\\b', flags: 'i' }
const normalization = { mean: 10, std: 5, pool: 'p' }
const length: LengthDescriptor = { name: 'length', description: 'x', kind: 'rule', rule: 'length', members: { outcome: { normalization }, prefix: { normalization: { ...normalization, mean: 4 } } } }

test('length is the number of tokens of the answer', async () => {
  assert.deepEqual(ruleScorer(length)([await toyAnswer([1, 2, 3]), await toyAnswer([])]), [3, 0])
})

test('regex is 1 where the pattern matches and 0 where not, however often it is asked', async () => {
  const answers = [await toyAnswer([1], { text: 'A Cat.' }), await toyAnswer([1], { text: 'concatenate' })]
  const score = ruleScorer(regex)
  assert.deepEqual(score(answers), [1, 0])
  assert.deepEqual(score(answers), [1, 0])
})

test('a rule is standardised by its member’s statistics, a regex by ½ and ½ where it has none', () => {
  assert.equal(ruleNormalization(length, 'outcome').mean, 10)
  assert.equal(ruleNormalization(length, 'prefix').mean, 4)
  assert.deepEqual([ruleNormalization(regex, 'prefix').mean, ruleNormalization(regex, 'prefix').std], [0.5, 0.5])
})

test('patterns that repeat a repeating group are told from those that do not', () => {
  for (const pattern of ['(a+)+', '(a*)*b', '((ab)+c)*', '(?:x{2,})+', '(a|b+)*']) assert.ok(hasNestedRepetition(pattern), pattern)
  for (const pattern of ['(a+)b+', '(ab)+', '\\(a+\\)+', '[(a+)]+', '(a+){2}', '(a+)?', '[\\])+]+x']) assert.ok(!hasNestedRepetition(pattern), pattern)
})
