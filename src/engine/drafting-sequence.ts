/**
 * Speculative decoding: with a token it is given, the model checks draft tokens that may come next, in one pass, which
 * costs little more than a pass over one where the processor waits for memory. A draft token that is drawn needs no
 * pass of its own; the others are taken back. The owner draws every token from the model's own distribution and notices
 * nothing but the last bits: a position that runs beside others is rounded otherwise than one alone. This is
 * speculative sampling (Leviathan et al. 2023, arXiv 2211.17192) with a draft that is certain of its tokens: one is
 * accepted when it is drawn.
 */
import type { DraftProfile } from './device-profile.js'
import type { PromptLookup } from './prompt-lookup.js'
import type { DraftableSequence, Output, Sequence } from './sequence.js'

export interface DraftOptions {
  readonly lookup: PromptLookup
  readonly profile: DraftProfile
  /** Tokens of the sequence, draft tokens included, at most. */
  readonly until: number
  /** Whether drafting pays at this moment. */
  readonly pays: () => boolean
  /** Added to. */
  readonly counts: DraftCounts
}

/** Draft tokens that were drawn, and those that were not. */
export interface DraftCounts { accepted: number, rejected: number }

/** What `DraftableSequence` is for. Cannot be forked; gives one output at a time. */
export class DraftingSequence implements Sequence {
  readonly #sequence: DraftableSequence
  readonly #options: DraftOptions
  /** Tokens that are there; what the inner sequence has beyond them is a draft. */
  #length: number
  /** Outputs after the draft tokens. */
  #ahead: Output[] = []
  #current: Output | null = null
  /** Tokens up to the last whose output is known. */
  #known = 0
  /** Tokens to draft next: a few more than were accepted last time. */
  #reach: number

  /** @param sequence of which nothing has run */
  constructor (sequence: DraftableSequence, options: DraftOptions) {
    this.#sequence = sequence
    this.#options = options
    this.#length = sequence.tokens.length
    this.#reach = options.profile.minDraftTokens
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
      this.#reach = Math.min(this.#reach + 1, this.#options.profile.maxDraftTokens)
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

  /** All logits are asked for at once: a draft token's output is not the sequence's last. */
  completeOutput (): Promise<Output> { return this.output() }

  async #run (): Promise<Output> {
    const { lookup, profile, until, pays } = this.#options
    // The prompt is read alone: draft tokens beside it would want logits of all its positions.
    const draft = this.#known > 0 && this.#length === this.#known + 1 && pays()
      ? lookup.draft(Math.max(0, Math.min(this.#reach, until - this.#length)))
      : []
    this.#known = this.#length
    if (draft.length === 0) return await this.#sequence.output()
    this.#sequence.append(...draft)
    const [output, ...ahead] = await this.#sequence.outputs()
    this.#ahead = ahead
    this.#reach = profile.minDraftTokens
    return output!
  }

  probe (): never { throw new Error('a sequence with draft tokens cannot be probed') }

  fork (): Sequence { throw new Error('a sequence with draft tokens cannot be forked') }

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
