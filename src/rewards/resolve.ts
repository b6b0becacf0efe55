/**
 * From the rewards a request names to one scorer: looks families up, picks members, standardises and sums. The last gate
 * for what a reward may be used for.
 */
import type { Warning } from '../decoding/runtime.js'
import { RequestError } from '../errors.js'
import type { Normalization, RewardFamily } from './descriptor.js'
import { headScorer, type RewardLedger } from './head.js'
import type { PolicyInfo } from './policy.js'
import { ruleNormalization, ruleScorer } from './rules.js'
import type { Answer, MemberScore, Prompt, RewardMember, Score, Scorer } from './scorer.js'

export interface ScorerRequest {
  /** What to sum, at least one, no name twice. */
  readonly rewards: ReadonlyArray<{ readonly name: string, readonly weight: number }>
  /** What the strategy scores: whole answers, or any prefix. */
  readonly member: RewardMember
  /** What `Score.value` sums. */
  readonly scale: 'standardized' | 'raw'
  /** Take the other member where a family lacks the one asked for, with a warning. Default false. */
  readonly allowScopeMismatch?: boolean
}

export interface ResolvedScorer {
  readonly scorer: Scorer
  readonly warnings: readonly Warning[]
  /** Counts, while the scorer works, tokens run only to score (end-token heads; 0 for mean-pooled heads and rules). */
  readonly ledger: Readonly<RewardLedger>
  /** True where scoring forks each answer for one token (end-token heads): it may then hold twice the sequences. */
  readonly forks: boolean
}

interface Term {
  readonly name: string
  readonly weight: number
  readonly member: RewardMember
  readonly version: string
  readonly normalization: Normalization
  readonly layers: readonly number[]
  readonly forks: boolean
  readonly rawScores: (answers: readonly Answer[]) => number[] | Promise<number[]>
}

/** Why a family cannot score this policy's answers, or null if it can: a head's layer and width must be the policy's. */
export function misfit ({ name, descriptor }: RewardFamily, policy: PolicyInfo): string | null {
  if (descriptor.kind !== 'head') return null
  const width = descriptor.weights.length
  if (width !== policy.hiddenSize) return `reward ${name} was fitted on ${descriptor.policy.id} with hidden states of width ${width}; the model ${policy.id} has width ${policy.hiddenSize}`
  if (descriptor.layer > policy.layers) return `reward ${name} reads layer ${descriptor.layer} of ${descriptor.policy.id}; the model ${policy.id} has layers 0 to ${policy.layers}`
  return null
}

/**
 * One scorer for a request's rewards: Σ weight · score.
 * @throws RequestError `reward_not_found` with the names there are; `reward_scope_mismatch` where a family lacks the
 *   member; `invalid_request` for a head that does not fit the policy or a name given twice
 */
export function resolveScorer (families: readonly RewardFamily[], request: ScorerRequest, policy: PolicyInfo): ResolvedScorer {
  const ledger: RewardLedger = { rewardTokens: 0 }
  const warnings: Warning[] = []
  const terms: Term[] = []
  for (const { name, weight } of request.rewards) {
    if (terms.some(term => term.name === name)) throw new RequestError('invalid_request', `rewards must name each reward once; got "${name}" twice`, { param: 'alignment.rewards' })
    const family = findFamily(families, name)
    const member = pickMember(family, request, warnings)
    terms.push({ name, weight, member, version: family.version, ...openMember(family, member, policy, ledger, warnings) })
  }
  const scorer: Scorer = {
    used: terms.map(({ name, member, version, weight }) => ({ name, member, version, weight })),
    layers: [...new Set(terms.flatMap(term => term.layers))].sort((a, b) => a - b),
    score: (_prompt: Prompt, answers: readonly Answer[]) => scoreAll(terms, request.scale, answers)
  }
  return { scorer, warnings, ledger, forks: terms.some(term => term.forks) }
}

function findFamily (families: readonly RewardFamily[], name: string): RewardFamily {
  const family = families.find(one => one.name === name)
  if (family) return family
  throw new RequestError('reward_not_found', `reward "${name}" does not exist; there are: ${families.map(one => one.name).join(', ') || 'none'}`, { param: 'alignment.rewards' })
}

function pickMember (family: RewardFamily, { member, allowScopeMismatch = false }: ScorerRequest, warnings: Warning[]): RewardMember {
  if (family.members.includes(member)) return member
  const other = family.members[0]!
  if (!allowScopeMismatch) {
    throw new RequestError('reward_scope_mismatch', `reward "${family.name}" has no ${member} member (it has: ${family.members.join(', ')}); allow_scope_mismatch: true uses it all the same`, { param: 'alignment.rewards' })
  }
  warnings.push({ code: 'reward_scope_mismatch', message: `reward "${family.name}" scores with its ${other} member where a ${member} member is needed; ${measuredAccuracy(family)}` })
  return other
}

/** How good a family is on whole answers and on prefixes, as far as it was measured. */
function measuredAccuracy ({ descriptor }: RewardFamily): string {
  const metrics = descriptor.kind === 'head' ? descriptor.metrics : undefined
  if (!metrics) return 'its accuracy there was not measured'
  const figures = metrics.byPrefix.map(({ fraction, accuracy }) => `${accuracy.toFixed(2)} at ${Math.round(fraction * 100)} %`)
  return `measured ${metrics.measure.replace('_', ' ')} by share of the answer read: ${figures.join(', ')}`
}

function openMember (family: RewardFamily, member: RewardMember, policy: PolicyInfo, ledger: RewardLedger, warnings: Warning[]): Pick<Term, 'normalization' | 'layers' | 'forks' | 'rawScores'> {
  const { descriptor } = family
  if (descriptor.kind === 'rule') return { normalization: ruleNormalization(descriptor, member), layers: [], forks: false, rawScores: ruleScorer(descriptor) }
  const problem = misfit(family, policy)
  if (problem !== null) throw new RequestError('invalid_request', problem, { param: 'alignment.rewards' })
  if (descriptor.policy.weightsSha256 !== policy.weightsSha256) {
    warnings.push({ code: 'reward_policy_mismatch', message: `reward "${family.name}" was fitted on other weights (${descriptor.policy.id}, sha256 ${descriptor.policy.weightsSha256.slice(0, 12)}) than ${policy.id} has (${policy.weightsSha256.slice(0, 12)})` })
  }
  return { normalization: descriptor.members[member]!.normalization, layers: [descriptor.layer], forks: descriptor.pooling === 'last', rawScores: headScorer(descriptor, member, policy.endTokens[0]!, ledger) }
}

async function scoreAll (terms: readonly Term[], scale: ScorerRequest['scale'], answers: readonly Answer[]): Promise<Score[]> {
  const raw = await Promise.all(terms.map(term => term.rawScores(answers)))
  return answers.map((_answer, index) => sumScores(terms, scale, raw.map(scores => scores[index]!)))
}

function sumScores (terms: readonly Term[], scale: ScorerRequest['scale'], raw: readonly number[]): Score {
  const rewards: Record<string, MemberScore> = {}
  let value = 0
  for (const [index, { name, weight, normalization }] of terms.entries()) {
    const score = { raw: raw[index]!, standardized: (raw[index]! - normalization.mean) / normalization.std }
    if (!Number.isFinite(score.standardized)) throw new RequestError('scorer_failed', `reward "${name}" must score a finite number; got ${score.raw}`)
    rewards[name] = score
    value += weight * score[scale]
  }
  if (!Number.isFinite(value)) throw new RequestError('scorer_failed', `the weighted sum of the rewards must be a finite number; got ${value}`)
  return { value, rewards }
}
