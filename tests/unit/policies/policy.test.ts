/** The seam: strategies that only extend answers do the same over any backend. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkNeeds } from '../../../src/decoding/strategies/policy-needs.js'
import { alignmentOf, canReturnTwo, everyStrategy, oddities, run } from '../../helpers/run-strategy.js'
import { remoteCapabilities, remotely } from '../../helpers/toy-remote.js'
import { ToyPolicy } from '../../helpers/toy-policy.js'

const extendOnly = [null, ...everyStrategy, { strategy: 'rebase', width: 5, step: { tokens: 1 } }].filter(given => {
  try {
    checkNeeds(alignmentOf(given), false, remoteCapabilities)
    return true
  } catch { return false }
})

test('every strategy but token guidance can do with answers that are only extended', () => {
  const names = new Set(everyStrategy.map(({ strategy }) => strategy))
  names.delete('token_guidance')
  assert.deepEqual(new Set(extendOnly.flatMap(given => given ? [given['strategy']] : [])), names)
})

for (const given of extendOnly) {
  test(`over a backend that only extends, as over the own engine: ${JSON.stringify(given)}`, async () => {
    for (const more of [{}, { sampling: { maxTokens: 9, stop: ['ba', 'cc'] } },
      { sampling: { maxTokens: 8, ignoreEos: true }, ...given && { limits: { maxGeneratedTokens: 17 } } }]) {
      for (let seed = 1; seed <= 5; seed++) {
        const policy = new ToyPolicy()
        const n = !given || canReturnTwo(given) ? 2 : 1
        const options = { policy, scorer: oddities, seed, n, ...more }
        const { rewardTokens: _, ...own } = (await run(given, options)).result
        const { rewardTokens, ...other } = (await run(given, { ...options, through: remotely(policy) })).result
        assert.deepEqual(other, own)
        // Nothing is read again to score it; what look-aheads draw counts all the same.
        assert.ok(rewardTokens === 0 || given!['lookahead_tokens'] !== undefined)
      }
    }
  })
}
