import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { descriptorText, loadRewards, parseRewardFamily } from '../../../src/rewards/descriptor.js'

const normalization = { mean: 1, std: 2, pool: 'a pool' }
const head = {
  name: 'kind',
  description: 'Kind answers.',
  kind: 'head',
  members: { outcome: { normalization } },
  policy: { id: 'toy', weightsSha256: '0'.repeat(64), format: 'f32' },
  layer: 2,
  pooling: 'mean',
  weights: [1, 2, 3],
  bias: 0.5
}
const parse = (value: unknown) =>
  parseRewardFamily(typeof value === 'string' ? value : JSON.stringify(value), 'kind.json')

test('a head is read with its members and a version that follows its bytes', () => {
  const family = parse(head)
  assert.equal(family.name, 'kind')
  assert.deepEqual(family.members, ['outcome'])
  assert.match(family.version, /^[0-9a-f]{12}$/)
  assert.notEqual(family.version, parse({ ...head, bias: 0.6 }).version)
})

test('rules have both members, a regex without saying so', () => {
  const regex = { name: 'asks', description: 'Ends in a question.', kind: 'rule', rule: 'regex', pattern: '\\?\\s*$' }
  assert.deepEqual(parse(regex).members, ['outcome', 'prefix'])
  assert.deepEqual(parse({ ...regex, flags: 'im' }).members, ['outcome', 'prefix'])
  assert.throws(() => parse({ ...regex, rule: 'length' }), /kind\.json: unknown field pattern/)
})

test('a broken descriptor is refused with file, field and value', () => {
  assert.throws(() => parse('{'), /reward kind\.json: must contain one JSON object: it is not JSON/)
  assert.throws(() => parse([1]), /one JSON object/)
  assert.throws(() => parse({ ...head, kind: 'heart' }), /kind must be one of "head", .*; got "heart"/)
  assert.throws(() => parse({ ...head, name: 'Kind!' }), /\/name must match pattern .*; got "Kind!"/)
  assert.throws(() => parse({ ...head, weights: [1, '2'] }), /\/weights\/1 must be number; got "2"/)
  assert.throws(() => parse({ ...head, colour: 'red' }), /unknown field colour/)
  assert.throws(() => parse({ ...head, members: {} }), /\/members/)
  assert.throws(() => parse({ ...head, members: { outcome: { normalization: { ...normalization, std: 0 } } } }),
    /\/members\/outcome\/normalization\/std .*; got 0/)
})

test('a pattern that RE2 cannot match is refused when the file is read', () => {
  const regex = { name: 'asks', description: 'x', kind: 'rule', rule: 'regex' }
  assert.throws(() => parse({ ...regex, pattern: '(' }), /reward kind\.json: pattern .*\(missing closing \)/)
  assert.throws(() => parse({ ...regex, pattern: '(a)\\1' }),
    /reward kind\.json: pattern .*backreferences.*; got "\(a\)/)
  assert.throws(() => parse({ ...regex, pattern: 'a', flags: 'g' }), /\/flags/)
})

test('a descriptor with a number that JSON cannot write is not kept, and what is kept can be read', () => {
  const written = (std: number): string => descriptorText(
    {
      name: 'a',
      description: 'x',
      kind: 'rule',
      rule: 'length',
      members: { outcome: { normalization: { mean: 0, std, pool: 'p' } } }
    }, 'a.json')
  assert.equal(parseRewardFamily(written(2), 'a.json').name, 'a')
  for (const std of [NaN, Infinity]) assert.throws(() => written(std), /reward "a" cannot be kept: std .*; got (NaN|Inf)/)
  assert.throws(() => written(-1), { code: 'invalid_request' })
})

test('files with a byte order mark are read, files that are not UTF-8 refused with their line', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'rewards-'))
  t.after(() => rm(folder, { recursive: true }))
  await writeFile(join(folder, 'a.json'), `\ufeff${JSON.stringify({ ...head, name: 'a' })}`)
  assert.deepEqual((await loadRewards([folder])).map(({ name }) => name), ['a'])
  await writeFile(join(folder, 'b.json'), Buffer.from('{"name": "b",\n"description": "señor"}', 'latin1'))
  await assert.rejects(loadRewards([folder]), /b\.json:2: must be UTF-8/)
})

test('folders are read together, sorted by name, and a name may stand once', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'rewards-'))
  t.after(() => rm(folder, { recursive: true }))
  await writeFile(join(folder, 'b.json'), JSON.stringify(head))
  await writeFile(join(folder, 'a.json'), JSON.stringify({ ...head, name: 'zeal' }))
  await writeFile(join(folder, 'readme.md'), 'not a reward')
  assert.deepEqual((await loadRewards([folder])).map(family => family.name), ['kind', 'zeal'])
  await assert.rejects(loadRewards([folder, folder]), /name "zeal" .*a\.json/)
  await assert.rejects(loadRewards([join(folder, 'none')]), /none: /)
})
