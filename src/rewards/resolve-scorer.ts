/**
 * From the rewards a request names to one scorer: looks families up, picks members, standardises and sums. The last
 * gate for what a reward may be used for. Knows no kind of reward.
 */
import type { Warning } from '../decoding/result.js'
import type { RuntimeDemand } from '../engine/model-runtime.js'
import { RequestError } from '../errors.js'
import { rewardNotFound, type RewardFamily } from './descriptor.js'
import type {
  MemberScorer, NextTokenScorer, OpenContext, RawScore, RequestScope, RewardLedger
} from './reward-kind.js'
import type { PolicyInfo } from './readable-policy.js'
import type { Answer, GuideElsewhere, MemberScore, Prompt, RewardMember, Score, Scorer } from './scorer.js'
import { standardize } from './standardization.js'

export interface ScorerRequest {
  /** What to sum, at least one, no name twice. */
  readonly rewards: ReadonlyArray<{ readonly name: string, readonly weight: number }>
  /** What the strategy scores: whole answers, any prefix, or next tokens. */
  readonly member: RewardMember
  /** What `Score.value` sums. */
  readonly scale: 'standardized' | 'raw'
  /**
   * Take another member that scores answers where a family lacks the one asked for, with a warning. Absent: it never
   * is, and errors do not offer it.
   */
  readonly allowScopeMismatch?: boolean
  /** The caller's field that names the rewards, for errors. Default `alignment.rewards`. */
  readonly field?: string
}

export interface ResolvedScorer {
  readonly scorer: Scorer
  /**
   * Warnings for the caller: at first about the choice of rewards, later also about what happened while they scored.
   */
  readonly warnings: readonly Warning[]
  /**
   * Counts, while the scorer works, tokens run only to score (end-token heads, models of their own; 0 for mean-pooled
   * heads, rules and remote scorers).
   */
  readonly ledger: Readonly<RewardLedger>
  /** How long each call of a scorer took, seconds, by the reward's name, while the scorer works. */
  readonly seconds: Readonly<Record<string, readonly number[]>>
  /** True where scoring forks each answer for one token (end-token heads): it may then hold twice the sequences. */
  readonly forks: boolean
  /** KV it needs in the engines of the models it reads through. */
  readonly demands: readonly RuntimeDemand[]
}

interface Term {
  readonly name: string
  readonly weight: number
  readonly member: RewardMember
  readonly version: string
  readonly scorer: MemberScorer | NextTokenScorer
  /** How long its calls took. */
  readonly seconds: number[]
}

/** Warnings of one request, one per code and reward: a later one replaces an earlier one. */
class Warnings {
  readonly #latest = new Map<string, Warning>()

