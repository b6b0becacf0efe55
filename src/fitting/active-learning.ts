/**
 * Which pairs to label next: those whose labels leave the least variance in all the candidates' margins (V-optimal or
 * transductive design: Yu, Bi and Tresp 2006), taken greedily so that no two are redundant. The variance is that of a
 * Bradley–Terry head's weights given the known pairs.
 */
import { sigmoid } from '../statistics/linear-fit.js'
import { addScaled, dot } from '../statistics/vectors.js'

/** A pair: the difference of its standardised states, and of its scores. */
export interface Candidate { readonly difference: Float64Array, readonly margin: number }

/** p(1 − p): the Fisher information of a label. */
const informationOf = ({ margin }: Candidate): number => sigmoid(margin) * sigmoid(-margin)

/**
 * What a label takes from variances that it covaries with by `covariance`, its own being `variance`: scale ·
 * covariance².
 */
const scaleOf = (information: number, variance: number): number => information / (1 + information * variance)

/**
 * The inverse of prior·I + Σ p(1 − p) z zᵀ over known pairs as 1/prior·I − Σ u uᵀ, so that a product costs as many dot
 * products as pairs.
 */
class InverseInformation {
  readonly #prior: number
  readonly #updates: Float64Array[] = []

  constructor (prior: number, known: readonly Candidate[]) {
    this.#prior = prior
    for (const pair of known) {
      const product = this.times(pair.difference)
      const scale = Math.sqrt(scaleOf(informationOf(pair), dot(pair.difference, product)))
      this.#updates.push(product.map(value => value * scale))
    }
  }

  /** M⁻¹ z */
  times (z: Float64Array): Float64Array {
    const product = z.map(value => value / this.#prior)
    for (const update of this.#updates) addScaled(product, update, -dot(update, z))
    return product
  }
}

export interface Suggestion {
  /** Index of the candidate. */
  readonly index: number
  /** The share of the remaining variance of all candidates' margins that its label removes. */
  readonly gain: number
}

/** The prior's precision, as a share of a typical candidate's information along its own direction. */
const priorShare = 0.1

/** The prior's precision in every direction. With much less, outliers would be taken first. */
function priorOf (candidates: readonly Candidate[]): number {
  return priorShare * candidates.reduce(
    (sum, candidate) => sum + informationOf(candidate) * dot(candidate.difference, candidate.difference), 0
  ) / candidates.length || 1
}

/**
 * The most informative candidates, best first. Takes memory for a number per two candidates.
 * @param known pairs that have been labelled
 * @param count at most as many
 */
export function suggestPairs (
  candidates: readonly Candidate[], known: readonly Candidate[], count: number
): Suggestion[] {
  const inverse = new InverseInformation(priorOf(candidates), known)
  // Covariances of the candidates' margins.
  const rows = candidates.map(({ difference }) => {
    const product = inverse.times(difference)
    return Float64Array.from(candidates, other => dot(product, other.difference))
  })
  const left = new Set(candidates.keys())
  const suggestions: Suggestion[] = []
  while (suggestions.length < count && left.size > 0) {
    const total = rows.reduce((sum, row, index) => sum + row[index]!, 0)
    let best = { index: -1, gain: -1 }
    for (const index of left) {
      const row = rows[index]!
      const gain = total > 0 ? scaleOf(informationOf(candidates[index]!), row[index]!) * dot(row, row) / total : 0
      if (gain > best.gain) best = { index, gain }
    }
    suggestions.push(best)
    left.delete(best.index)
    const taken = rows[best.index]!.slice()
    const scale = scaleOf(informationOf(candidates[best.index]!), taken[best.index]!)
    for (const [index, row] of rows.entries()) addScaled(row, taken, -(scale * taken[index]!))
  }
  return suggestions
}
