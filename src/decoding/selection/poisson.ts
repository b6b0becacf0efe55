/**
 * Best-of-Poisson (Khalaf et al. 2025, arXiv 2506.19248): best-of-N with N = 1 + Poisson(mean) comes closer than a
 * fixed N to the best reward that a KL allows. How N is drawn, how large it can be, what it costs. Pure.
 */
import type { Random } from '../../policies/random-stream.js'

/** Chance beyond which an N is not drawn. */
const negligible = 1e-9

/** P(Poisson(mean) = 0), = 1, …, until what is left is negligible. */
function chances (mean: number): number[] {
  const found: number[] = []
  let [chance, left] = [Math.exp(-mean), 1]
  while (left > negligible) {
    found.push(chance)
    left -= chance
    chance *= mean / found.length
  }
  return found
}

/** The largest N that is drawn: a larger one has a chance of at most 1e-9. */
export const maxOfPoisson = (mean: number): number => chances(mean).length

/** N = 1 + Poisson(mean). */
export function drawNumber (mean: number, random: Random): number {
  const u = random.next()
  let mass = 0
  const found = chances(mean).findIndex(chance => u < (mass += chance))
  return found < 0 ? maxOfPoisson(mean) : found + 1
}

/** Intervals of Simpson's rule; what is integrated varies over 1 / mean, 1 / 64 at least. */
const intervals = 2000

/**
 * Upper bound of the KL of Best-of-Poisson to the policy, nats: reached where no two answers have the same reward. The
 * best of N has rank u, of [0, 1], with density e^(−mean · (1 − u)) · (1 + mean · u), and the bound is the KL of that
 * to the uniform density.
 */
export function poissonKl (mean: number): number {
  const at = (u: number): number => {
    const logDensity = Math.log1p(mean * u) - mean * (1 - u)
    return Math.exp(logDensity) * logDensity
  }
  let sum = at(0) + at(1)
  for (let index = 1; index < intervals; index++) sum += at(index / intervals) * (index % 2 === 1 ? 4 : 2)
  return sum / (3 * intervals)
}
