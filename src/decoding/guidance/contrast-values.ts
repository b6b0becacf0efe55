/**
 * Values tokens by how much more probable they are in one context than in another: ln π(v | toward) − ln π(v | away),
 * where a context is the prompt with another system message or more text before it, read by the policy or by another
 * model, and the answer so far follows in each. With two sides this is DExperts (arXiv 2105.03023) and proxy-tuning
 * (2401.08565); with `toward` alone GenARM (2410.08193). Away from the request's own prompt and with strength above 1
 * it is classifier-free guidance (Sanchez et al. 2023, arXiv 2306.17806). All tokens are valued by one pass in each
 * context, whatever the temperature by their probabilities at temperature 1.
 */
import type { Distribution, Output, Sequence } from '../../engine/sequence.js'
import type { Candidate, Generation } from '../candidate.js'
import type { RankedToken } from '../sampling/distribution.js'
import type { ContrastContext } from '../runtime.js'
import type { TokenValues } from './token-values.js'

/** A context that the answer is read in. */
interface Reading { readonly sequence: Sequence, output: Output }

/** One side of the ratio; a side without a reading is the request's own prompt, which the answer is read in anyway. */
interface Side { readonly sign: 1 | -1, readonly reading: Reading | null }

const logProbability = ({ logits, logNormalizer }: Distribution, token: number): number =>
  logits[token]! - logNormalizer

export class ContrastValues implements TokenValues {
  readonly #generation: Generation
  readonly #candidate: Candidate
  readonly #sides: readonly Side[]

  constructor (generation: Generation, candidate: Candidate, sides: readonly Side[]) {
    this.#generation = generation
    this.#candidate = candidate
    this.#sides = sides
  }

  async of (candidates: readonly RankedToken[]): Promise<number[]> {
    const sides =
      this.#sides.map(({ sign, reading }) => ({ sign, distribution: (reading ?? this.#candidate).output.distribution }))
    return candidates.map(({ token }) =>
      sides.reduce((sum, { sign, distribution }) => sum + sign * logProbability(distribution, token), 0))
  }

  async accept (token: number): Promise<void> {
    if (!this.#candidate.accept(token)) return
    // All in one turn of the event loop: they ride in one batch.
    await Promise.all([this.#candidate.feed(), ...this.#sides.map(async ({ reading }) => {
      if (!reading) return
      reading.sequence.append(token)
      reading.output = await reading.sequence.output()
      this.#generation.rewardTokens++
    })])
  }

  close (): void {
    for (const { reading } of this.#sides) reading?.sequence.close()
  }
}

const sameTokens = (one: readonly number[], other: readonly number[]): boolean =>
  one.length === other.length && one.every((token, index) => token === other[index])

/** Reads a context once and forks it for each answer. */
async function openReadings (
  generation: Generation, context: ContrastContext | null, sign: Side['sign'], count: number
): Promise<Side[] | null> {
  if (!context) return null
  if (!context.isForeign && sameTokens(context.tokens, generation.prompt.tokens)) {
    return Array.from({ length: count }, () => ({ sign, reading: null }))
  }
  const root = context.open(count)
  const output = await root.output()
  generation.rewardTokens += context.tokens.length
  return Array.from({ length: count },
    (_, index) => ({ sign, reading: { sequence: index === count - 1 ? root : root.fork(), output } }))
}

/** Values for answers to the same prompt, in the contexts that the request contrasts. */
export async function contrastValues (
  generation: Generation, candidates: readonly Candidate[]
): Promise<ContrastValues[]> {
  const { toward, away } = generation.runtime.contrast
  const readings = await Promise.all([openReadings(generation, toward, 1, candidates.length),
    openReadings(generation, away, -1, candidates.length)])
  return candidates.map((candidate, index) =>
    new ContrastValues(generation, candidate, readings.flatMap(sides => sides ? [sides[index]!] : [])))
}
