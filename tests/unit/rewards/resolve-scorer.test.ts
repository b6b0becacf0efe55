import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RequestError } from '../../../src/errors.js'
import { parseRewardFamily } from '../../../src/rewards/descriptor.js'
import { encodeFloats } from '../../../src/rewards/kinds/q-head.js'
import { incompatibility, type ScorerRequest } from '../../../src/rewards/resolve-scorer.js'
import { resolveAlone } from '../../helpers/resolve-alone.js'
import { toyAnswer, toyPolicy } from '../../helpers/toy-states.js'

const policy = toyPolicy()
const prompt = { messages: [], text: '', tokens: [9] }
const normalization = { mean: 1, std: 2, pool: 'p' }
const head = {
  name: 'kind',
  description: 'x',
  kind: 'head',
  members: { outcome: { normalization }, prefix: { normalization: { ...normalization, std: 4 } } },
  policy: { id: 'toy', weightsSha256: '0'.repeat(64), format: 'f32' },
  layer: 2,
  pooling: 'mean',
  weights: [1, 0, 0],
  bias: 0
}
const outcomeOnly = {
  ...head,
  name: 'late',
  members: { outcome: { normalization } },
  metrics: {
    measure: 'pair_accuracy',
    split: 's',
    examples: 10,
    clusters: 5,
    calibrationError: 0.1,
    controls: { lengthOnly: 0.5, randomHead: 0.5, randomHeadStd: 0, tfidf: 0.6 },
    byPrefix: [{ fraction: 0.25, accuracy: 0.53, standardError: 0.1 },
      { fraction: 1, accuracy: 0.78, standardError: 0.1 }]
  }
}
const length = {
  name: 'length',
  description: 'x',
  kind: 'rule',
  rule: 'length',
  members: { outcome: { normalization: { mean: 3, std: 1, pool: 'p' } }, prefix: { normalization } }
}
const families = [head, outcomeOnly, length].map(value =>
  parseRewardFamily(JSON.stringify(value), `${value.name}.json`))
const request = (
  fields: Partial<ScorerRequest>
): ScorerRequest => ({ rewards: [{ name: 'kind', weight: 1 }], member: 'outcome', scale: 'standardized', ...fields })

/** Checks for an error with a code and a message. */
const failure = (code: string, message: RegExp) => (error: unknown): boolean => {
  assert.ok(error instanceof RequestError)
  assert.equal(error.code, code)
  assert.match(error.message, message)
  return true
}

test('a score is the weighted sum of standardised rewards, and tells each one', async () => {
  const { scorer, warnings } =
    resolveAlone(families, request({ rewards: [{ name: 'kind', weight: 2 }, { name: 'length', weight: -1 }] }), policy)
  const [score] = await scorer.score(prompt, [await toyAnswer([4, 6])])
  // kind: mean 5 → (5 − 1)/2 = 2; length: 2 → (2 − 3)/1 = −1; 2·2 + (−1)·(−1) = 5
  assert.deepEqual(score,
    { value: 5, rewards: { kind: { raw: 5, standardized: 2 }, length: { raw: 2, standardized: -1 } } })
  assert.deepEqual(scorer.layers, [2])
  assert.deepEqual(scorer.used.map(({ name, member, weight }) => [name, member, weight]),
    [['kind', 'outcome', 2], ['length', 'outcome', -1]])
  assert.deepEqual(warnings, [])
})

test('scale raw sums raw scores, and the prefix member has statistics of its own', async () => {
  const answers = [await toyAnswer([5])]
  assert.equal(
    (await resolveAlone(families, request({ scale: 'raw' }), policy).scorer.score(prompt, answers))[0]!.value, 5
  )
  assert.equal(
    (await resolveAlone(families, request({ member: 'prefix' }), policy).scorer.score(prompt, answers))[0]!.value, 1
  )
})

