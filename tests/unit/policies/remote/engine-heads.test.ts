import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EngineHeads } from '../../../../src/policies/remote/engine-heads.js'

/** What the plugin answers of so many heads. */
const answer = (count: number): object => ({
  interface: 1,
  channels: { reference: 0, sink: 99, mantissa_scale: 4, exponent_scale: 0.5 },
  heads: Array.from({ length: count }, (_, at) => ({
    name: `head${at}`,
    layer: 1,
    pooling: 'mean',
    members: {},
    policy: { id: 'tiny', weightsSha256: 'f'.repeat(64) },
    mantissa: 2 * at + 1,
    exponent: 2 * at + 2
  }))
})

test('values are read from what lies above the reference; what cannot be read is named', () => {
  const heads = new EngineHeads(answer(2))
  assert.deepEqual(heads.unread, [])
  // −0.75 · 2³ and 0.5 · 2⁻¹.
  const told = [[0, -7], [1, -7 - 3], [2, -7 + 1.5], [3, -7 + 2], [4, -7 - 0.5]]
  const values = heads.values(told.map(([token, logprob]) => ({ token: token!, logprob: logprob! })))
  assert.deepEqual([...values], [['head0', -6], ['head1', 0.25]])
  assert.throws(() => heads.values([{ token: 0, logprob: 0 }]), /the values of its heads/)
})

test('heads beyond those that vLLM can tell of are named, not dropped', () => {
  const heads = new EngineHeads(answer(11))
  assert.equal(heads.all.length, 9)
  assert.deepEqual(heads.unread, ['head9', 'head10'])
  assert.ok(heads.tokens.length <= 20)
})
