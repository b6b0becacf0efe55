import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Field, StrategyForm } from '../../../src/inspector/logic/form.js'
import { presetsFor, type Preset } from '../../../src/inspector/logic/presets.js'
import { firstDraft, plain, type Draft } from '../../../src/inspector/logic/request.js'

const field = (name: string, kind: Field['kind'], initial: unknown): Field =>
  ({ name, kind, initial, description: '', mayBeNull: false })
const bestOf: StrategyForm = {
  name: 'best_of_n',
  fields: [
    field('num_candidates', 'integer', 8), field('selection', 'choice', 'argmax'), field('strength', 'number', 1)
  ],
  main: ['num_candidates', 'selection']
}
const guidance: StrategyForm = {
  name: 'token_guidance',
  fields: [field('method', 'choice', null), field('strength', 'number', 1)],
  main: ['method', 'strength']
}
const asked = (strategy: string, values: Readonly<Record<string, unknown>>): Draft =>
  ({ ...firstDraft, strategy, fields: { [strategy]: values }, rewards: [{ name: 'positive', weight: 1 }] })
const half = (draft: Draft, form: StrategyForm | undefined, resolved = {}): Preset =>
  presetsFor(draft, 'this run', form, resolved, [])[1]!
const halfOf = (preset: Preset, strategy: string): unknown => preset.ways[1]?.draft.fields[strategy]

test('plain is compared with a request that steers, not with one that is plain', () => {
  const [first] = presetsFor(asked('best_of_n', {}), 'this run', bestOf, {}, [])
  assert.equal(first!.title, 'plain vs this run')
  assert.deepEqual(first!.ways.map(({ draft }) => draft.strategy), [plain, 'best_of_n'])
  assert.deepEqual(presetsFor({ ...firstDraft, strategy: plain }, 'this run', undefined, {}, []).map(one => one.whyNot),
    ['It is plain itself.', 'It has no strength that can be halved.'])
})

test('the strength is halved where it counts, else how much is drawn', () => {
  const softmax = half(asked('best_of_n', { selection: 'softmax', strength: 3 }), bestOf)
  assert.deepEqual(halfOf(softmax, 'best_of_n'), { selection: 'softmax', strength: 1.5 })
  const argmax = half(asked('best_of_n', { strength: 3 }), bestOf)
  assert.deepEqual(halfOf(argmax, 'best_of_n'), { strength: 3, num_candidates: 4 })
  assert.equal(argmax.title, 'this run vs half its num_candidates (8 → 4)')
  assert.deepEqual(halfOf(half(asked('best_of_n', { poisson_mean: 6 }), {
    ...bestOf, fields: [...bestOf.fields, field('poisson_mean', 'number', null)]
  }), 'best_of_n'), { poisson_mean: 3 })
  assert.match(half(asked('best_of_n', { num_candidates: 1 }), bestOf).whyNot!, /halved/)
  assert.match(half(asked('token_guidance', { strength: 0 }), guidance).whyNot!, /halved/)
})

test('a published method’s strength is what the run was made with', () => {
  const draft = asked('token_guidance', { method: 'rad' })
  assert.match(half(draft, guidance).whyNot!, /halved/)
  assert.deepEqual(halfOf(half(draft, guidance, { strength: 30 }), 'token_guidance'), { method: 'rad', strength: 15 })
})

test('profiles stand beside plain answers while there is a column left', () => {
  const of = (...profiles: string[]): Preset => presetsFor(asked('best_of_n', {}), 'this run', bestOf, {}, profiles)[2]!
  assert.equal(presetsFor(firstDraft, 'this run', bestOf, {}, []).length, 2)
  assert.equal(of('m:a', 'm:b').title, 'plain vs profiles a, b')
  assert.deepEqual(of('m:a', 'm:b').ways.map(({ profile, draft }) => [profile, draft.strategy]),
    [[null, plain], ['m:a', plain], ['m:b', plain]])
  assert.deepEqual(of('m:a', 'm:b', 'm:c', 'm:d').ways.map(({ profile }) => profile), ['m:a', 'm:b', 'm:c'])
})
