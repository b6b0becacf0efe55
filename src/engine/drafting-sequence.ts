/**
 * A sequence that runs ahead: with a token it is given, the model checks some that are guessed to come next, in one
 * pass, which costs little more than a pass over one where the processor waits for memory. A guess that comes true
 * needs no pass of its own; the others are taken back. Its owner draws every token from the model's own distribution
 * and notices nothing but the last bits: a position that runs beside others is rounded otherwise than one alone. This
 * is speculative decoding (Leviathan et al. 2023, arXiv 2211.17192) whose draft is certain of its tokens: one is
 * accepted when it is drawn.
 */
import type { PromptLookup } from './prompt-lookup.js'
import type { DraftableSequence, Output, Sequence } from './sequence.js'

export interface DraftOptions {
  readonly lookup: PromptLookup
  /** Tokens of the sequence, guesses included, at most. */
  readonly until: number
  /** Whether guessing pays at this moment. */
  readonly pays: () => boolean
  /** Added to. */
  readonly counts: DraftCounts
}

/** Guesses that came true, and those that did not. */
export interface DraftCounts { accepted: number, rejected: number }

/** Tokens guessed at once, at most: a pass over 8 took 1.4 to 1.9 times as long as one over a single token. */
const mostGuesses = 12
/** Tokens guessed after a guess that was wrong from the start. */
const leastGuesses = 2

/** What `DraftableSequence` is for. Cannot be forked; gives one output at a time. */
export class DraftingSequence implements Sequence {
  readonly #sequence: DraftableSequence
  readonly #options: DraftOptions
  /** Tokens that are there; what the inner sequence has beyond them is guessed. */
  #length: number
  /** Outputs after the guesses. */
  #ahead: Output[] = []
  #current: Output | null = null
  /** Tokens up to the last whose output is known. */
  #known = 0
  /** Tokens to guess next: two more than came true last time. */
  #reach = leastGuesses

  /** @param sequence of which nothing has run */
  constructor (sequence: DraftableSequence, options: DraftOptions) {
    this.#sequence = sequence
    this.#options = options
    this.#length = sequence.tokens.length
  }

  get tokens (): readonly number[] { return this.#sequence.tokens.slice(0, this.#length) }

  append (...tokens: number[]): void {
    for (const token of tokens) this.#push(token)
  }

  #push (token: number): void {
    this.#options.lookup.push(token)
    if (this.#ahead.length > 0 && this.#sequence.tokens[this.#length] === token) {
      this.#options.counts.accepted++
      this.#current = this.#ahead.shift()!
      this.#known++
      this.#reach = Math.min(this.#reach + 1, mostGuesses)
    } else {
      this.#takeBack()
      this.#sequence.append(token)
      this.#current = null
    }
    this.#length++
  }

  async output (): Promise<Output> {
    this.#current ??= await this.#run()
    return this.#current
  }

  async #run (): Promise<Output> {
    const { lookup, until, pays } = this.#options
    // The prompt is read alone: guesses beside it would want logits of all its positions.
    const guesses = this.#known > 0 && this.#length === this.#known + 1 && pays()
      ? lookup.guess(Math.max(0, Math.min(this.#reach, until - this.#length)))
      : []
    this.#known = this.#length
    if (guesses.length === 0) return await this.#sequence.output()
    this.#sequence.append(...guesses)
    const [output, ...ahead] = await this.#sequence.outputs()
    this.#ahead = ahead
    this.#reach = leastGuesses
    return output!
  }

  probe (): never { throw new Error('a sequence that runs ahead cannot be probed') }

  fork (): Sequence { throw new Error('a sequence that runs ahead cannot be forked') }

  close (): void {
    this.#options.counts.rejected += this.#ahead.length
    this.#ahead = []
    this.#sequence.close()
  }

  #takeBack (): void {
    if (this.#sequence.tokens.length === this.#length) return
    this.#options.counts.rejected += this.#ahead.length
    this.#ahead = []
    this.#sequence.truncate(this.#length)
  }
}