test('an unknown reward is refused with the names there are, a name twice too', () => {
  assert.throws(() => resolveAlone(families, request({ rewards: [{ name: 'nice', weight: 1 }] }), policy),
    failure('reward_not_found', /"nice".*kind, late, length/))
  assert.throws(() => resolveAlone(
    families, request({ rewards: [{ name: 'kind', weight: 1 }, { name: 'kind', weight: 2 }] }), policy
  ), failure('invalid_request', /got "kind" twice/))
})

test('a missing member is refused, or replaced with a warning that tells its prefix accuracy', () => {
  const late = { rewards: [{ name: 'late', weight: 1 }], member: 'prefix' as const }
  assert.throws(() => resolveAlone(families, request(late), policy),
    failure('reward_scope_mismatch', /"late" has no prefix member \(it has: outcome\)/))
  const { scorer, warnings } = resolveAlone(families, request({ ...late, allowScopeMismatch: true }), policy)
  assert.equal(scorer.used[0]!.member, 'outcome')
  assert.match(warnings[0]!.message, /0\.53 at 25 %, 0\.78 at 100 %/)
})

test('a head fitted on other weights warns; one of another width or layer is refused', () => {
  const [warning] = resolveAlone(families, request({}), { ...policy, weightsSha256: 'a'.repeat(64) }).warnings
  assert.equal(warning?.code, 'reward_policy_mismatch')
  assert.throws(() => resolveAlone(families, request({}), { ...policy, hiddenSize: 5 }),
    failure('invalid_request', /width 3; the model toy has width 5/))
  assert.match(incompatibility(families[0]!, { ...policy, layers: 1 })!, /reads layer 2 of toy; the model toy has layers 0 to 1/)
  assert.equal(incompatibility(families[2]!, { ...policy, hiddenSize: 5 }), null)
})

test('only end-token heads need room for a fork of each answer', () => {
  const last = parseRewardFamily(JSON.stringify({ ...head, name: 'last', pooling: 'last' }), 'last.json')
  const forks = (name: string) => resolveAlone([...families, last],
    request({ rewards: [{ name: 'length', weight: 1 }, { name, weight: 1 }] }), policy).forks
  assert.deepEqual([forks('kind'), forks('last')], [false, true])
})

test('next tokens are summed as answers are, by rewards that have such a member; no other member ' +
  'stands in', async () => {
  const nextToken = {
    layer: 1,
    rank: 1,
    state: encodeFloats(Float32Array.of(0, 0, 0, 1)),
    token: encodeFloats(Float32Array.of(1, 0, 0, 0)),
    fit: { prompts: 1, positions: 1, values: 2, regularization: 0 },
    metrics: { rankCorrelation: 1, standardError: 0, candidates: 2, positions: 1, prompts: 1, split: 's' }
  }
  const foretelling = parseRewardFamily(JSON.stringify({ ...head, name: 'foretelling', nextToken }), 'foretelling.json')
  assert.deepEqual(foretelling.members, ['outcome', 'prefix', 'next_token'])
  const { scorer, forks } = resolveAlone([foretelling],
    request({ rewards: [{ name: 'foretelling', weight: -2 }], member: 'next_token' }), policy)
  assert.deepEqual([scorer.used[0]!.member, scorer.layers, forks], ['next_token', [1, 2], false])
  // Means of [4, 7] and [4, 1]: 5.5 and 2.5; standardised by the prefix member, (m − 1) / 4.
  assert.deepEqual(scorer.scoreNext(await toyAnswer([4], { final: false }), [7, 1]), [-2 * 4.5 / 4, -2 * 1.5 / 4])
  for (const allowScopeMismatch of [true, false, undefined]) {
    assert.throws(() => resolveAlone(families,
      request({ member: 'next_token', ...(allowScopeMismatch === undefined ? {} : { allowScopeMismatch }) }), policy),
    failure('reward_scope_mismatch', /"kind" has no next_token member \(it has: outcome, prefix\)$/))
  }
})

test('a score that is not a finite number fails with the reward’s name', async () => {
  const { scorer } = resolveAlone(families, request({}), policy)
  for (const token of [NaN, Infinity]) {
    await assert.rejects(scorer.score(prompt, [await toyAnswer([token])]),
      failure('scorer_failed', /reward "kind" .*finite number/))
  }
})
