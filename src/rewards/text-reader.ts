/**
 * Reads token sequences that grow, fork and change their ends, each only as far as it is new: sequences read before
 * stay open as prefixes, and a longer one is a fork of its longest prefix. A prefix must match token by token, so that
 * whatever a tokenizer does to the end of a growing text, a result is that of reading it from scratch. Knows tokens and
 * a model, no texts and no scores.
 */
import type { ComputeLedger, Distribution, Output, Sequence, SequenceSource } from '../engine/sequence.js'
import type { RewardLedger } from './reward-kind.js'

/** What is summed per token, from the model's distribution before it. */
export type TokenMeasure = (distribution: Distribution, token: number) => number

/** ln probability of the token, nats. */
export const tokenLogprob: TokenMeasure = ({ logits, logNormalizer }, token) => logits[token]! - logNormalizer

/** What texts are read through, and how much KV that may take. */
export interface TextReaderOptions {
  readonly source: SequenceSource
  readonly ledger: RewardLedger
  /**
   * Tokens of KV that may be held: prefixes are evicted for what is read, and what does not fit waits. One sequence
   * always fits.
   */
  readonly maxTokens: number
  readonly salt: string
  /** Aborting it closes every sequence. */
  readonly signal: AbortSignal
  /** What `sums` adds up. Default ln probability. */
  readonly measure?: TokenMeasure
}

/** A sequence that was read and is kept open. */
interface Prefix {
  readonly sequence: Sequence
  /** Where tokens are summed from; null where they are not. */
  readonly from: number | null
  /** The measure of the tokens from there on. */
  readonly sum: number
  lastUsed: number
}

const isPrefix = (prefix: readonly number[], tokens: readonly number[]): boolean =>
  prefix.length <= tokens.length && prefix.every((token, index) => token === tokens[index])

