/** What the tokens of an answer are coloured by. */
import type { RewardScore } from './api-types.js'
import type { Token } from './lineages.js'

/** A way to colour tokens. */
export type Tint = 'none' | 'reward' | 'value' | 'surprise' | 'kl'

export const tintNames: Readonly<Record<Tint, string>> = {
  none: 'nothing', reward: 'reward change', value: 'token value', surprise: 'surprise −ln π', kl: 'KL spent'
}

/** Where a tint's figures are from. */
export const tintSources: Readonly<Record<Tint, string>> = {
  none: '',
  reward: 're-read with the prefix member',
  value: 'recorded while drawing',
  surprise: 'recorded while drawing',
  kl: 'recorded while drawing'
}

/** The tints that tokens have figures for; reward changes can be read for every answer. */
export function tintsOf (tokens: readonly Token[], canRead: boolean): Tint[] {
  const guided = tokens.some(token => token.guided !== null)
  const values = tokens.some(({ guided }) => (guided?.[7].length ?? 0) > 0)
  return ['none', ...(canRead ? ['reward' as const] : []), ...(values ? ['value' as const] : []),
    ...(tokens.some(({ lnPolicy }) => lnPolicy !== null) ? ['surprise' as const] : []),
    ...(guided ? ['kl' as const] : [])]
}

/** The value of the guided choice that was taken; null where it is not listed. */
const takenValue = ({ guided }: Token): number | null => guided?.[7][guided[3]]?.[2] ?? null

/**
 * Figures by token. @param changes reward changes by token, where they have been read
 */
export function figuresOf (
  tint: Tint, tokens: readonly Token[], changes: readonly number[] | null
): Array<number | null> {
  switch (tint) {
    case 'none': return tokens.map(() => null)
    case 'reward': return tokens.map((_, at) => changes?.[at] ?? null)
    case 'value': return tokens.map(takenValue)
    case 'surprise': return tokens.map(({ lnPolicy }) => lnPolicy === null ? null : -lnPolicy)
    case 'kl': return tokens.map(({ guided }) => guided?.[4] ?? null)
  }
}

/** Figures that are large against the others: |z| above 2. They are underlined, too. */
export function outstanding (figures: ReadonlyArray<number | null>): boolean[] {
  const known = figures.filter(figure => figure !== null)
  const centre = known.reduce((sum, one) => sum + one, 0) / (known.length || 1)
  const spread = Math.sqrt(known.reduce((sum, one) => sum + (one - centre) ** 2, 0) / (known.length || 1))
  return figures.map(figure => figure !== null && spread > 0 && Math.abs(figure - centre) > 2 * spread)
}

/** The largest figure, that colours run to: at least 0.1. */
export const tintScale = (figures: ReadonlyArray<number | null>): number =>
  Math.max(0.1, ...figures.map(figure => Math.abs(figure ?? 0)))

/** An answer that was read again: its tokens as the reward saw them, and what each changed. */
export interface Reading {
  readonly pieces: readonly string[]
  readonly changes: readonly number[]
  readonly reward: number
}

/**
 * The tokens and reward changes of an answer scored with `every: 1`. The first token's change is its reward, since the
 * reward of nothing is not told; their sum is the reward of the whole.
 */
export function readingOf (answer: string, { prefixes = [] }: Pick<RewardScore, 'prefixes'>): Reading {
  const points = [...answer]
  const pieces = prefixes.map(({ end }, at) => points.slice(at === 0 ? 0 : prefixes[at - 1]!.end, end).join(''))
  const changes = prefixes.map(({ reward }, at) => reward - (at === 0 ? 0 : prefixes[at - 1]!.reward))
  return { pieces, changes, reward: prefixes.at(-1)?.reward ?? 0 }
}
