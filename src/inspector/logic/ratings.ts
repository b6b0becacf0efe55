/** Ratings of pairs of answers: how they are kept, told to the fit, saved as JSON Lines, and what they add up to. */

/** What somebody said of a pair. */
export type Verdict = 'left' | 'right' | 'same' | 'skip'

/** A pair as it was shown and judged. */
export interface Rating {
  readonly prompt: string
  readonly left: string
  readonly right: string
  readonly verdict: Verdict
  /** Time until the verdict, ms. */
  readonly ms: number
  readonly seed: number | null
  /** Whether an answer was still being drawn when the verdict came. */
  readonly cut?: true
  /** What the reward of then preferred, and which version that was. */
  readonly predicted?: { readonly version: number, readonly side: 'left' | 'right' }
}

/** A fit on the ratings. */
export interface Fitted {
  readonly version: number
  /** Seconds since the epoch. */
  readonly created: number
  readonly pairs: number
  readonly prompts: number
  readonly seconds: number
}

/** A blind vote on plain against steered. */
export interface CheckVote {
  readonly version: number
  readonly prompt: string
  readonly plain: string
  readonly steered: string
  readonly winner: 'plain' | 'steered' | 'same'
}

/** Everything that belongs to one taste. */
export interface RatingSet {
  readonly name: string
  /** What is liked, in words. */
  readonly taste: string
  readonly prompts: readonly string[]
  readonly ratings: readonly Rating[]
  readonly fits: readonly Fitted[]
  readonly votes: readonly CheckVote[]
}

export const emptySet = (name: string): RatingSet =>
  ({ name, taste: '', prompts: [], ratings: [], fits: [], votes: [] })

/** A pair as `fairlead fit --train` and `POST /v1/rewards/fit` read it; other fields stand beside. */
export interface FitPair { readonly prompt: string, readonly chosen: string, readonly rejected: string }

const isPair = ({ left, right, verdict, cut }: Rating): boolean =>
  (verdict === 'left' || verdict === 'right') && cut !== true && left !== '' && right !== ''

/** The pairs that a fit is made on: decided, and of whole answers with text. */
export function fitPairs ({ ratings }: Pick<RatingSet, 'ratings'>): FitPair[] {
  return ratings.filter(isPair).map(({ prompt, left, right, verdict }) =>
    verdict === 'left' ? { prompt, chosen: left, rejected: right } : { prompt, chosen: right, rejected: left })
}

export const promptsOf = (pairs: readonly FitPair[]): number => new Set(pairs.map(({ prompt }) => prompt)).size

/** Pairs as JSON Lines, what else is known of them beside. */
export function pairLines ({ ratings }: Pick<RatingSet, 'ratings'>): string {
  const decided = ratings.filter(isPair)
  return fitPairs({ ratings }).map((pair, at) => {
    const { verdict, ms, seed } = decided[at]!
    return `${JSON.stringify({ ...pair, shown_left: verdict === 'left' ? 'chosen' : 'rejected', ms, seed })}\n`
  }).join('')
}

/** @throws Error naming the line that is no pair */
export function readPairLines (text: string): Rating[] {
  return text.replace(/^\uFEFF/, '').split('\n').flatMap((line, at) => {
    if (line.trim() === '') return []
    let pair: Partial<FitPair> & { shown_left?: string, ms?: number, seed?: number }
    try {
      pair = JSON.parse(line) as typeof pair
    } catch {
      throw new Error(`Line ${at + 1} is no JSON.`)
    }
    const { prompt, chosen, rejected } = pair
    if (typeof prompt !== 'string' || typeof chosen !== 'string' || typeof rejected !== 'string') {
      throw new Error(`Line ${at + 1} must have prompt, chosen and rejected, all of them strings.`)
    }
    if (chosen === '' || rejected === '') {
      throw new Error(`Line ${at + 1} must have text in chosen and rejected: a reward is fitted on answers with text.`)
    }
    const isLeft = pair.shown_left !== 'rejected'
    return [{
      prompt,
      left: isLeft ? chosen : rejected,
      right: isLeft ? rejected : chosen,
      verdict: isLeft ? 'left' as const : 'right' as const,
      ms: pair.ms ?? 0,
      seed: pair.seed ?? null
    }]
  })
}