/** Length of the longest common prefix. */
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
  readonly #prefixes = new Set<Prefix>()
  readonly #compute: ComputeLedger = { computedTokens: 0, cachedTokens: 0, forwardPasses: 0 }
  #counted = 0
  /** Tokens of the sequences being read. */
  #reading = 0
  readonly #waiting: Array<() => void> = []
  #clock = 0

  constructor (options: TextReaderOptions) {
    this.#options = options
    this.#measure = options.measure ?? tokenLogprob
  }

  /**
   * Reads sequences side by side, their common prefix once.
   * @param sequences each of at least one token and at most the context
   * @param read takes the model's output after a sequence's last token; it is valid during the call
   */
  async read<T> (sequences: ReadonlyArray<readonly number[]>, read: (output: Output) => T): Promise<T[]> {
    const common = commonLength(sequences)
    const unread = sequences.filter(tokens => (this.#longestPrefix(tokens, null)?.sequence.tokens.length ?? 0) < common)
    if (unread.length > 1) await this.#readOne(sequences[0]!.slice(0, common), null, () => {})
    return Promise.all(sequences.map(tokens => this.#readOne(tokens, null, read)))
  }

  /**
   * The measure of each answer after a context, summed over its tokens; 0 for one without tokens.
   * @param context at least one token, with every answer at most the context length
   */
  async sums (context: readonly number[], answers: ReadonlyArray<readonly number[]>): Promise<number[]> {
    await this.#readOne(context, context.length, () => {})
    return Promise.all(answers.map(answer =>
      this.#readOne([...context, ...answer], context.length, (_, prefix) => prefix.sum)))
  }

  async #readOne<T> (
    tokens: readonly number[], from: number | null, use: (output: Output, prefix: Prefix) => T
  ): Promise<T> {
    await this.#makeRoom(tokens.length)
    try {
      const known = this.#longestPrefix(tokens, from)
      if (known) known.lastUsed = this.#clock++
      const prefix = known?.sequence.tokens.length === tokens.length
        ? known
        : await (from === null ? this.#extend(tokens, known) : this.#extendSumming(tokens, from, known))
      this.#prefixes.add(prefix)
      return use(await prefix.sequence.output(), prefix)
    } finally {
      this.#count()
      this.#reading -= tokens.length
      for (const resume of this.#waiting.splice(0)) resume()
    }
  }

  /** Reads what follows a prefix. */
  async #extend (tokens: readonly number[], prefix: Prefix | null): Promise<Prefix> {
    const sequence = prefix ? prefix.sequence.fork() : this.#open(tokens)
    if (prefix) sequence.append(...tokens.slice(prefix.sequence.tokens.length))
    return this.#read(sequence, () => ({ sequence, from: null, sum: 0, lastUsed: this.#clock++ }))
  }

  /**
   * The same, with the measure of every token: of the first by the prefix's output, of the others by the distributions
   * at the positions before them.
   */
  async #extendSumming (tokens: readonly number[], from: number, prefix: Prefix | null): Promise<Prefix> {
    const start = prefix ?? await this.#openContext(tokens.slice(0, from))
    const length = start.sequence.tokens.length
    if (length === tokens.length) return start
    let { sum } = start
    // Forked before the first await: the prefix may be evicted meanwhile.
    const sequence = start.sequence.fork({
      onPosition: (position, distribution) => {
        if (position + 1 < tokens.length) sum += this.#measure(distribution, tokens[position + 1]!)
      }
    })
    if (start !== prefix) start.sequence.close()
    sum += this.#measure((await sequence.output()).distribution, tokens[length]!)
    sequence.append(...tokens.slice(length))
    return this.#read(sequence, () => ({ sequence, from, sum, lastUsed: this.#clock++ }))
  }

  #openContext (tokens: readonly number[]): Promise<Prefix> {
    const sequence = this.#open(tokens)
    return this.#read(sequence, () => ({ sequence, from: tokens.length, sum: 0, lastUsed: this.#clock++ }))
  }

  #open (tokens: readonly number[]): Sequence {
    return this.#options.source.open(tokens,
      { salt: this.#options.salt, signal: this.#options.signal, ledger: this.#compute })
  }

  /** Waits until a sequence is read; one that fails is closed. */
  async #read (sequence: Sequence, prefix: () => Prefix): Promise<Prefix> {
    try {
      await sequence.output()
      return prefix()
    } catch (error) {
      sequence.close()
      throw error
    }
  }

  /** Adds what was read since the last call to the ledger. */
  #count (): void {
    this.#options.ledger.rewardTokens += this.#compute.computedTokens - this.#counted
    this.#counted = this.#compute.computedTokens
  }

  #longestPrefix (tokens: readonly number[], from: number | null): Prefix | null {
    let longest: Prefix | null = null
    for (const prefix of this.#prefixes) {
      if (prefix.from === from && prefix.sequence.tokens.length > (longest?.sequence.tokens.length ?? 0) &&
          isPrefix(prefix.sequence.tokens, tokens)) longest = prefix
    }
    return longest
  }

  /** Tokens that prefixes hold. */
  get #held (): number {
    let held = 0
    for (const { sequence } of this.#prefixes) held += sequence.tokens.length
    return held
  }

  /** Makes room for a sequence: waits for what is being read, then evicts the prefixes unused longest. */
  async #makeRoom (length: number): Promise<void> {
    while (this.#reading > 0 && this.#reading + length > this.#options.maxTokens) {
      await new Promise<void>(resolve => { this.#waiting.push(resolve) })
    }
    this.#reading += length
    const byAge = [...this.#prefixes].sort((a, b) => a.lastUsed - b.lastUsed)
    for (let held = this.#held; held + this.#reading > this.#options.maxTokens && byAge.length > 0;) {
      const prefix = byAge.shift()!
      held -= prefix.sequence.tokens.length
      prefix.sequence.close()
      this.#prefixes.delete(prefix)
    }
  }
}
