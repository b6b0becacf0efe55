/** Reads an answer along in another context, by this process's own engines. */
import type { Output, Sequence } from '../../engine/sequence.js'
import type { ContextReading } from '../policy.js'
import type { LocalPolicy } from './local-policy.js'

function reading (
  policy: Pick<LocalPolicy, 'rewardTokens'>, sequence: Sequence, output: Output
): ContextReading {
  let { distribution } = output
  return {
    has: token => token < distribution.logits.length,
    logProbability: token => distribution.logits[token]! - distribution.logNormalizer,
    async read (token) {
      sequence.append(token)
      distribution = (await sequence.output()).distribution
      policy.rewardTokens++
    },
    close () { sequence.close() }
  }
}

/**
 * Reads a context once, for each of some answers.
 * @param policy whose reward tokens it counts as
 * @param root the context, of whichever model
 */
export async function openReadings (
  policy: Pick<LocalPolicy, 'rewardTokens'>, root: Sequence, count: number
): Promise<ContextReading[]> {
  const tokens = root.tokens.length
  const output = await root.output()
  policy.rewardTokens += tokens
  return Array.from({ length: count }, (_, index) =>
    reading(policy, index === count - 1 ? root : root.fork(), output))
}
