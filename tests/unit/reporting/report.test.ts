import assert from 'node:assert/strict'
import { test } from 'node:test'
import { environmentOf } from '../../../src/reporting/environment.js'
import { interval, maybe, percent, range } from '../../../src/reporting/estimate.js'
import { headOf, showJson, tableOf } from '../../../src/reporting/report.js'

test('figures are shown with their intervals, where they have one', () => {
  const estimate = { value: 0.4, low: -0.004, high: 0.556 }
  assert.equal(interval(estimate), '+0.40 [+0.00, +0.56]')
  assert.equal(interval({ ...estimate, value: -0.4, low: -0.5 }), '−0.40 [−0.50, +0.56]')
  assert.equal(range(estimate, 1), '0.4 [-0.0, 0.6]')
  assert.equal(percent({ value: 0.9, low: -Infinity, high: Infinity }), '90 %')
  assert.equal(percent({ value: NaN, low: 0, high: 0 }), '–')
  assert.equal(maybe(null), '–')
})

test('a table has a row for each item, and no cell ends it', () => {
  assert.equal(tableOf([{ a: 'x|y', b: 1 }], [['a', ({ a }) => a], ['b', ({ b }, index) => `${index}: ${b}\n`]]),
    '| a | b |\n| --- | --: |\n| x\\|y | 0: 1  |')
})

test('figures are JSON, short ones on a line', () => {
  const long = Array.from({ length: 40 }, (_, index) => ({ index, none: undefined }))
  const figures = { a: [1, 2.5, null], long, b: '"' }
  const text = showJson(figures)
  assert.deepEqual(JSON.parse(text), JSON.parse(JSON.stringify(figures)))
  assert.equal(text.split('\n').length, 46)
  assert.equal(text.split('\n')[1], ' "a": [1,2.5,null],')
})

test('a report says what it was made by, on what, and whether it is whole', () => {
  const environment = environmentOf('npm run soak --', ['--seconds', '3'])
  assert.match(headOf('Soak', environment, null), /^# Soak\n\n`npm run soak -- --seconds 3`\n\nFairlead /)
  assert.match(headOf('Soak', environment, ''), /^# Soak\n\n\*\*Partial\*\*: interrupted\.\n\n`npm/)
})
