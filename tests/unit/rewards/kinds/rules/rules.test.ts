import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseRewardFamily } from '../../../../../src/rewards/descriptor.js'
import { countBullets, countWords } from '../../../../../src/rewards/kinds/rules/counts.js'
import { languages } from '../../../../../src/rewards/kinds/rules/language.js'
import { rules, type RuleName } from '../../../../../src/rewards/kinds/rules/rules.js'
import { phrasePattern } from '../../../../../src/rewards/kinds/rules/words.js'
import type { Answer, AnswerMember } from '../../../../../src/rewards/scorer.js'
import { oneAnswer } from '../../../../helpers/resolve-alone.js'
import { toyAnswer, toyPolicy } from '../../../../helpers/toy-states.js'

const family = (rule: RuleName, fields: object) =>
  parseRewardFamily(JSON.stringify({ name: 'mine', description: 'x', kind: 'rule', rule, ...fields }), 'mine.json')
const prompt = { messages: [{ role: 'user', content: 'What is 6 · 7?' }], text: '', tokens: [9] }

/** Raw scores of texts under a rule. */
async function scores (
  rule: RuleName, fields: object, texts: readonly string[], { final = true, member = 'outcome' as AnswerMember } = {}
): Promise<number[]> {
  const scorer = family(rule, fields).source.open(member, {
    name: 'mine', policy: toyPolicy(), ledger: { rewardTokens: 0 }, request: oneAnswer, direction: 1, warn: () => {}
  })
  const answers: Answer[] = await Promise.all(texts.map(text => toyAnswer([1], { text, final })))
  return (await scorer.score(prompt, answers)).map(({ raw }) => raw)
}

test('length is the number of tokens of the answer, standardised by its member’s statistics', async () => {
  const normalization = { mean: 10, std: 5, pool: 'p' }
  const { source } = family('length',
    { members: { outcome: { normalization }, prefix: { normalization: { ...normalization, mean: 4 } } } })
  const open = (member: AnswerMember) => source.open(member, {
    name: 'mine', policy: toyPolicy(), ledger: { rewardTokens: 0 }, request: oneAnswer, direction: 1, warn: () => {}
  })
  assert.deepEqual(await open('outcome').score(prompt, [await toyAnswer([1, 2, 3]), await toyAnswer([])]),
    [{ raw: 3 }, { raw: 0 }])
  assert.deepEqual([open('outcome').normalization.mean, open('prefix').normalization.mean], [10, 4])
  assert.throws(() => family('length', {}), /mine\.json: .*members/)
})

test('regex is 1 where the pattern matches and 0 where not, however often it is asked, and ±1 without ' +
  'statistics', async () => {
  assert.deepEqual(await scores('regex', { pattern: '\\bcat\\b', flags: 'i' }, ['A Cat.', 'concatenate', 'A Cat.']),
    [1, 0, 1])
  const { normalization } = family('regex', { pattern: 'a' }).source.open('prefix', {
    name: 'mine', policy: toyPolicy(), ledger: { rewardTokens: 0 }, request: oneAnswer, direction: 1, warn: () => {}
  })
  assert.deepEqual([normalization.mean, normalization.std], [0.5, 0.5])
})

