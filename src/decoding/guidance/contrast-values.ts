/**
 * Values tokens by how much more probable they are in one context than in another: ln π(v | toward) − ln π(v | away),
 * where a context is the prompt with another system message or more text before it, read by the policy or by another
 * model, and the answer so far follows in each. With two sides this is DExperts (arXiv 2105.03023) and proxy-tuning
 * (2401.08565); with `toward` alone GenARM (2410.08193). Away from the request's own prompt and with strength above 1
 * it is classifier-free guidance (Sanchez et al. 2023, arXiv 2306.17806). All tokens are valued by one pass in each
 * context, whatever the temperature by their probabilities at temperature 1.
 */
import type { ContextReading, Tokenwise } from '../../policies/policy.js'
import type { Candidate } from '../candidate.js'
import type { Decoding } from '../decoding.js'
import type { ContrastContext } from '../request.js'
import type { TokenValues } from './token-values.js'

/** One side of the ratio; a side without a reading is the request's own prompt, which the answer is read in anyway. */
interface Side { readonly sign: 1 | -1, readonly reading: ContextReading | null }

/** Values of one candidate's next tokens. */
const valuesOver = (tokens: Tokenwise, sides: readonly Side[]): TokenValues => ({
  values: token => sides.every(({ reading }) => reading?.has(token) ?? true),
  async of (candidates) {
    return candidates.map(({ token }) => sides.reduce((sum, { sign, reading }) =>
      sum + sign * (reading ?? tokens).logProbability(token), 0))
  },
  async accept (token) {
    if (!tokens.accept(token)) return
    // All in one turn of the event loop: they ride in one batch.
    // What a model does not have stands for no text, and is nothing to it.
    await Promise.all([tokens.read(), ...sides.map(({ reading }) => reading?.has(token) && reading.read(token))])
  },
  close () {
    for (const { reading } of sides) reading?.close()
  }
})

const sameTokens = (one: readonly number[], other: readonly number[]): boolean =>
  one.length === other.length && one.every((token, index) => token === other[index])

/** Reads a context once for each answer. */
async function openSides (
  { request: { n, prompt } }: Decoding, context: ContrastContext | null, sign: Side['sign']
): Promise<Side[] | null> {
  if (!context) return null
  const isOwn = !context.isForeign && sameTokens(context.tokens, prompt.tokens)
  const readings = isOwn ? Array.from({ length: n }, () => null) : await context.open(n)
  return readings.map(reading => ({ sign, reading }))
}

/** Values for answers to the same prompt, in the contexts that the request contrasts. */
export async function contrastValues (decoding: Decoding, candidates: readonly Candidate[]): Promise<TokenValues[]> {
  const { toward, away } = decoding.request.contrast
  const sides = await Promise.all([openSides(decoding, toward, 1), openSides(decoding, away, -1)])
  return candidates.map((candidate, index) =>
    valuesOver(candidate.generation.tokenwise!, sides.flatMap(side => side ? [side[index]!] : [])))
}
