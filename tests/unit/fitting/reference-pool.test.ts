import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pool, poolPrompts, referenceStatistics, samplePool } from '../../../src/fitting/reference-pool.js'
import { uniform } from '../../../src/statistics/random.js'
import { toyPolicy, ToyStates } from '../../helpers/toy-states.js'

test('the pool in the box has 40 different prompts', () => {
  assert.equal(new Set(poolPrompts()).size, 40)
})

test('uniform numbers are repeatable, in range and of mean ½', () => {
  const numbers = Array.from({ length: 4000 }, uniform(3))
  assert.deepEqual(numbers.slice(0, 5), Array.from({ length: 5 }, uniform(3)))
  assert.ok(numbers.every(number => number >= 0 && number < 1))
  assert.ok(Math.abs(numbers.reduce((sum, number) => sum + number, 0) / 4000 - 0.5) < 0.03)
})

test('pool answers follow the policy’s distribution, end at end tokens, and close their sequences', async () => {
  const source = new ToyStates()
  const prompts = Array.from({ length: 50 }, (_, index) => `${index}`)
  const items = await samplePool(toyPolicy(source), prompts)
  const tokens = items.flatMap(item => item.answerTokens)
  // Token 1 has 0.4 of 0.9 that is not the end token.
  assert.ok(Math.abs(tokens.filter(token => token === 1).length / tokens.length - 0.4 / 0.9) < 0.05)
  assert.ok(!tokens.includes(0))
  assert.ok(items.every(item => item.answerTokens.length > 0 && item.answerTokens.length <= pool.maxTokens))
  assert.equal(source.counts.opened, source.counts.closed)
  assert.deepEqual(await samplePool(toyPolicy(), prompts), items)
})

test('scores that are all equal are standardised by 1', () => {
  assert.deepEqual(referenceStatistics([2, 2], 'p'), { mean: 2, std: 1, pool: 'p' })
})
