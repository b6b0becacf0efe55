import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Profiles } from '../../src/api/profiles.js'
import { RequestError } from '../../src/errors.js'

const helpful = { alignment: { strategy: 'best_of_n', num_candidates: 16, reward: 'helpful' } }

test('a profile is picked by the model’s name, and a request changes what it may', () => {
  const profiles = new Profiles({ open: helpful, shut: { ...helpful, overridable: ['num_candidates', 'reward'] } })
  assert.deepEqual(profiles.apply('m', null), { model: 'm', alignment: null })
  assert.deepEqual(profiles.apply('m:open', null), { model: 'm', alignment: helpful.alignment })
  assert.deepEqual(profiles.apply('m:open', { num_candidates: 4, selection: null }).alignment, { ...helpful.alignment, num_candidates: 4 })
  assert.deepEqual(profiles.apply('m:shut', { reward: 'length', strategy: 'best_of_n' }).alignment, { ...helpful.alignment, reward: 'length' })
  const failure = (code: string, param: string) => (error: unknown): boolean => error instanceof RequestError && error.code === code && error.param === param
  assert.throws(() => profiles.apply('m:shut', { strength: 2 }), failure('field_locked', 'alignment.strength'))
  assert.throws(() => profiles.apply('m:open', { strategy: 'beam_search' }), failure('invalid_request', 'alignment.strategy'))
  assert.throws(() => profiles.apply('m:none', null), failure('model_not_found', 'model'))
})

test('a request’s rewards replace a profile’s reward', () => {
  const rewards = [{ name: 'length', weight: -1 }]
  assert.deepEqual(new Profiles({ open: helpful }).apply('m:open', { rewards }).alignment, { strategy: 'best_of_n', num_candidates: 16, rewards })
})

test('a default profile is what the model’s own name gets', () => {
  const profiles = new Profiles({ usual: { ...helpful, default: true } })
  assert.deepEqual(profiles.apply('m', null).alignment, helpful.alignment)
  assert.equal(profiles.default?.name, 'usual')
})

/** [profiles, what the message says] */
const refused: ReadonlyArray<readonly [unknown, RegExp]> = [
  [[], /profiles must be an object of profiles by name; got \[\]/],
  [{ 'a b': helpful }, /names of letters, digits.*; got "a b"/],
  [{ a: 5 }, /profiles\.a must be an object; got 5/],
  [{ a: {} }, /profiles\.a\.alignment must be an object; got nothing/],
  [{ a: { ...helpful, overridabel: [] } }, /profiles\.a\.overridabel is not a field; did you mean overridable/],
  [{ a: { ...helpful, overridable: ['num_beams'] } }, /overridable must name fields of its strategy; got "num_beams"/],
  [{ a: { alignment: { reward: 'x', num_candidates: 999 } } }, /profile a: alignment\.num_candidates must be .*; got 999/],
  [{ a: { ...helpful, default: true }, b: { ...helpful, default: true } }, /may have one default; got \["a","b"\]/]
]

for (const [given, message] of refused) test(`${JSON.stringify(given)} is refused`, () => { assert.throws(() => new Profiles(given), message) })
