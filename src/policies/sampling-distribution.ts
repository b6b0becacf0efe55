/**
 * The distribution that tokens are drawn from: the model's, with a request's changed logits, what a constraint allows,
 * temperature and filters. Exact, and cheap where it can be: the engine lists the most probable tokens and both
 * normalisers, so a draw seldom looks at the whole row; of a partial one it then throws MissingLogits. Order of the
 * filters as in vLLM: constraint, temperature, min_p, top_k, top_p, each on what the ones before left.
 */
import type { Distribution } from '../engine/sequence.js'
import { logitOf } from './logit-of.js'
import type { TouchedLogits } from './logits-processors.js'
import type { SamplingParams } from './sampling-params.js'

/** A token and its ln probability, nats, in the distribution that it is listed in. */
export interface RankedToken { readonly token: number, readonly logProbability: number }

/** Below this rest of probability, what touched tokens leave is too small to get by subtraction. */
const minRest = 1e-3

/** Descending logit, ties by lower id. */
const byRank = (a: RankedToken, b: RankedToken): number => b.logProbability - a.logProbability || a.token - b.token

/** A temperature above 0 is one; 0 means the arg max, whose distribution is looked at with temperature 1. */
const inverse = (temperature: number): number => temperature === 0 ? 1 : 1 / temperature

/** Where a constraint allows no more tokens than this, all of them are ranked. */
const fewAllowed = 1024

const isSet = (words: Int32Array, token: number): boolean => (words[token >>> 5]! >>> (token & 31) & 1) === 1

/** The tokens below `size` whose bits are set. @param flip 0, or −1 for those whose bits are not */
function * tokensIn (words: Int32Array, size: number, flip: 0 | -1): Generator<number> {
  for (let index = 0; index * 32 < size; index++) {
    for (let word = words[index]! ^ flip; word !== 0; word &= word - 1) {
      const token = index * 32 + 31 - Math.clz32(word & -word)
      if (token < size) yield token
    }
  }
}

function countBits (words: Int32Array): number {
  let count = 0
  for (let word of words) for (; word !== 0; word &= word - 1) count++
  return count
}

/** Marks the tokens that were walked already; one for the thread, cleared after use. */
let seen = new Uint8Array(0)

/** The distribution that the next token of one candidate is drawn from. */
export class SamplingDistribution {
  readonly #base: Distribution
  readonly #isPartial: boolean
  readonly #touched: TouchedLogits
  /** Which tokens a constraint allows, a bit each; null is all. */
  readonly #allowed: Int32Array | null
  /** Whether the list holds every token that can be drawn. */
  readonly #listsAll: boolean
  readonly #inverseTemperature: number
  /** ln Σ exp(changed logit / temperature). */
  readonly #logNormalizer: number
  /** The listed tokens by changed logit; exact as far as the last one that is not touched. */
  #listed: RankedToken[] | null = null
  /** What the filters keep; null where nothing filters. */
  readonly #kept: RankedToken[] | null

  /** @param allowed bit t mod 32 of word ⌊t / 32⌋ says whether token t can be drawn, at least one can; null is all */
  constructor (
    base: Distribution, touched: TouchedLogits,
    { temperature, minP, topK, topP }: Pick<SamplingParams, 'temperature' | 'minP' | 'topK' | 'topP'>,
    allowed: Int32Array | null = null
  ) {
    this.#base = base
    this.#isPartial = base.isPartial === true
    this.#touched = touched
    this.#allowed = allowed
    const count = allowed ? countBits(allowed) : base.size
    if (count === 0) throw new Error('the constraint allows no token')
    this.#listsAll = (allowed !== null && count <= fewAllowed) || base.topIds.length === base.size
    this.#inverseTemperature = inverse(temperature)
    this.#logNormalizer = this.#normalize(temperature === 0 ? base.logNormalizer : base.temperedLogNormalizer)
    this.#kept = minP > 0 || (topK > 0 && topK < base.size) || topP < 1 ? this.#filter(minP, topK, topP) : null
  }