  warn (name: string, code: string, message: string): void { this.#latest.set(`${code} ${name}`, { code, message }) }
  list (): Warning[] { return [...this.#latest.values()] }
}

/** Why a family cannot score this policy's answers, or null if it can. */
export function incompatibility ({ name, source }: RewardFamily, policy: PolicyInfo): string | null {
  const problem = source.incompatibility(policy)
  return problem === null ? null : `reward ${name} ${problem}`
}

/**
 * One scorer for a request's rewards: Σ weight · score.
 * @throws RequestError `reward_not_found` with the names there are; `reward_scope_mismatch` where a family lacks the
 *   member; `invalid_request` for a reward that does not fit the policy or a name given twice
 */
export function resolveScorer (
  families: readonly RewardFamily[], request: ScorerRequest, policy: PolicyInfo, scope: RequestScope
): ResolvedScorer {
  const ledger: RewardLedger = { rewardTokens: 0 }
  const warnings = new Warnings()
  const terms: Term[] = []
  const seconds: Record<string, number[]> = {}
  const { field: param = 'alignment.rewards' } = request
  for (const { name, weight } of request.rewards) {
    if (terms.some(term => term.name === name)) {
      throw new RequestError('invalid_request', `rewards must name each reward once; got "${name}" twice`, { param })
    }
    const family = findFamily(families, name, policy, param)
    const member = pickMember(family, request, param, warnings)
    const scorer = openMember(family.source, member, {
      name,
      policy,
      ledger,
      request: scope,
      direction: weight < 0 ? -1 : 1,
      warn: (code, message) => { warnings.warn(name, code, message) }
    })
    terms.push({ name, weight, member, version: family.version, scorer, seconds: seconds[name] = [] })
  }
  return {
    scorer: {
      used: terms.map(({ name, member, version, weight }) => ({ name, member, version, weight })),
      layers: [...new Set(terms.flatMap(term => term.scorer.layers))].sort((a, b) => a - b),
      score: (prompt: Prompt, answers: readonly Answer[]) => scoreAll(terms, request.scale, prompt, answers),
      scoreNext: (answer: Answer, tokens: readonly number[]) => scoreNext(terms, request.scale, answer, tokens),
      guides: terms.flatMap(term => guideOf(term, request.scale)),
      ceiling: (text: string) => ceilingOf(terms, request.scale, text)
    },
    get warnings () { return warnings.list() },
    ledger,
    seconds,
    forks: terms.some(term => term.scorer.forks),
    demands: terms.flatMap(term => term.scorer.demands ?? [])
  }
}

/**
 * The family of a name that can score this policy's answers.
 * @param param the caller's field that names it
 * @throws RequestError `reward_not_found` with the names there are; `invalid_request` for one that does not fit the
 * policy
 */
export function findFamily (
  families: readonly RewardFamily[], name: string, policy: PolicyInfo, param: string
): RewardFamily {
  const family = families.find(one => one.name === name)
  if (!family) throw rewardNotFound(name, families, param)
  const problem = incompatibility(family, policy)
  if (problem !== null) throw new RequestError('invalid_request', problem, { param })
  return family
}

function pickMember (
  family: RewardFamily, { member, allowScopeMismatch }: ScorerRequest, param: string, warnings: Warnings
): RewardMember {
  if (family.members.includes(member)) return member
  const other = family.members[0]!
  // No score of answers stands in for scores of tokens.
  if (!allowScopeMismatch || member === 'next_token') {
    const remedy = allowScopeMismatch === undefined || member === 'next_token'
      ? ''
      : '; allow_scope_mismatch: true uses it all the same'
    throw new RequestError('reward_scope_mismatch',
      `reward "${family.name}" has no ${member} member (it has: ${family.members.join(', ')})${remedy}`, { param })
  }
  warnings.warn(family.name, 'reward_scope_mismatch', `reward "${family.name}" uses its ${other} member where ` +
    `a ${member} member is needed; ${measuredAccuracy(family)}`)
  return other
}

/** How good a family is on whole answers and on prefixes, as far as it was measured. */
function measuredAccuracy ({ descriptor }: RewardFamily): string {
  const metrics = 'metrics' in descriptor ? descriptor.metrics : undefined
  if (!metrics) return 'its accuracy in that role was not measured'
  const figures = metrics.byPrefix.map(({ fraction, accuracy }) =>
    `${accuracy.toFixed(2)} at ${Math.round(fraction * 100)} %`)
  return `measured ${metrics.measure.replace('_', ' ')} by share of the answer read: ${figures.join(', ')}`
}

function openMember (source: RewardFamily['source'], member: RewardMember, context: OpenContext): MemberScorer
  | NextTokenScorer {
  return member === 'next_token' ? source.openNextToken!(context) : source.open(member, context)
}

/** What an answer would score with each of some tokens more. */
function scoreNext (
  terms: readonly Term[], scale: ScorerRequest['scale'], answer: Answer, tokens: readonly number[]
): number[] {
  const raw = terms.map(({ name, scorer, seconds }) => {
    if (!('scoreNext' in scorer)) throw new Error(`reward "${name}" was opened for answers, not for next tokens`)
    const started = performance.now()
    const scores = scorer.scoreNext(answer, tokens)
    seconds.push((performance.now() - started) / 1000)
    return scores.map(one => ({ raw: one }))
  })
  return tokens.map((_token, index) => sumScores(terms, scale, raw.map(scores => scores[index]!)).value)
}

/** The Q-head of the policy's own server that a term is; none where it is scored here. */
function guideOf ({ weight, scorer }: Term, scale: ScorerRequest['scale']): GuideElsewhere[] {
  if (!('elsewhere' in scorer) || scorer.elsewhere === null) return []
  // Raw and standardised values differ by a factor, and by what all next tokens have alike.
  return [{ head: scorer.elsewhere, factor: scale === 'raw' ? weight * scorer.normalization.std : weight }]
}

/** Upper bound of the sum: infinite where a term has no ceiling or a negative weight. */
function ceilingOf (terms: readonly Term[], scale: ScorerRequest['scale'], text: string): number {
  if (terms.some(({ weight, scorer }) => weight < 0 || !scorer.ceiling)) return Infinity
  return sumScores(terms, scale, terms.map(({ scorer }) => ({ raw: scorer.ceiling!(text) }))).value
}

async function scoreAll (
  terms: readonly Term[], scale: ScorerRequest['scale'], prompt: Prompt, answers: readonly Answer[]
): Promise<Score[]> {
  const raw = await Promise.all(terms.map(async ({ scorer, seconds }) => {
    const started = performance.now()
    const scores = await scorer.score(prompt, answers)
    seconds.push((performance.now() - started) / 1000)
    return scores
  }))
  return answers.map((_answer, index) => sumScores(terms, scale, raw.map(scores => scores[index]!)))
}

function sumScores (terms: readonly Term[], scale: ScorerRequest['scale'], raw: readonly RawScore[]): Score {
  const rewards: Record<string, MemberScore> = {}
  let value = 0
  for (const [index, { name, weight, scorer }] of terms.entries()) {
    const score = { ...raw[index]!, standardized: standardize(name, raw[index]!.raw, scorer.normalization) }
    rewards[name] = score
    value += weight * score[scale]
  }
  if (!Number.isFinite(value)) {
    throw new RequestError('scorer_failed', `the weighted sum of the rewards must be a finite number; got ${value}`)
  }
  return { value, rewards }
}