test('patterns are Python’s and PCRE’s where they mean one thing, else refused when they are read', async () => {
  assert.deepEqual(await scores('regex', { pattern: '\\A\\d+\\z' }, ['12', '12a', '12\n']), [1, 0, 0])
  assert.deepEqual(await scores('regex', { pattern: '^\\p{L}+$' }, ['été', '12']), [1, 0])
  assert.throws(() => family('regex', { pattern: '\\A\\d+\\Z' }),
    /mine\.json: pattern must be .*written \\z or \$, not: \\Z at position 5/)
  assert.throws(() => family('regex', { pattern: '^(?=a)' }), /look-arounds are not supported: \(\?=a at position 1/)
})

test('patterns of polynomial and exponential time to others are matched in time that grows with the text', async () => {
  const text = `${'a'.repeat(28)}!`
  for (const pattern of ['^(\\w{1,20}\\s?){1,50}$', '^(a+)+$', '^(a|a)*$', '^(a|aa)+$', '^a*a*a*a*a*a*$']) {
    assert.deepEqual(await scores('regex', { pattern }, [text, text.slice(0, -1), `${'a'.repeat(5000)}!`]), [0, 1, 0])
    assert.deepEqual(await scores('json_schema', { schema: { type: 'string', pattern } }, [JSON.stringify(text)]), [0])
  }
})

test('each pattern of a schema is its own', async () => {
  const schema = {
    type: 'object',
    properties: { a: { type: 'string', pattern: '^x' }, b: { type: 'string', pattern: '^y' } },
    patternProperties: { '^z': { type: 'integer' } },
    additionalProperties: true
  }
  assert.deepEqual(await scores('json_schema', { schema },
    ['{"a":"x","b":"y","z1":1}', '{"a":"x","b":"x"}', '{"a":"y"}', '{"z1":"1"}']), [1, 0, 0, 0])
})

test('json_schema holds where the whole answer is JSON that the schema accepts, and judges whole ' +
  'answers only', async () => {
  const schema = {
    type: 'object',
    properties: { city: { type: 'string', pattern: '^[A-Z]' }, year: { type: 'integer' } },
    required: ['city'],
    additionalProperties: false
  }
  const texts = [' {"city": "Oslo", "year": 2024}\n', '{"city": "oslo"}', '{"year": 1}', '{"city": "Oslo", "x": 1}',
    'Oslo', '```json\n{"city": "Oslo"}\n```', '']
  assert.deepEqual(await scores('json_schema', { schema }, texts), [1, 0, 0, 0, 0, 0, 0])
  assert.deepEqual(family('json_schema', { schema }).members, ['outcome'])
})

test('a schema with unknown keywords, formats or patterns that RE2 cannot match is refused when it is read', () => {
  const refused = (schema: unknown, message: RegExp): void => {
    assert.throws(() => family('json_schema', { schema }), message)
  }
  refused({ typ: 'object' },
    /mine\.json: schema must be a JSON Schema .*unknown keyword: "typ".*; got \{"typ":"object"\}/)
  refused({ type: 'string', format: 'email' }, /unknown format "email"/)
  refused({ type: 'string', pattern: '(a)\\1' }, /pattern .*backreferences are not supported/)
  refused({ $ref: 'https://example.com/schema.json' }, /can't resolve reference/)
  refused('object', /\/schema must be object; got "object"/)
})

test('must_mention and banned_words count phrases as whole words, in any case', async () => {
  const texts = ['The Sea Otter swims.', 'A sea\n otter, an otters’ den', 'seaotter', '']
  assert.deepEqual(await scores('must_mention', { phrases: ['sea otter', 'den'] }, texts), [0.5, 1, 0, 0])
  assert.deepEqual(await scores('banned_words', { phrases: ['sea otter', 'den'] }, texts), [0.5, 0, 1, 1])
})

test('a phrase ends at letters of its own kind: accents, digits, signs, and scripts without spaces', () => {
  const matches = (phrase: string, text: string): boolean => phrasePattern(phrase).test(text)
  assert.ok(!matches('cafe', 'cafés') && !matches('caf', 'café') && matches('café', 'Un CAFÉ!'))
  assert.ok(!matches('20', '2024') && matches('c++', 'I like C++.') && matches('a.b', 'a.b') && !matches('a.b', 'axb'))
  assert.ok(matches('猫', '黒猫が') && matches('แมว', 'แมวดำ'))
})

test('word_count and bullet_count hold within their limits; an unfinished answer cannot be too short yet', async () => {
  const texts = ['one', 'one two three', 'one two three four five']
  assert.deepEqual(await scores('word_count', { min: 2, max: 4 }, texts), [0, 1, 0])
  assert.deepEqual(await scores('word_count', { min: 2, max: 4 }, texts, { final: false, member: 'prefix' }), [1, 1, 0])
  assert.deepEqual(await scores('bullet_count', { min: 2, max: 2 }, ['- a\n- b', '- a', 'a\n* b\n 1. c\n\n2) d']),
    [1, 0, 0])
  assert.throws(() => family('word_count', {}), /min or max .*; got nothing/)
  assert.throws(() => family('word_count', { min: 3, max: 2 }), /min .*max \(2\); got 3/)
})

test('words are Unicode’s, bullets are lines that begin with a sign and say something', () => {
  assert.deepEqual(['', 'Don’t stop—now, 3.5 times!', '我喜欢猫'].map(countWords), [0, 5, 3])
  assert.deepEqual(['', '-x', '- x\n• y\n+ z\n12. w', '-\n- ', 'a - b', '**bold**'].map(countBullets),
    [0, 0, 4, 0, 0, 0])
})

test('numeric_answer knows the right number by the prompt, and says so where it does not', async () => {
  const answers = { 'What is 6 · 7?': 42 }
  assert.deepEqual(await scores('numeric_answer', { answers }, ['6 · 7 = 42.', '41', 'forty-two', '42.0000001']),
    [1, 0, 0, 1])
  assert.deepEqual(await scores('numeric_answer', { answers, tolerance: 1 }, ['41', '40']), [1, 0])
  await assert.rejects(scores('numeric_answer', { answers: { 'What is 1 + 1?': 2 } }, ['2']),
    /answers .*; got "What is 6 · 7\?"/)
  assert.deepEqual(family('numeric_answer', { answers }).members, ['outcome'])
})

test('language tells sentences apart', async () => {
  const texts = ['The ship sails at dawn tomorrow.', 'Das Schiff fährt morgen früh los.',
    'Le bateau part demain matin.', '']
  assert.deepEqual(await scores('language', { language: 'de' }, texts), [0, 1, 0, 0])
  assert.throws(() => family('language', { language: 'xx' }), /\/language .*; got "xx"/)
})

test('the languages offered are those the detector knows', async () => {
  const { eld } = await import('eld/extrasmall')
  assert.deepEqual([...languages].sort(), Object.values(eld.info().Languages).sort())
})

test('statistics of a member that the rule does not have are refused', () => {
  const normalization = { mean: 0, std: 1, pool: 'p' }
  assert.throws(() => family('numeric_answer', { answers: { a: 1 }, members: { prefix: { normalization } } }),
    /members\.prefix .*numeric_answer/)
  assert.ok(Object.values(rules).every(({ members }) => members.length > 0))
})

test('a ceiling is what a text can still score, whatever is added to it', () => {
  const ceiling = (rule: RuleName, fields: object): ((text: string) => number) | undefined =>
    family(rule, fields).source.open('outcome', {
      name: 'mine', policy: toyPolicy(), ledger: { rewardTokens: 0 }, request: oneAnswer, direction: 1, warn: () => {}
    }).ceiling
  const cases: ReadonlyArray<readonly [RuleName, object, ReadonlyArray<readonly [string, number]>]> = [
    ['word_count', { min: 2, max: 3 }, [['', 1], ['one two three', 1], ['one two three f', 0], ['中国人民大学', 1]]],
    ['bullet_count', { max: 1 }, [['- a\n- ', 1], ['- a\n- b', 0]]],
    // What stands at the very end may become a longer word.
    ['banned_words', { phrases: ['sea', 'very'] },
      [['The sea', 1], ['The season', 1], ['The sea ', 0.5], ['Sea, very ', 0]]],
    ['json_schema', { schema: { type: 'object' } }, [['', 1], [' {"a', 1], ['Here: {', 0]]]
  ]
  for (const [rule, fields, texts] of cases) {
    for (const [text, most] of texts) assert.equal(ceiling(rule, fields)!(text), most, `${rule}: ${text}`)
  }
  for (const [rule, fields] of [['must_mention', { phrases: ['a'] }], ['regex', { pattern: '^a' }]] as const) {
    assert.equal(ceiling(rule, fields), undefined, rule)
  }
})
