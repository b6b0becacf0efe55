/** What a reward's card says in one sentence: better than its controls, or not, or too little to tell. */

/** The figures of a card that the verdict goes by: accuracies on held-out pairs, 0 to 1. */
export interface CardFigures {
  /** Held-out examples, and the prompts they belong to. */
  readonly examples: number
  readonly clusters: number
  /** Of the whole answer. */
  readonly accuracy: number
  readonly standardError: number
  readonly controls: { readonly length: number, readonly random: number, readonly tfidf: number | null }
}

export interface Verdict {
  readonly kind: 'better' | 'length' | 'chance' | 'few'
  readonly text: string
}

/** Fewer held-out examples say nothing. */
export const fewestHeldOut = 15

/**
 * How many more held-out examples would tell the accuracy from a control, at the spread seen; null where none would.
 */
function moreNeeded ({ accuracy, standardError, examples }: CardFigures, best: number): number | null {
  const gap = accuracy - best
  if (gap <= 0.01 || standardError === 0) return null
  const needed = Math.ceil(examples * (1.96 * standardError / gap) ** 2)
  return needed > examples ? needed - examples : null
}

export function verdictOf (card: CardFigures): Verdict {
  const { examples, accuracy, standardError, controls } = card
  const { length } = controls
  const best = Math.max(length, controls.random, controls.tfidf ?? 0)
  const figure = (value: number): string => value.toFixed(2)
  if (examples < fewestHeldOut) {
    return {
      kind: 'few',
      text: `${examples} held-out examples are too few to tell it from its controls. ` +
        `${fewestHeldOut - examples} more held out are the least that would.`
    }
  }
  if (accuracy - 1.96 * standardError > best) {
    return { kind: 'better', text: `Better than its controls: ${figure(accuracy)} against ${figure(best)} at best.` }
  }
  const more = moreNeeded(card, best)
  const hint = more === null ? '' : ` About ${more} more held-out examples would tell.`
  if (length >= accuracy - standardError) {
    return {
      kind: 'length',
      text: `No better than going by length alone (${figure(length)}).${hint}`
    }
  }
  return { kind: 'chance', text: `Not yet better than chance or its controls (${figure(best)} at best).${hint}` }
}

interface PrefixMetric { readonly fraction: number, readonly accuracy: number, readonly standard_error?: number }
interface Metrics {
  readonly examples?: number
  readonly clusters?: number
  readonly by_prefix?: readonly PrefixMetric[]
  readonly controls?: {
    readonly length_only?: number, readonly random_head?: number, readonly tfidf?: number | null
  }
}

/** The figures of `metrics` on a card of `GET /v1/rewards/NAME`; null where it has none of accuracy. */
export function figuresOf (metrics: unknown): CardFigures | null {
  const { examples, clusters, by_prefix: byPrefix, controls } = (metrics ?? {}) as Metrics
  const whole = byPrefix?.find(({ fraction }) => fraction === 1) ?? byPrefix?.at(-1)
  if (examples === undefined || typeof whole?.accuracy !== 'number') return null
  return {
    examples,
    clusters: clusters ?? examples,
    accuracy: whole.accuracy,
    standardError: whole.standard_error ?? 0,
    controls: {
      length: controls?.length_only ?? 0.5, random: controls?.random_head ?? 0.5, tfidf: controls?.tfidf ?? null
    }
  }
}
