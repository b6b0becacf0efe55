/** Whether a policy can do what a request's strategy needs. */
import { RequestError } from '../../errors.js'
import type { PolicyCapabilities } from '../../policies/policy.js'
import { strategyFacts, type PolicyNeed } from './strategy-facts.js'
import type { AlignmentRequest } from './strategy-schemas.js'

export const capabilityNames: Readonly<Record<keyof PolicyCapabilities, string>> = {
  alternatives: 'probabilities of next tokens',
  distributions: 'whole next-token distributions',
  hiddenStates: 'hidden states',
  qHeads: 'guidance by Q-heads',
  constrainedContinuation: 'continuation of answers under a grammar or penalties'
}

/** How an engine comes to offer something, where that is not plain. */
const remedies: Readonly<Partial<Record<keyof PolicyCapabilities, string>>> = {
  qHeads: 'vLLM offers it with the plugin integrations/vllm (0.2.0 or later) and a head that has a next_token member'
}

/** A need in words. */
export const describeNeed = ({ capability, when }: Omit<PolicyNeed<never>, 'when'> & { when?: { words: string } }
): string => when ? `${capabilityNames[capability]} (${when.words})` : capabilityNames[capability]

const needsOf = (alignment: AlignmentRequest): Array<PolicyNeed<never>> => {
  const needs: ReadonlyArray<PolicyNeed<never>> = strategyFacts[alignment.strategy].needs
  return needs.filter(({ when }) => !when || when.holds(alignment as never))
}

/** Whether a strategy looks at next-token distributions itself. */
export const needsDistributions = (alignment: AlignmentRequest | null): boolean =>
  alignment !== null && needsOf(alignment).some(({ capability }) => capability === 'distributions')

/**
 * Checks what a strategy needs against what the policy can do.
 * @param isConstrained whether answers are held to a grammar, or tokens penalised for what an answer holds
 * @throws RequestError naming what is missing
 */
export function checkNeeds (
  alignment: AlignmentRequest | null, isConstrained: boolean, capabilities: PolicyCapabilities
): void {
  if (!alignment) return
  const offered: Readonly<Record<keyof PolicyCapabilities, boolean>> = {
    ...capabilities,
    alternatives: capabilities.alternatives > 0,
    hiddenStates: capabilities.hiddenStates.length > 0,
    qHeads: capabilities.qHeads !== null,
    constrainedContinuation: !isConstrained || capabilities.constrainedContinuation
  }
  const missing = needsOf(alignment).filter(({ capability }) => !offered[capability])
  if (missing.length === 0) return
  throw new RequestError('invalid_request', [`alignment.strategy ${alignment.strategy} needs ` +
    `${missing.map(describeNeed).join(' and ')}, which the engine of this model does not offer`,
  ...missing.flatMap(({ capability }) => remedies[capability] ?? [])].join(': '), { param: 'alignment.strategy' })
}
