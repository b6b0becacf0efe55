import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parse } from 'yaml'
import { Catalog } from '../../../../src/api/models/model-catalog.js'
import { Profiles } from '../../../../src/api/models/profiles.js'
import { RequestError } from '../../../../src/errors.js'
import { hermesForm } from '../../../../src/models/tokenizer/tool-call-format.js'
import type { ModelInfo } from '../../../../src/serving/protocol.js'
import { uniform } from '../../../../src/statistics/random.js'
import { mutateJson } from '../../../helpers/hostile-files.js'

const helpful = { alignment: { strategy: 'best_of_n', num_candidates: 16, reward: 'helpful' } }

/** Models as requests see them. */
const operators = {
  format: 'i8',
  threads: 1,
  operators: [],
  sharesPrompts: true,
  device: null,
  onnxruntime: '',
  instructionSet: '',
  kernels: '',
  notes: []
} as const
const models = (...ids: string[]): ModelInfo[] => ids.map(id => ({
  id, contextLength: 8, vocabularySize: 8, fingerprint: 'fl', operators, engine: null, created: 0, callForm: hermesForm
}))

/** What a request means by its model's name and its alignment. */
const choose = (profiles: Profiles, name: string, alignment: object | null, served = models('m')): unknown => {
  const chosen = new Catalog({ models: served, rewards: [] }, profiles).choose(name, alignment)
  return [chosen.model.id, chosen.alignment]
}

const failure = (code: string, param: string) => (error: unknown): boolean =>
  error instanceof RequestError && error.code === code && error.param === param

test('a profile is picked by the model’s name, and a request changes what it may', () => {
  const profiles =
    new Profiles({ open: helpful, shut: { ...helpful, overridable: ['num_candidates', 'reward'] } }, ['m'])
  assert.deepEqual(choose(profiles, 'm', null), ['m', null])
  assert.deepEqual(choose(profiles, 'm:open', null), ['m', helpful.alignment])
  assert.deepEqual(choose(profiles, 'm:open', { num_candidates: 4, selection: null }),
    ['m', { ...helpful.alignment, num_candidates: 4 }])
  assert.deepEqual(choose(profiles, 'm:shut', { reward: 'length', strategy: 'best_of_n' }),
    ['m', { ...helpful.alignment, reward: 'length' }])
  assert.throws(() => choose(profiles, 'm:shut', { strength: 2 }), failure('field_locked', 'alignment.strength'))
  assert.throws(() => choose(profiles, 'm:open', { strategy: 'beam_search' }),
    failure('invalid_request', 'alignment.strategy'))
  assert.throws(() => choose(profiles, 'm:none', null), failure('model_not_found', 'model'))
})

test('a model is picked by its whole name, though it has a colon in it, and one that is not there is answered with ' +
  'those there are', () => {
  const profiles = new Profiles({ open: helpful }, ['m', 'other:7b'])
  const served = models('m', 'other:7b')
  assert.deepEqual(choose(profiles, 'other:7b', null, served), ['other:7b', null])
  assert.deepEqual(choose(profiles, 'other:7b:open', null, served), ['other:7b', helpful.alignment])
  for (const name of ['x', 'x:open', 'other']) {
    assert.throws(() => choose(profiles, name, null, served), /this server has m, other:7b/)
  }
})

test('a request’s rewards replace a profile’s reward', () => {
  const rewards = [{ name: 'length', weight: -1 }]
  assert.deepEqual(new Profiles({ open: helpful }, ['m']).apply('m', 'open', { rewards }),
    { strategy: 'best_of_n', num_candidates: 16, rewards })
})

test('a default profile is what the model’s own name gets', () => {
  const profiles = new Profiles({ usual: { ...helpful, default: true } }, ['m'])
  assert.deepEqual(profiles.apply('m', null, null), helpful.alignment)
  assert.equal(profiles.of('m')[0]?.isDefault, true)
})

test('a profile for one model is no other’s, and each model may have a default of its own', () => {
  const profiles = new Profiles({
    open: helpful,
    own: { ...helpful, model: 'n', default: true },
    usual: { alignment: { reward: 'x' }, model: 'm', default: true }
  }, ['m', 'n'])
  const served = models('m', 'n')
  assert.deepEqual(['m', 'n'].map(name => profiles.of(name).map(one => one.name)), [['open', 'usual'], ['open', 'own']])
  assert.deepEqual(choose(profiles, 'n', null, served), ['n', helpful.alignment])
  assert.deepEqual(choose(profiles, 'm', null, served), ['m', { reward: 'x' }])
  assert.throws(() => choose(profiles, 'm:own', null, served),
    /The model "m:own" does not exist: there are the profiles open, usual/)
})

/** [profiles, what the message says] */
const refused: ReadonlyArray<readonly [unknown, RegExp]> = [
  [[], /profiles must be an object of profiles by name; got \[\]/],
  [{ 'a b': helpful }, /names of letters, digits.*; got "a b"/],
  [{ a: 5 }, /profiles\.a must be an object; got 5/],
  [{ a: {} }, /profiles\.a\.alignment must be an object; got nothing/],
  [{ a: { ...helpful, overridabel: [] } }, /profiles\.a\.overridabel is not a field; did you mean overridable/],
  [{ a: { ...helpful, overridable: ['num_beams'] } }, /overridable must name fields of its strategy; got "num_beams"/],
  [{ a: { alignment: { reward: 'x', num_candidates: 999 } } },
    /profile a: alignment\.num_candidates must be .*; got 999/],
  [{ a: { ...helpful, default: true }, b: { ...helpful, default: true } },
    /may have one default for the model m; got \["a","b"\]/],
  [{ a: { ...helpful, model: 'x' } }, /profiles\.a\.model must be one of m, m:b, n; got "x"/],
  [{ a: { ...helpful, default: true }, c: { ...helpful, model: 'n', default: true } },
    /may have one default for the model n; got \["a","c"\]/],
  [{ b: helpful }, /profiles\.b must have another name.*; got "m:b"/]
]

for (const [given, message] of refused) {
  test(`${JSON.stringify(given)} is refused`,
    () => { assert.throws(() => new Profiles(given, ['m', 'm:b', 'n']), message) })
}

test('a profile with one odd value is read, or refused by its name', () => {
  const profiles = { open: helpful, shut: { ...helpful, overridable: ['num_candidates'], default: true, model: 'm' } }
  for (let seed = 0; seed < 100; seed++) {
    let given: unknown
    try {
      given = parse(mutateJson(profiles, uniform(seed)), { maxAliasCount: 0 })
    } catch { continue }
    try {
      assert.ok(new Profiles(given, ['m']))
    } catch (error) {
      assert.ok(error instanceof RequestError, `seed ${seed}: ${String(error)}`)
      assert.match(error.message, /profile/)
      assert.ok(error.message.length < 2000, `seed ${seed}: ${error.message.length} characters`)
    }
  }
})
