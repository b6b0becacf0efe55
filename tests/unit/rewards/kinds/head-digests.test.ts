import assert from 'node:assert/strict'
import { test } from 'node:test'
import { qHeadDigest, weightsDigest } from '../../../../src/rewards/kinds/head-digests.js'

test('digests are those of the plugin of integrations/vllm, whose tests have the same', () => {
  assert.equal(weightsDigest({ weights: [0.5, -1, 0.1, 2e-7, 3, 1e30], bias: -0.75 }),
    'df17a90b552c3c53e1d0bdf9339aec8ff77d4efd83a85f3ee139100df4a0f187')
  const zeros = Buffer.alloc(28).toString('base64')
  assert.equal(qHeadDigest({ layer: 2, rank: 1, state: zeros, token: zeros }),
    'f01b3cc100d24717e352cce73c99b18d623799145f87f2939ae1fd7124a6cbf2')
})
