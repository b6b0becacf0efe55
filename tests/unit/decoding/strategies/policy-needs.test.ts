import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkNeeds } from '../../../../src/decoding/strategies/policy-needs.js'
import { RequestError } from '../../../../src/errors.js'
import { localCapabilities } from '../../../../src/policies/local/local-policy.js'
import type { PolicyCapabilities } from '../../../../src/policies/policy.js'
import { alignmentOf, everyStrategy } from '../../../helpers/run-strategy.js'

const all = localCapabilities(2)

/** What is missing, as the error says; null where nothing is. */
function missing (given: Record<string, unknown>, lacks: Partial<PolicyCapabilities>, grammar = false): string | null {
  try {
    checkNeeds(alignmentOf(given), grammar, { ...all, ...lacks })
    return null
  } catch (error) {
    assert.ok(error instanceof RequestError)
    assert.deepEqual([error.code, error.param], ['invalid_request', 'alignment.strategy'])
    return error.message
  }
}

test('the own engine has what every strategy needs', () => {
  checkNeeds(null, true, all)
  for (const given of everyStrategy) assert.equal(missing(given, {}, true), null)
})

test('what is missing is named, where the parameters ask for it', () => {
  const guidance = { strategy: 'token_guidance' }
  assert.match(missing(guidance, { alternatives: 0 })!, /probabilities of next tokens/)
  assert.equal(missing(guidance, { distributions: false }), null)
  assert.match(missing({ ...guidance, max_kl: 1 }, { distributions: false })!, /distributions/)
  assert.equal(missing(guidance, { hiddenStates: [] }), null)
  const byQHead = { ...guidance, method: 'q_head' }
  assert.match(missing(byQHead, { qHeads: null })!, /Q-heads .*does not offer: vLLM offers it with the plugin/)
  assert.equal(missing({ ...byQHead, max_kl: 1 }, { alternatives: 0, distributions: false, qHeads: 'backend' }), null)
  assert.match(missing({ strategy: 'segment_rejection' }, { distributions: false })!, /segment\.entropy/)
  assert.equal(missing({ strategy: 'segment_rejection', segment: { tokens: 4 } }, { distributions: false }), null)
  assert.match(missing({ strategy: 'best_of_n', selection: 'mbr' }, { hiddenStates: [] })!, /hidden states/)
  assert.equal(missing({ strategy: 'best_of_n' }, { hiddenStates: [] }), null)
})

test('to continue answers under a grammar is needed where there is a grammar', () => {
  const lacks = { constrainedContinuation: false }
  assert.equal(missing({ strategy: 'beam_search' }, lacks), null)
  assert.match(missing({ strategy: 'beam_search' }, lacks, true)!, /grammar/)
  assert.equal(missing({ strategy: 'best_of_n' }, lacks, true), null)
  assert.match(missing({ strategy: 'best_of_n', max_generated_tokens: 99 }, lacks, true)!, /max_generated_tokens/)
})
