/** What answers say, against what math-verify says of them (scripts/expected-answers.py). */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { canonical } from '../../../src/answers/canonical.js'
import { finalNumber, lastBoxed, lastNumber } from '../../../src/answers/extract.js'
import { numberText } from '../../../src/answers/value.js'
import { packageRoot } from '../../../src/package-root.js'

interface Expected {
  readonly texts: ReadonlyArray<{ readonly text: string, readonly value: number | null, readonly ours?: number | null }>
  readonly pairs: ReadonlyArray<{
    readonly one: string, readonly other: string, readonly equal: boolean, readonly ours?: boolean
  }>
}
const expected =
  JSON.parse(readFileSync(join(packageRoot, 'tests/fixtures/expected-answers.json'), 'utf8')) as Expected

test('the number that an answer ends in is math-verify’s, but where the list says otherwise and why', () => {
  assert.ok(expected.texts.length > 90)
  for (const { text, value, ours } of expected.texts) {
    const [right, given] = [ours === undefined ? value : ours, finalNumber(text)]
    if (right === null || given === null) assert.equal(given, right, text)
    else assert.ok(Math.abs(given - right) < 1e-9, `${text}: ${given}, not ${right}`)
  }
})

test('two answers have one spelling where math-verify takes them for equal', () => {
  assert.ok(expected.pairs.length > 40)
  for (const { one, other, equal, ours = equal } of expected.pairs) {
    assert.equal(canonical(one) === canonical(other), ours, `${one} and ${other}: ${canonical(one)}, ${canonical(other)}`)
  }
})

test('answers are made alike beyond numbers: case, blanks, closing marks, fonts, fractions of letters', () => {
  for (const [one, other] of [
    ['$\\dfrac{3}{4}$', '3/4'], ['\\text{Paris}', ' paris.'], ['50%', '50\\%'], ['$5.00', '5'], ['a  b!', 'A b'],
    ['42!', '42'], ['1.0, 2', '1,2.0'], ['((1, 2), 3)', '((1,2),3)'], ['3 million', '3,000,000']
  ] as const) assert.equal(canonical(one), canonical(other), `${one} and ${other}`)
  for (const [one, other] of [
    ['1', '2'], ['5%', '5'], ['a', 'b'], ['(1, 2)', '(1,23)'], ['5 people like it', '5 people hate it'],
    ['x=5, y=6', 'x=4, y=6'], ['2x=6', '6'], ['1/2/2024', '0.5'], ['3-4', '-1'], ['2 m/s', '2 apples']
  ] as const) assert.notEqual(canonical(one), canonical(other), `${one} and ${other}`)
})

test('all digits of a decimal count, however many', () => {
  assert.equal(numberText('00012345678901234567.500'), '12345678901234567.5')
  assert.equal(numberText('-0.0'), '0')
  assert.equal(numberText('\\frac{2}{3}'), '0.666666666667')
})

test('the mark or box that comes last is read; one that does not close holds nothing', () => {
  const cases: ReadonlyArray<readonly [string, number | null]> = [
    ['It is 3, so 1,234.50 dollars.', 1234.5], ['#### 42 (not 43)', 42], ['\\boxed{-7} of 9', -7],
    ['−5 degrees', -5], ['none', null], ['1,2 and 3', 3], ['choose 1,2', 2], ['2.5e3', 2500], ['#### none, 5', 5],
    ['#### none', null], ['\\boxed{7', null], ['\\boxed{\\frac{1}{2}}\n#### 3', 3], ['#### 3 \\boxed{4}', 4],
    ['area: 10 cm^2', 10], ['x_2 is 5 and a_{3}', 5], ['version 1.2.3', 1.2], ['-$5', -5], ['$-5', -5],
    ['\\boxed{2\\sqrt{x}}', null], ['\\boxed{1 \\text{ or } 2}', null], ['\\boxed{1/0}', null], ['so $3 + 4$', null]
  ]
  for (const [text, number] of cases) assert.equal(finalNumber(text), number, text)
  assert.equal(lastBoxed('\\boxed{1} \\boxed{{a\\}}}'), '{a\\}}')
  assert.equal(lastBoxed('so \\boxed{7'), null)
  assert.equal(lastNumber('so 3/4'), '3/4')
})

test('work grows with the text, not with its square', () => {
  const long = 131_072
  for (const part of ['1,234,', '1', '\\boxed{', '{', '\\(', '$1', '\\frac{1', '- ', '1 1/', '.1', '-\\$', '\\text{']) {
    const text = part.repeat(long / part.length)
    assert.doesNotThrow(() => { finalNumber(text); canonical(text) }, part)
  }
})
