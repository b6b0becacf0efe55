import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseRewardFamily } from '../../../../src/rewards/descriptor.js'
import { combine, type CombineRule } from '../../../../src/rewards/kinds/ensemble.js'
import type { RewardMember } from '../../../../src/rewards/scorer.js'
import { resolveAlone } from '../../../helpers/resolve-alone.js'
import { toyAnswer, toyPolicy } from '../../../helpers/toy-states.js'

const prompt = { messages: [], text: '', tokens: [9] }
const normalization = { mean: 0, std: 1, pool: 'p' }
/** Reads the mean digit, times a factor, plus a bias; standardised by a mean and a standard deviation of its own. */
const head = (
  factor: number, bias: number, mean = 0, std = 1, members: readonly RewardMember[] = ['outcome', 'prefix']
) => ({
  kind: 'head',
  members: Object.fromEntries(members.map(member => [member, { normalization: { mean, std, pool: 'p' } }])),
  policy: { id: 'toy', weightsSha256: '0'.repeat(64), format: 'f32' },
  layer: 2,
  pooling: 'mean',
  weights: [factor, 0, 0],
  bias
})
const ensemble = (fields: object) => parseRewardFamily(JSON.stringify({
  name: 'panel', description: 'x', kind: 'ensemble', combine: 'mean', scorers: [head(1, 0), head(2, 0, 2, 2)], ...fields
}), 'panel.json')
const resolve = (family: ReturnType<typeof ensemble>, { weight = 1, member = 'outcome' as RewardMember } = {}) =>
  resolveAlone([family], { rewards: [{ name: 'panel', weight }], member, scale: 'standardized' }, toyPolicy())

test('each rule combines standardised scores as defined', () => {
  // Scores 1 and 5: mean 3, standard deviation 2, variance 4.
  const cases: ReadonlyArray<readonly [CombineRule, object, number]> = [['mean', {}, 3], ['min', {}, 1],
    ['uwo', { penalty: 0.5 }, 1], ['lcb', { penalty: 0.5 }, 2], ['weighted', { weights: [1, -2] }, -9]]
  for (const [rule, fields, value] of cases) {
    assert.deepEqual(combine({ combine: rule, ...fields }, [1, 5], 1), { value, std: 2 }, rule)
  }
})

test('under a negative weight doubt counts the other way, so that it still counts against the answer', () => {
  assert.equal(combine({ combine: 'min' }, [1, 5], -1).value, 5)
  assert.equal(combine({ combine: 'lcb', penalty: 0.5 }, [1, 5], -1).value, 4)
  assert.equal(combine({ combine: 'uwo', penalty: 0.5 }, [1, 5], -1).value, 5)
  assert.equal(combine({ combine: 'mean' }, [1, 5], -1).value, 3)
})

test('the scorers are standardised by their own statistics before they are combined, and their ' +
  'spread is told', async () => {
  // Digit 4: 4 and (8 − 2)/2 = 3.
  const { scorer, forks } = resolve(ensemble({ combine: 'min' }))
  assert.deepEqual(await scorer.score(prompt, [await toyAnswer([4])]),
    [{ value: 3, rewards: { panel: { raw: 3, standardized: 3, std: 0.5 } } }])
  assert.deepEqual([scorer.layers, forks], [[2], false])
})

test('the combined score has statistics of its own where the descriptor says so', async () => {
  const { scorer } = resolve(ensemble({ members: { outcome: { normalization: { mean: 1.5, std: 2, pool: 'p' } } } }))
  assert.equal((await scorer.score(prompt, [await toyAnswer([4])]))[0]!.value, 1)
})

test('a request that weighs it negatively opens it so', async () => {
  const { scorer } = resolve(ensemble({ combine: 'min' }), { weight: -1 })
  assert.equal((await scorer.score(prompt, [await toyAnswer([4])]))[0]!.value, -4)
})

test('answers that the scorers disagree on are counted in one warning', async () => {
  const resolved = resolve(ensemble({ scorers: [head(1, 0), head(-1, 0)], warnAboveStd: 2.5 }))
  await resolved.scorer.score(prompt, [await toyAnswer([2]), await toyAnswer([3])])
  await resolved.scorer.score(prompt, [await toyAnswer([7])])
  assert.deepEqual(resolved.warnings.map(({ code }) => code), ['ensemble_disagreement'])
  assert.match(resolved.warnings[0]!.message,
    /"panel" disagree on 2 of 3 answers scored: .* up to 7\.00, .* 2\.5/)
  const calm = resolve(ensemble({ scorers: [head(1, 0), head(-1, 0)], warnAboveStd: 9 }))
  await calm.scorer.score(prompt, [await toyAnswer([7])])
  assert.deepEqual(calm.warnings, [])
})

