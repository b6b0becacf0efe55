/**
 * Which pairs to label next: those that say most about a Bradley–Terry head's weights beside what is known (D-optimal: each adds most to
 * ln det of the information, p(1 − p) z zᵀ), taken one by one so that no two say the same. Knows numbers only.
 */
import { sigmoid } from './fit.js'

/** A pair: the difference of its standardised states, and of its scores. */
export interface Candidate { readonly difference: Float64Array, readonly margin: number }

const dot = (a: Float64Array, b: Float64Array): number => {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!
  return sum
}

/** p(1 − p): how much a label says, most where it is least foreseen. */
const informationOf = (margin: number): number => sigmoid(margin) * sigmoid(-margin)

/** The inverse of prior·I + Σ v z zᵀ as 1/prior·I − Σ u uᵀ, so that a product costs as many dot products as pairs. */
class InverseInformation {
  readonly #prior: number
  readonly #updates: Float64Array[] = []

  constructor (prior: number) { this.#prior = prior }

  /** M⁻¹ z */
  times (z: Float64Array): Float64Array {
    const product = z.map(value => value / this.#prior)
    for (const update of this.#updates) {
      const share = dot(update, z)
      for (let i = 0; i < product.length; i++) product[i]! -= share * update[i]!
    }
    return product
  }

  /** Takes a pair in. @returns the vector u that M⁻¹ loses as u uᵀ */
  add ({ difference, margin }: Candidate): Float64Array {
    const information = informationOf(margin)
    const product = this.times(difference)
    const scale = Math.sqrt(information / (1 + information * dot(difference, product)))
    const update = product.map(value => value * scale)
    this.#updates.push(update)
    return update
  }
}

export interface Suggestion {
  /** Index of the candidate. */
  readonly index: number
  /** What it adds to ln det of the information, in nats, beside those before it. */
  readonly gain: number
}

/**
 * What counts as known beforehand, in every direction: as much as a typical candidate says along its own. With less, the pairs that differ
 * most in anything at all are taken first, and they are odd ones.
 */
function priorOf (candidates: readonly Candidate[]): number {
  return candidates.reduce((sum, { difference, margin }) => sum + informationOf(margin) * dot(difference, difference), 0) / candidates.length || 1
}

/**
 * The most informative candidates, best first.
 * @param known pairs that have been labelled
 * @param count at most as many
 */
export function suggestPairs (candidates: readonly Candidate[], known: readonly Candidate[], count: number): Suggestion[] {
  const inverse = new InverseInformation(priorOf(candidates))
  for (const pair of known) inverse.add(pair)
  const variances = candidates.map(({ difference }) => dot(difference, inverse.times(difference)))
  const left = new Set(candidates.keys())
  const suggestions: Suggestion[] = []
  while (suggestions.length < count && left.size > 0) {
    let best = { index: -1, gain: -1 }
    for (const index of left) {
      const { margin } = candidates[index]!
      const gain = Math.log1p(informationOf(margin) * variances[index]!)
      if (gain > best.gain) best = { index, gain }
    }
    suggestions.push(best)
    left.delete(best.index)
    const update = inverse.add(candidates[best.index]!)
    for (const index of left) variances[index]! -= dot(update, candidates[index]!.difference) ** 2
  }
  return suggestions
}
