/**
 * Statistical checks of what was drawn. Seeds are fixed, so a check that passes once passes always; the level says how
 * strict it is.
 */
import assert from 'node:assert/strict'

/** The value that χ² with some degrees of freedom exceeds once in a thousand (Wilson and Hilferty 1931). */
const criticalChiSquare = (degrees: number): number =>
  degrees * (1 - 2 / (9 * degrees) + 3.0902 * Math.sqrt(2 / (9 * degrees))) ** 3

/**
 * Asserts that what was drawn comes from a distribution: Pearson's χ² at level 0.001, outcomes expected less than five
 * times taken together.
 * @param expected probability by outcome, summing to 1
 */
export function assertDrawnFrom (expected: ReadonlyMap<string, number>, drawn: readonly string[], what: string): void {
  const total = [...expected.values()].reduce((sum, p) => sum + p, 0)
  assert.ok(Math.abs(total - 1) < 1e-6, `${what}: probabilities sum to ${total}`)
  const counts = new Map<string, number>()
  for (const one of drawn) counts.set(one, (counts.get(one) ?? 0) + 1)
  for (const outcome of counts.keys()) {
    assert.ok((expected.get(outcome) ?? 0) > 0, `${what}: ${outcome} cannot be drawn`)
  }
  const rare = { seen: 0, expected: 0 }
  let [chiSquare, cells] = [0, 0]
  const add = (seen: number, mean: number): void => { chiSquare += (seen - mean) ** 2 / mean; cells++ }
  for (const [outcome, p] of expected) {
    const [seen, mean] = [counts.get(outcome) ?? 0, p * drawn.length]
    if (mean >= 5) add(seen, mean)
    else { rare.seen += seen; rare.expected += mean }
  }
  if (rare.expected > 0) add(rare.seen, Math.max(rare.expected, 1e-9))
  assert.ok(chiSquare < criticalChiSquare(Math.max(1, cells - 1)),
    `${what}: χ² ${chiSquare} with ${cells - 1} degrees of freedom`)
}

/** Asserts that a mean is what it should be, within 3.3 standard errors: missed once in a thousand. */
export function assertMean (values: readonly number[], expected: number, what: string): void {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1)
  assert.ok(Math.abs(mean - expected) <= 3.3 * Math.sqrt(variance / values.length) + 1e-12,
    `${what}: mean ${mean}, expected ${expected}`)
}

/** Sums probabilities by outcome. */
export function tally<T> (
  items: readonly T[], outcome: (item: T) => string, probability: (item: T) => number
): Map<string, number> {
  const sums = new Map<string, number>()
  for (const item of items) sums.set(outcome(item), (sums.get(outcome(item)) ?? 0) + probability(item))
  return sums
}

/** Every tuple of some length, with repetition. */
export function tuples<T> (items: readonly T[], length: number): T[][] {
  return length === 0 ? [[]] : tuples(items, length - 1).flatMap(tuple => items.map(item => [...tuple, item]))
}

/**
 * Asserts that two samples come from one distribution: χ² of homogeneity at level 0.001, outcomes seen less than ten
 * times in all taken together.
 */
export function assertSameSource (one: readonly string[], other: readonly string[], what: string): void {
  const counts = new Map<string, [number, number]>()
  const count = (drawn: readonly string[], side: 0 | 1): void => {
    for (const outcome of drawn) {
      const cell = counts.get(outcome) ?? [0, 0]
      cell[side]++
      counts.set(outcome, cell)
    }
  }
  count(one, 0)
  count(other, 1)
  const cells = [...counts.values()].filter(([a, b]) => a + b >= 10)
  const rare = [...counts.values()].filter(([a, b]) => a + b < 10)
    .reduce(([a, b], [c, d]) => [a + c, b + d] as [number, number], [0, 0])
  if (rare[0] + rare[1] > 0) cells.push(rare as [number, number])
  const total = one.length + other.length
  const chiSquare = cells.reduce((sum, [a, b]) => {
    const [meanA, meanB] = [(a + b) * one.length / total, (a + b) * other.length / total]
    return sum + (a - meanA) ** 2 / meanA + (b - meanB) ** 2 / meanB
  }, 0)
  assert.ok(chiSquare < criticalChiSquare(Math.max(1, cells.length - 1)),
    `${what}: χ² ${chiSquare} with ${cells.length - 1} degrees of freedom`)
}