test('rules make a checklist: their mean is the share that holds, their least whether all do', async () => {
  const scorers = [{ kind: 'rule', rule: 'must_mention', phrases: ['otter'] },
    { kind: 'rule', rule: 'word_count', max: 3 }]
  const answers = [await toyAnswer([1], { text: 'an otter' }), await toyAnswer([1], { text: 'a long word list otter' }),
    await toyAnswer([1], { text: 'one two three four' })]
  const values = async (rule: CombineRule): Promise<number[]> =>
    (await resolve(ensemble({ scorers, combine: rule })).scorer.score(prompt, answers)).map(({ value }) => value)
  assert.deepEqual(await values('mean'), [1, 0, -1])
  assert.deepEqual(await values('min'), [1, -1, -1])
})

test('it has the members that all scorers have', () => {
  assert.deepEqual(ensemble({ scorers: [head(1, 0), head(1, 0, 0, 1, ['outcome'])] }).members, ['outcome'])
  assert.throws(() => ensemble({ scorers: [head(1, 0, 0, 1, ['prefix']), head(1, 0, 0, 1, ['outcome'])] }),
    /scorers .*outcome or prefix/)
  assert.throws(
    () => ensemble({ scorers: [head(1, 0), head(1, 0, 0, 1, ['outcome'])], members: { prefix: { normalization } } }),
    /members\.prefix/
  )
})

test('a broken ensemble is refused with the scorer, field and value', () => {
  assert.throws(() => ensemble({ combine: 'median' }),
    /panel\.json: combine must be one of "mean", "min", "uwo", "lcb", "weighted"; got "median"/)
  assert.throws(() => ensemble({ combine: 'lcb' }), /panel\.json: .*penalty/)
  assert.throws(() => ensemble({ penalty: 1 }), /unknown field penalty/)
  assert.throws(() => ensemble({ combine: 'weighted', weights: [1] }), /weights .*2; got 1/)
  assert.throws(() => ensemble({ scorers: [head(1, 0)] }), /\/scorers/)
  assert.throws(() => ensemble({ scorers: [head(1, 0), { ...head(1, 0), layer: -1 }] }),
    /panel\.json: scorers\[1\]: \/layer .*; got -1/)
  assert.throws(() => ensemble({ scorers: [head(1, 0), { ...head(1, 0), name: 'x' }] }),
    /scorers\[1\]: unknown field name/)
  assert.throws(() => ensemble({ scorers: [head(1, 0), { kind: 'ensemble' }] }),
    /scorers\[1\]: must not be an ensemble itself/)
})

test('a scorer that does not fit the policy, or gives no number, fails with the family’s name', async () => {
  const family = ensemble({})
  assert.throws(() => resolveAlone([family],
    { rewards: [{ name: 'panel', weight: 1 }], member: 'outcome', scale: 'standardized' },
    { ...toyPolicy(), hiddenSize: 7 }), /reward panel was fitted on toy with hidden states of width 3/)
  await assert.rejects(resolve(family).scorer.score(prompt, [await toyAnswer([NaN])]),
    /"panel" .*; got NaN/)
})

test('the least of several can still become no more than each of them; other combinations, and rewards wanted low, ' +
  'tell nothing', () => {
  const scorers = [{ kind: 'rule', rule: 'word_count', max: 2 }, { kind: 'rule', rule: 'regex', pattern: 'a' }]
  const ceiling = (combine: CombineRule, weight = 1, text = 'one two three'): number => {
    const family = parseRewardFamily(JSON.stringify({
      name: 'checks', description: 'x', kind: 'ensemble', combine, scorers, ...(combine === 'lcb' ? { penalty: 1 } : {})
    }), 'checks.json')
    return resolveAlone([family], { rewards: [{ name: 'checks', weight }], member: 'outcome', scale: 'standardized' },
      toyPolicy()).scorer.ceiling!(text)
  }
  assert.deepEqual([ceiling('min'), ceiling('min', 2), ceiling('min', 1, 'one')], [-1, -2, 1])
  assert.deepEqual([ceiling('mean'), ceiling('lcb'), ceiling('min', -1)], [Infinity, Infinity, Infinity])
})
