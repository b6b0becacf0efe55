/**
 * What was drawn of one answer so far: tokens, text, logprobs, and why it ended. Every backend keeps one, wherever its
 * tokens come from, so that an answer ends by the same rules everywhere. Knows no model.
 */
import type { DrawnToken, TokenLogprob } from './drawn-token.js'
import type { SamplingParams } from './sampling-params.js'
import { StopText } from './stop-sequences.js'

export type FinishReason = 'stop' | 'length'

/** Turns tokens to text as they come; holds back the bytes of an unfinished character. */
export interface Detokenizer {
  /** Text that this token completes; may be empty. */
  push (token: number): string
  /** Text still held back: the bytes of an unfinished character, as replacement characters. */
  flush (): string
  fork (): Detokenizer
}

/** What ends an answer, and what its tokens stand for. */
export interface AnswerRules {
  readonly sampling: SamplingParams
  /** Tokens that end an answer. */
  readonly endTokens: readonly number[]
  detokenizer (): Detokenizer
}

export class Transcript {
  readonly #rules: AnswerRules
  readonly #detokenizer: Detokenizer
  readonly #text: StopText
  readonly #tokens: number[]
  /** Length of the text after each token. */
  readonly #textEnds: number[]
  readonly #logprobs: TokenLogprob[]
  readonly #drawnTokens: DrawnToken[]
  #logprob: number
  #endToken: number | null = null
  #finishReason: FinishReason | null = null

  /** @param from an answer that goes on, which it becomes a copy of */
  constructor (rules: AnswerRules, from: Transcript | null = null) {
    this.#rules = rules
    this.#detokenizer = from ? from.#detokenizer.fork() : rules.detokenizer()
    this.#text = from ? from.#text.fork() : new StopText(rules.sampling.stop, rules.sampling.includeStop)
    this.#tokens = from ? [...from.#tokens] : []
    this.#textEnds = from ? [...from.#textEnds] : []
    this.#logprobs = from ? [...from.#logprobs] : []
    this.#drawnTokens = from ? [...from.#drawnTokens] : []
    this.#logprob = from?.logprob ?? 0
  }

  get finishReason (): FinishReason | null { return this.#finishReason }
  get isFinished (): boolean { return this.#finishReason !== null }

  /**
   * The answer's tokens, end token left out; after a stop sequence those whose text lies before it, unless it is
   * included.
   */
  get tokens (): readonly number[] {
    const cut = this.#text.text.length
    return this.isCut ? this.#tokens.filter((_, index) => this.#textEnds[index]! <= cut) : this.#tokens
  }

  /** Whether a stop sequence ended the answer and its tokens are not part of it. */
  get isCut (): boolean { return this.#text.stopped && !this.#rules.sampling.includeStop }

  /** All tokens drawn, end token included. */
  get tokenIds (): readonly number[] {
    return this.#endToken === null ? this.#tokens : [...this.#tokens, this.#endToken]
  }

  /** The same as they were drawn. */
  get drawnTokens (): readonly DrawnToken[] { return this.#drawnTokens }

  /** Number of tokens drawn, end token included. */
  get drawn (): number { return this.#drawnTokens.length }
  /** Sum of the drawn tokens' raw logprobs, end token included, nats. */
  get logprob (): number { return this.#logprob }
  /** One per token that is part of the text, where they were asked for. */
  get logprobs (): readonly TokenLogprob[] { return this.#logprobs }

  get text (): string { return this.#text.text }
  /** Text that is certain to be part of the answer. */
  get certainText (): string {
    return this.isFinished ? this.#text.text : this.#text.text.slice(0, this.#text.certainLength)
  }

  /** The text with one more token. */
  textWith (token: number): string {
    const text = this.#text.fork()
    text.push(this.#detokenizer.fork().push(token))
    return text.text
  }

  /** Length of the text after the first tokens drawn. */
  textLengthAfter (tokens: number): number {
    return tokens === 0 ? 0 : this.#textEnds[tokens - 1] ?? this.#text.text.length
  }

  isEnd (token: number): boolean {
    const { sampling, endTokens } = this.#rules
    return sampling.stopTokenIds.includes(token) || (!sampling.ignoreEos && endTokens.includes(token))
  }

  /**
   * Makes a token part of the answer, or ends it.
   * @returns whether the answer goes on
   */
  accept (drawn: DrawnToken): boolean {
    const { sampling } = this.#rules
    const { token, logprob, rated } = drawn
    this.#drawnTokens.push(drawn)
    this.#logprob += logprob
    const isEnd = this.isEnd(token)
    const isText = !isEnd || sampling.includeStop
    if (rated && isText) this.#logprobs.push(rated)
    if (isEnd) {
      this.#endToken = token
      if (isText) this.#text.push(this.#detokenizer.push(token))
      return this.#finish('stop')
    }
    this.#tokens.push(token)
    const stopped = this.#text.push(this.#detokenizer.push(token))
    // The token in which the stop sequence began is not part of the answer.
    this.#textEnds.push(stopped ? Infinity : this.#text.text.length)
    if (stopped) return this.#finish('stop')
    return this.#tokens.length < sampling.maxTokens || this.#finish('length')
  }

  /** Ends the answer where it is, as a budget does. */
  end (): void {
    if (!this.isFinished) this.#finish('length')
  }

  #finish (reason: FinishReason): false {
    this.#finishReason = reason
    if (!this.#text.stopped) this.#text.push(this.#detokenizer.flush())
    return false
  }
}
