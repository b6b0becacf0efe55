/**
 * Reads token sequences that grow, fork and change their ends, each only as far as it is new: sequences read before
 * stay open as stems, and what goes on from one is a fork of it. Whatever a tokenizer does to the end of a growing
 * text, a stem is used only where all its tokens are the beginning, so that a result is that of reading anew. Knows
 * tokens and a model, no texts and no scores.
 */
import type { ComputeLedger, Distribution, Output, Sequence, SequenceSource } from '../engine/sequence.js'
import type { RewardLedger } from './reward-kind.js'

/** What a token counts, given what the model says before it. */
export type TokenMeasure = (said: Distribution, token: number) => number

/** ln probability of the token, nats. */
export const tokenLogprob: TokenMeasure = ({ logits, logNormalizer }, token) => logits[token]! - logNormalizer

/** What texts are read through, and in how much room. */
export interface TextReaderOptions {
  readonly source: SequenceSource
  readonly ledger: RewardLedger
  /**
   * Tokens of KV that may be held: stems make room for what is read, and what does not fit waits. One sequence is
   * always read.
   */
  readonly mostTokens: number
  readonly salt: string
  /** Aborting it closes all that is open. */
  readonly signal: AbortSignal
  /** What `sums` adds up. Default ln probability. */
  readonly measure?: TokenMeasure
}

interface Stem {
  readonly sequence: Sequence
  /** Where tokens are summed from; null where they are not. */
  readonly from: number | null
  /** The measure of the tokens from there on. */
  readonly sum: number
  lastUsed: number
}

const isPrefix = (stem: readonly number[], tokens: readonly number[]): boolean =>
  stem.length <= tokens.length && stem.every((token, index) => token === tokens[index])

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

/** What one request reads through one model. */
export class TextReader {
  readonly #options: TextReaderOptions
  readonly #measure: TokenMeasure
  readonly #stems = new Set<Stem>()
  readonly #compute: ComputeLedger = { computedTokens: 0, cachedTokens: 0, forwardPasses: 0 }
  #counted = 0
  /** Tokens of sequences that are read at the moment. */
  #reading = 0
  readonly #waiting: Array<() => void> = []
  #clock = 0

  constructor (options: TextReaderOptions) {
    this.#options = options
    this.#measure = options.measure ?? tokenLogprob
  }

  /**
   * Reads sequences side by side; what all begin with is read once.
   * @param sequences each of at least one token and at most the context
   * @param look takes what the model says after a sequence's last token, which is lent for the call
   */
  async read<T> (sequences: ReadonlyArray<readonly number[]>, look: (output: Output) => T): Promise<T[]> {
    const common = commonLength(sequences)
    const lacking = sequences.filter(tokens => (this.#longestStem(tokens, null)?.sequence.tokens.length ?? 0) < common)
    if (lacking.length > 1) await this.#readOne(sequences[0]!.slice(0, common), null, () => {})
    return Promise.all(sequences.map(tokens => this.#readOne(tokens, null, look)))
  }

  /**
   * The measure of each answer after a context, summed over its tokens; 0 for one without tokens.
   * @param context at least one token, with every answer at most the context length
   */
  async sums (context: readonly number[], answers: ReadonlyArray<readonly number[]>): Promise<number[]> {
    await this.#readOne(context, context.length, () => {})
    return Promise.all(answers.map(answer =>
      this.#readOne([...context, ...answer], context.length, (_, stem) => stem.sum)))
  }

  async #readOne<T> (
    tokens: readonly number[], from: number | null, look: (output: Output, stem: Stem) => T
  ): Promise<T> {
    await this.#makeRoom(tokens.length)
    try {
      const known = this.#longestStem(tokens, from)
      if (known) known.lastUsed = this.#clock++
      const stem = known?.sequence.tokens.length === tokens.length
        ? known
        : await (from === null ? this.#goOn(tokens, known) : this.#goOnSumming(tokens, from, known))
      this.#stems.add(stem)
      return look(await stem.sequence.output(), stem)
    } finally {
      this.#count()
      this.#reading -= tokens.length
      for (const goOn of this.#waiting.splice(0)) goOn()
    }
  }

  /** Reads what a stem lacks. */
  async #goOn (tokens: readonly number[], stem: Stem | null): Promise<Stem> {
    const sequence = stem ? stem.sequence.fork() : this.#open(tokens)
    if (stem) sequence.append(...tokens.slice(stem.sequence.tokens.length))
    return this.#read(sequence, () => ({ sequence, from: null, sum: 0, lastUsed: this.#clock++ }))
  }

  /**
   * The same, with the measure of every token: of the first by what the stem says, of the others by what is said at the
   * positions before them.
   */
  async #goOnSumming (tokens: readonly number[], from: number, stem: Stem | null): Promise<Stem> {
    const start = stem ?? await this.#openContext(tokens.slice(0, from))
    const length = start.sequence.tokens.length
    if (length === tokens.length) return start
    let { sum } = start
    // Forked before anything is waited for: the stem may have to make room meanwhile.
    const sequence = start.sequence.fork({
      onPosition: (position, said) => {
        if (position + 1 < tokens.length) sum += this.#measure(said, tokens[position + 1]!)
      }
    })
    if (start !== stem) start.sequence.close()
    sum += this.#measure((await sequence.output()).distribution, tokens[length]!)
    sequence.append(...tokens.slice(length))
    return this.#read(sequence, () => ({ sequence, from, sum, lastUsed: this.#clock++ }))
  }

  #openContext (tokens: readonly number[]): Promise<Stem> {
    const sequence = this.#open(tokens)
    return this.#read(sequence, () => ({ sequence, from: tokens.length, sum: 0, lastUsed: this.#clock++ }))
  }

  #open (tokens: readonly number[]): Sequence {
    return this.#options.source.open(tokens,
      { salt: this.#options.salt, signal: this.#options.signal, ledger: this.#compute })
  }

  /** What becomes of a sequence that has been read; one that could not be is closed. */
  async #read (sequence: Sequence, stem: () => Stem): Promise<Stem> {
    try {
      await sequence.output()
      return stem()
    } catch (error) {
      sequence.close()
      throw error
    }
  }

  /** Tells the ledger what was read since it was told last. */
  #count (): void {
    this.#options.ledger.rewardTokens += this.#compute.computedTokens - this.#counted
    this.#counted = this.#compute.computedTokens
  }

  #longestStem (tokens: readonly number[], from: number | null): Stem | null {
    let longest: Stem | null = null
    for (const stem of this.#stems) {
      if (stem.from === from && stem.sequence.tokens.length > (longest?.sequence.tokens.length ?? 0) &&
          isPrefix(stem.sequence.tokens, tokens)) longest = stem
    }
    return longest
  }

  /** Tokens that stems hold. */
  get #held (): number {
    let held = 0
    for (const { sequence } of this.#stems) held += sequence.tokens.length
    return held
  }

  /**
   * Takes room for a sequence: the stems unused longest give theirs up; where none is left, it waits for what is being
   * read.
   */
  async #makeRoom (length: number): Promise<void> {
    while (this.#reading > 0 && this.#reading + length > this.#options.mostTokens) {
      await new Promise<void>(resolve => { this.#waiting.push(resolve) })
    }
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