  #normalize (modelNormalizer: number): number {
    const allowed = this.#allowed
    if (this.#touched.size === 0 && !allowed) return modelNormalizer
    if (allowed && this.#listsAll) return this.#normalizeOver(() => tokensIn(allowed, this.#base.size, 0))
    const { logits, size } = this.#base
    const share = (logit: number): number => Math.exp(logit * this.#inverseTemperature - modelNormalizer)
    let before = 0
    let after = 0
    if (allowed) for (const token of tokensIn(allowed, size, -1)) before += share(logits[token]!)
    for (const [token, logit] of this.#touched) {
      if (!this.#isAllowed(token)) continue
      before += share(logits[token]!)
      after += share(logit)
    }
    const rest = 1 - before
    if (rest > minRest || after > 1e3 * minRest) return modelNormalizer + Math.log(Math.max(0, rest) + after)
    return this.#normalizeOver(() => Array(size).keys())
  }

  #normalizeOver (tokens: () => Iterable<number>): number {
    let largest = -Infinity
    for (const token of tokens()) largest = Math.max(largest, this.#scaled(token))
    let sum = 0
    for (const token of tokens()) sum += Math.exp(this.#scaled(token) - largest)
    return largest + Math.log(sum)
  }

  #isAllowed (token: number): boolean { return this.#allowed === null || isSet(this.#allowed, token) }

  /** Changed logit over temperature; −∞ for what the constraint forbids. */
  #scaled (token: number): number {
    if (!this.#isAllowed(token)) return -Infinity
    const logit = this.#touched.get(token) ??
      (this.#isPartial ? logitOf(this.#base, token) : this.#base.logits[token]!)
    return logit * this.#inverseTemperature
  }

  /** Without filters. */
  #logProbability (token: number): number { return this.#scaled(token) - this.#logNormalizer }

  /** Every token whose rank is certain from the list, most probable first. */
  #certain (): RankedToken[] {
    if (this.#listed) return this.#listed
    const { topIds, topLogits, size } = this.#base
    const tokens = this.#allowed && this.#listsAll
      ? [...tokensIn(this.#allowed, size, 0)]
      : [...new Set([...topIds, ...this.#touched.keys()])]
    const ranked = tokens.map(token => ({ token, logProbability: this.#logProbability(token) }))
      .filter(one => one.logProbability > -Infinity).sort(byRank)
    // A token that is neither listed nor touched may be as probable as the last listed one.
    const floor = this.#listsAll ? -Infinity : topLogits.at(-1)! * this.#inverseTemperature - this.#logNormalizer
    this.#listed = ranked.filter(one => one.logProbability > floor || floor === -Infinity)
    return this.#listed
  }

  #wholeRanking (): RankedToken[] {
    const ranked: RankedToken[] = []
    for (let token = 0; token < this.#base.size; token++) {
      const logProbability = this.#logProbability(token)
      if (logProbability > -Infinity) ranked.push({ token, logProbability })
    }
    return ranked.sort(byRank)
  }

  /** What min_p, top_k and top_p keep, with its probabilities made to sum to one. */
  #filter (minP: number, topK: number, topP: number): RankedToken[] {
    const limits = (ranked: RankedToken[], whole: boolean): RankedToken[] | null => {
      if (ranked.length === 0) return null
      const least = minP > 0 ? ranked[0]!.logProbability + Math.log(minP) : -Infinity
      let count = ranked.findIndex(one => one.logProbability < least)
      if (count < 0) count = ranked.length
      if (topK > 0) count = Math.min(count, topK)
      // The list decides only what ends inside it; what remains after min_p and top_k must be summed for top_p.
      const ends = whole || count < ranked.length || (topK > 0 && count === topK)
      if (!ends && (minP > 0 || topK > 0)) return null
      const sum = ends ? ranked.slice(0, count).reduce((total, one) => total + Math.exp(one.logProbability), 0) : 1
      let mass = 0
      for (let i = 0; i < count; i++) {
        mass += Math.exp(ranked[i]!.logProbability) / sum
        if (topP < 1 && mass >= topP) return renormalize(ranked.slice(0, i + 1))
      }
      return ends ? renormalize(ranked.slice(0, count)) : null
    }
    return limits(this.#certain(), this.#listsAll) ?? limits(this.#wholeRanking(), true)!
  }

  /** The most probable tokens, most probable first, at most `count`. Probabilities are of the filtered distribution. */
  ranked (count: number): readonly RankedToken[] {
    if (this.#kept) return this.#kept.slice(0, count)
    const certain = this.#certain()
    const all = certain.length >= count || this.#listsAll ? certain : this.#wholeRanking()
    return all.slice(0, count)
  }

  /**
   * Every token that can be drawn, in the order in which `draw` passes them: by rank as far as tokens are listed, then
   * by id.
   */
  all (): readonly RankedToken[] {
    if (this.#kept) return this.#kept
    const { size, logits } = this.#base
    const all = [...this.#certain()]
    const passed = new Uint8Array(size)
    for (const { token } of all) passed[token] = 1
    for (const token of this.#touched.keys()) {
      if (passed[token] === 0) all.push({ token, logProbability: this.#logProbability(token) })
      passed[token] = 1
    }
    for (let token = 0; token < size; token++) {
      if (passed[token] === 0 && this.#isAllowed(token)) {
        all.push({ token, logProbability: logits[token]! * this.#inverseTemperature - this.#logNormalizer })
      }
    }
    return all.filter(one => one.logProbability > -Infinity)
  }

  /** The most probable token, ties by lower id. */
  argmax (): number { return this.ranked(1)[0]!.token }

  /**
   * The token at a point of the cumulative distribution: by rank as far as tokens are listed, then by id.
   * @param u in [0, 1)
   */
  draw (u: number): number {
    if (this.#kept) return drawRanked(this.#kept, u)
    if (this.#touched.size === 0 && !this.#allowed) return this.#drawUntouched(u)
    const ranked = this.#certain()
    let mass = 0
    for (const { token, logProbability } of ranked) {
      mass += Math.exp(logProbability)
      if (u < mass) return token
    }
    return this.#drawBeyond(ranked.map(one => one.token), u - mass)
  }

  /** The same where the list stands as the engine gave it: nothing is sorted, nothing made. */
  #drawUntouched (u: number): number {
    const { topIds, topLogits, size } = this.#base
    const floor = topIds.length === size ? -Infinity : topLogits.at(-1)!
    let mass = 0
    let rank = 0
    for (; rank < topIds.length && topLogits[rank]! > floor; rank++) {
      mass += Math.exp(topLogits[rank]! * this.#inverseTemperature - this.#logNormalizer)
      if (u < mass) return topIds[rank]!
    }
    return this.#drawBeyond(topIds.subarray(0, rank), u - mass)
  }

  /** @param listed tokens that were passed already, most probable first */
  #drawBeyond (listed: ArrayLike<number> & Iterable<number>, beyond: number): number {
    const { size, logits } = this.#base
    if (seen.length < size) seen = new Uint8Array(size)
    for (const token of listed) seen[token] = 1
    const draw = (): number => {
      let mass = 0
      let last = listed[listed.length - 1]
      for (const token of this.#touched.keys()) {
        if (seen[token] === 1) continue
        seen[token] = 1
        mass += Math.exp(this.#logProbability(token))
        if (beyond < mass) return token
      }
      for (let token = 0; token < size; token++) {
        if (seen[token] === 1 || !this.#isAllowed(token)) continue
        mass += Math.exp(logits[token]! * this.#inverseTemperature - this.#logNormalizer)
        if (beyond < mass) return token
        last ??= token
      }
      // Rounding left a sliver of u beyond the sum: it belongs to a token that can be drawn.
      return last ?? 0
    }
    const token = draw()
    for (const one of listed) seen[one] = 0
    for (const one of this.#touched.keys()) seen[one] = 0
    return token
  }
}

/** Entropy of the model's own distribution, nats, over the whole vocabulary. */
export function entropy ({ logits, logNormalizer }: Distribution): number {
  let sum = 0
  for (let token = 0; token < logits.length; token++) {
    const logProbability = logits[token]! - logNormalizer
    if (logProbability > -Infinity) sum -= Math.exp(logProbability) * logProbability
  }
  return sum
}

function renormalize (ranked: readonly RankedToken[]): RankedToken[] {
  const logSum = Math.log(ranked.reduce((sum, one) => sum + Math.exp(one.logProbability), 0))
  return ranked.map(({ token, logProbability }) => ({ token, logProbability: logProbability - logSum }))
}

/** The token at a point of the cumulative distribution of ranked tokens whose probabilities sum to one. */
export function drawRanked (ranked: readonly RankedToken[], u: number): number {
  let mass = 0
  for (const { token, logProbability } of ranked) {
    mass += Math.exp(logProbability)
    if (u < mass) return token
  }
  return ranked.at(-1)!.token
}