/** Comparisons of one check. */
export const checkRounds = 10

/** A place for a text in an order that has nothing to do with what it says. */
function shuffled (text: string): number {
  let state = 2166136261
  for (let at = 0; at < text.length; at++) state = Math.imul(state ^ text.charCodeAt(at), 16777619)
  return Math.imul(state ^ (state >>> 15), 2246822519) >>> 0
}

/**
 * Prompts that are not rated, so that a check has some; none where there are too few. They stay the same while others
 * are rated, and prompts that are added later never bring one back that was rated.
 */
export function keptForCheck ({ prompts, ratings }: Pick<RatingSet, 'prompts' | 'ratings'>): ReadonlySet<string> {
  if (prompts.length < 2 * checkRounds) return new Set()
  const rated = new Set(ratings.map(({ prompt }) => prompt))
  return new Set(prompts.filter(prompt => !rated.has(prompt))
    .sort((a, b) => shuffled(a) - shuffled(b)).slice(0, checkRounds))
}

/** How often a version's preference was what was then voted. */
export interface Agreement { readonly version: number, readonly agreed: number, readonly of: number }

/** By version, in order: pairs that were predicted before they were judged, ties and skips left out. */
export function agreementsOf ({ ratings }: Pick<RatingSet, 'ratings'>): Agreement[] {
  const versions = new Map<number, { agreed: number, of: number }>()
  for (const { predicted, verdict } of ratings) {
    if (!predicted || (verdict !== 'left' && verdict !== 'right')) continue
    const counts = versions.get(predicted.version) ?? { agreed: 0, of: 0 }
    counts.of++
    if (predicted.side === verdict) counts.agreed++
    versions.set(predicted.version, counts)
  }
  return [...versions].sort(([a], [b]) => a - b).map(([version, counts]) => ({ version, ...counts }))
}

/** Agreement after each vote on what a version predicted: a series a version, since each begins anew. */
export function agreementCurves ({ ratings }: Pick<RatingSet, 'ratings'>): number[][] {
  return agreementsOf({ ratings }).map(({ version }) => {
    let agreed = 0
    return ratings.filter(({ predicted, verdict }) =>
      predicted?.version === version && (verdict === 'left' || verdict === 'right'))
      .map(({ predicted, verdict }, at) => (agreed += Number(predicted!.side === verdict)) / (at + 1))
  })
}

/** By how much chosen answers are longer than rejected ones: 0.34 for 34 % longer; null without pairs. */
export function lengthLean (pairs: readonly FitPair[]): number | null {
  const sum = (field: 'chosen' | 'rejected'): number => pairs.reduce((all, pair) => all + pair[field].length, 0)
  const rejected = sum('rejected')
  return rejected === 0 ? null : sum('chosen') / rejected - 1
}

/** What a blind check came to. */
export interface CheckResult {
  readonly steered: number
  readonly plain: number
  readonly ties: number
  /** Mean length of the answers, characters. */
  readonly plainLength: number
  readonly steeredLength: number
}

export function checkResult (votes: readonly CheckVote[]): CheckResult {
  const wins = (winner: CheckVote['winner']): number => votes.filter(vote => vote.winner === winner).length
  const length = (field: 'plain' | 'steered'): number =>
    votes.reduce((sum, vote) => sum + vote[field].length, 0) / (votes.length || 1)
  return {
    steered: wins('steered'),
    plain: wins('plain'),
    ties: wins('same'),
    plainLength: length('plain'),
    steeredLength: length('steered')
  }
}

/** Names that rewards may have. */
export const isRewardName = (name: string): boolean => /^[a-z][a-z0-9_-]{0,63}$/.test(name)
