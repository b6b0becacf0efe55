/**
 * Reads token sequences that grow, fork and change their ends, each only as far as it is new: sequences read before stay open as stems, and what goes on
 * from one is a fork of it. Whatever a tokenizer does to the end of a growing text, a stem is used only where all its tokens are the beginning, so that
 * a result is that of reading anew. Knows tokens and a model, no texts and no scores.
 */
import type { ComputeLedger, Output, Sequence, SequenceSource } from '../engine/sequence.js'
import type { RewardLedger } from './kind.js'

export interface TextReaderOptions {
  readonly source: SequenceSource
  readonly ledger: RewardLedger
  /** Tokens of KV that may be held: stems make room for what is read, and what does not fit waits. One sequence is always read. */
  readonly mostTokens: number
  readonly salt: string
  /** Aborting it closes all that is open. */
  readonly signal: AbortSignal
}

interface Stem { readonly sequence: Sequence, lastUsed: number }

const isPrefix = (stem: readonly number[], tokens: readonly number[]): boolean => stem.length <= tokens.length && stem.every((token, index) => token === tokens[index])

/** How many tokens all begin with. */
function commonLength ([first, ...others]: ReadonlyArray<readonly number[]>): number {
  let length = first!.length
  for (const other of others) {
    let common = 0
    while (common < length && other[common] === first![common]) common++
    length = common
  }
  return length
}

export class TextReader {
  readonly #options: TextReaderOptions
  readonly #stems = new Set<Stem>()
  readonly #compute: ComputeLedger = { computedTokens: 0, cachedTokens: 0, forwardPasses: 0 }
  #counted = 0
  /** Tokens of sequences that are read at the moment. */
  #reading = 0
  readonly #waiting: Array<() => void> = []
  #clock = 0

  constructor (options: TextReaderOptions) { this.#options = options }

  /**
   * Reads sequences side by side; what all begin with is read once.
   * @param sequences each of at least one token and at most the context
   * @param look takes what the model says after a sequence's last token, which is lent for the call
   */
  async read<T> (sequences: ReadonlyArray<readonly number[]>, look: (output: Output) => T): Promise<T[]> {
    const common = commonLength(sequences)
    const lacking = sequences.filter(tokens => (this.#longestStem(tokens)?.sequence.tokens.length ?? 0) < common)
    if (lacking.length > 1) await this.#readOne(sequences[0]!.slice(0, common), () => {})
    return Promise.all(sequences.map(tokens => this.#readOne(tokens, look)))
  }

  async #readOne<T> (tokens: readonly number[], look: (output: Output) => T): Promise<T> {
    await this.#makeRoom(tokens.length)
    const known = this.#longestStem(tokens)
    const stem = known?.sequence.tokens.length === tokens.length ? known : { sequence: this.#openFrom(known, tokens), lastUsed: 0 }
    try {
      const result = look(await stem.sequence.output())
      stem.lastUsed = this.#clock++
      this.#stems.add(stem)
      return result
    } catch (error) {
      if (stem !== known) stem.sequence.close()
      throw error
    } finally {
      this.#count()
      this.#reading -= tokens.length
      for (const goOn of this.#waiting.splice(0)) goOn()
    }
  }

  /** Tells the ledger what was read since it was told last. */
  #count (): void {
    this.#options.ledger.rewardTokens += this.#compute.computedTokens - this.#counted
    this.#counted = this.#compute.computedTokens
  }

  #openFrom (stem: Stem | null, tokens: readonly number[]): Sequence {
    if (!stem) return this.#options.source.open(tokens, { salt: this.#options.salt, signal: this.#options.signal, ledger: this.#compute })
    stem.lastUsed = this.#clock++
    const sequence = stem.sequence.fork()
    sequence.append(...tokens.slice(stem.sequence.tokens.length))
    return sequence
  }

  #longestStem (tokens: readonly number[]): Stem | null {
    let longest: Stem | null = null
    for (const stem of this.#stems) if (stem.sequence.tokens.length > (longest?.sequence.tokens.length ?? 0) && isPrefix(stem.sequence.tokens, tokens)) longest = stem
    return longest
  }

  /** Tokens that stems hold. */
  get #held (): number {
    let held = 0
    for (const { sequence } of this.#stems) held += sequence.tokens.length
    return held
  }

  /** Takes room for a sequence: the stems unused longest give theirs up; where none is left, it waits for what is being read. */
  async #makeRoom (length: number): Promise<void> {
    while (this.#reading > 0 && this.#reading + length > this.#options.mostTokens) await new Promise<void>(resolve => { this.#waiting.push(resolve) })
    this.#reading += length
    const byAge = [...this.#stems].sort((a, b) => a.lastUsed - b.lastUsed)
    for (let held = this.#held; held + this.#reading > this.#options.mostTokens && byAge.length > 0;) {
      const stem = byAge.shift()!
      held -= stem.sequence.tokens.length
      stem.sequence.close()
      this.#stems.delete(stem)
    }
  }
}
