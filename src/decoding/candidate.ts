/**
 * One answer in the making: its sequence, tokens, text and random stream. Draws tokens, honours stop rules, gives what
 * a scorer needs. Knows no strategy.
 */
import type { Distribution, Output, Sequence } from '../engine/sequence.js'
import type { Answer, Prompt, Score } from '../rewards/scorer.js'
import { readAnswer, unreadAnswer } from './answers.js'
import type { Budget } from './budget.js'
import type { ConstraintState } from './sampling/constraint.js'
import { SamplingDistribution } from './sampling/distribution.js'
import { TokenCounts, touchedLogits } from './sampling/logits-processors.js'
import type {
  CandidateReport, Choice, Detokenizer, FinishReason, Random, RatedToken, Runtime, SamplingParams, TokenLogprob
} from './runtime.js'
import { StopText } from './sampling/stop-sequences.js'

/** What all candidates of a request share. */
export interface Generation {
  readonly runtime: Runtime
  readonly prompt: Prompt
  readonly sampling: SamplingParams
  readonly budget: Budget
  /** Tokens run through the model only to score. */
  rewardTokens: number
}

interface CandidateState {
  readonly detokenizer: Detokenizer
  readonly text: StopText
  readonly counts: TokenCounts
  readonly constraint: ConstraintState | null
  readonly tokens: readonly number[]
  /** Length of the text after each token. */
  readonly textEnds: readonly number[]
  readonly logprobs: readonly TokenLogprob[]
  readonly logprob: number
  readonly drawn: number
  /** Index of the candidate that this one was forked from. */
  readonly parent: number | null
}

export class Candidate {
  readonly index: number
  readonly random: Random
  /** Path of the random stream; forks extend it. */
  readonly path: string
  /** Index of the candidate it was forked from; null for one drawn from the prompt on. */
  readonly parent: number | null
  sequence: Sequence
  output: Output
  finishReason: FinishReason | null = null
  /** Step at which a search dropped it. */
  prunedAt: number | null = null
  score: Score | null = null
  /** Mean hidden state of the whole answer, where the request compares answers. */
  embedding: Float32Array | null = null
  readonly #generation: Generation
  readonly #detokenizer: Detokenizer
  readonly #text: StopText
  readonly #counts: TokenCounts
  readonly #constraint: ConstraintState | null
  readonly #tokens: number[]
  readonly #textEnds: number[]
  readonly #logprobs: TokenLogprob[]
  #logprob: number
  #drawn: number
  #endToken: number | null = null
  #script: readonly number[] = []
  #fed = true

  constructor (
    generation: Generation, index: number, path: string, random: Random, sequence: Sequence, output: Output,
    state?: CandidateState
  ) {
    this.#generation = generation
    this.index = index
    this.path = path
    this.parent = state?.parent ?? null
    this.random = random
    this.sequence = sequence
    this.output = output
    this.#detokenizer = state ? state.detokenizer.fork() : generation.runtime.detokenizer()
    this.#text = state ? state.text.fork() : new StopText(generation.sampling.stop, generation.sampling.includeStop)
    this.#counts = state
      ? state.counts.fork()
      : new TokenCounts(new Set(generation.sampling.repetitionPenalty === 1 ? [] : generation.prompt.tokens))
    this.#constraint = (state ? state.constraint?.fork() : generation.runtime.constraint?.start()) ?? null
    this.#tokens = state ? [...state.tokens] : []
    this.#textEnds = state ? [...state.textEnds] : []
    this.#logprobs = state ? [...state.logprobs] : []
    this.#logprob = state?.logprob ?? 0
    this.#drawn = state?.drawn ?? 0
  }

  /**
   * The answer's tokens, end token left out; after a stop string those whose text lies before it, unless it is
   * included.
   */
  get tokens (): readonly number[] {
    const cut = this.#text.text.length
    return this.#isCut ? this.#tokens.filter((_, index) => this.#textEnds[index]! <= cut) : this.#tokens
  }

  /** Whether a stop string ended the answer and its tokens are not part of it. */
  get #isCut (): boolean { return this.#text.stopped && !this.#generation.sampling.includeStop }

  /** All tokens drawn, end token included. */
  get tokenIds (): readonly number[] {
    return this.#endToken === null ? this.#tokens : [...this.#tokens, this.#endToken]
  }

  get text (): string { return this.#text.text }
  /** Text that is certain to be part of the answer. */
  get certainText (): string {
    return this.finishReason ? this.#text.text : this.#text.text.slice(0, this.#text.certainLength)
  }

  /** Sum of the drawn tokens' raw logprobs, end token included, nats. */
  get logprob (): number { return this.#logprob }
  /** Tokens drawn, end token included. */
  get drawn (): number { return this.#drawn }
  get logprobs (): readonly TokenLogprob[] { return this.#logprobs }
  get isFinished (): boolean { return this.finishReason !== null }
  /**
   * Whether it was ended before its first token, as a spent budget does: it is empty, and not because the model would
   * have it so.
   */
  get isUnbegun (): boolean { return this.isFinished && this.#drawn === 0 }

  /** What the next token is drawn from. */
  async distribution (): Promise<SamplingDistribution> {
    const { sampling, runtime } = this.#generation
    await this.#constraint?.ready()
    const masked = this.#tokens.length < sampling.minTokens ? [...runtime.endTokens, ...sampling.stopTokenIds] : []
    return new SamplingDistribution(this.output.distribution,
      touchedLogits(this.output.distribution, sampling, this.#counts, masked), sampling, this.#constraint?.allowed)
  }

  /** Has it take these tokens in place of drawing any, as another answer to the same prompt did. Forks draw. */
  follow (tokens: readonly number[]): void { this.#script = tokens }

  /** Draws the next token by the request's own rules. */
  async draw (): Promise<number> {
    if (this.#drawn < this.#script.length) {
      await this.#constraint?.ready()
      return this.#script[this.#drawn]!
    }
    const distribution = await this.distribution()
    return this.#generation.sampling.temperature === 0 ? distribution.argmax() : distribution.draw(this.random.next())
  }

  isEnd (token: number): boolean {
    const { sampling, runtime } = this.#generation
    return sampling.stopTokenIds.includes(token) || (!sampling.ignoreEos && runtime.endTokens.includes(token))
  }

  /**
   * Makes a token part of the answer, or ends it. The token is not fed.
   * @returns whether the answer goes on
   */
  accept (token: number): boolean {
    const { sampling, runtime } = this.#generation
    const { distribution } = this.output
    this.#drawn++
    this.#logprob += distribution.logits[token]! - distribution.logNormalizer
    const isEnd = this.isEnd(token)
    const isText = !isEnd || sampling.includeStop
    if (sampling.topLogprobs !== null &&
        isText) this.#logprobs.push(tokenLogprob(runtime, distribution, token, sampling.topLogprobs))
    if (isEnd) {
      this.#endToken = token
      if (isText) this.#text.push(this.#detokenizer.push(token))
      return this.#finish('stop')
    }
    this.#tokens.push(token)
    this.#counts.add(token)
    this.#fed = false
    const stopped = this.#text.push(this.#detokenizer.push(token))
    this.#textEnds.push(this.#text.text.length)
    // The token in which the stop string began is not part of the answer.
    if (stopped) this.#textEnds[this.#textEnds.length - 1] = Infinity
    if (stopped) return this.#finish('stop')
    if (this.#tokens.length >= sampling.maxTokens) return this.#finish('length')
    this.#constraint?.accept(token)
    return true
  }

  /** Ends the answer where it is, as a budget does. */
  end (): void {
    if (!this.finishReason) this.#finish('length')
  }

  #finish (reason: FinishReason): false {
    this.finishReason = reason
    if (!this.#text.stopped) this.#text.push(this.#detokenizer.flush())
    return false
  }

  /** Runs the last token through the model. */
  async feed (): Promise<void> {
    this.sequence.append(this.#tokens.at(-1)!)
    this.output = await this.sequence.output()
    this.#fed = true
  }

  /**
   * Draws and feeds tokens until the answer ends, which a spent budget does, too.
   * @param isDone called after each token; true stops there
   * @param most tokens drawn
   * @returns whether `isDone` stopped it
   */
  async grow (isDone: () => boolean, most = Infinity): Promise<boolean> {
    for (let drawn = 0; drawn < most && !this.isFinished; drawn++) {
      this.#generation.runtime.signal.throwIfAborted()
      if (!this.#generation.budget.take()) {
        this.end()
        return false
      }
      const goesOn = this.accept(await this.draw())
      const done = isDone()
      if (goesOn) await this.feed()
      if (done) return true
    }
    return false
  }

  /**
   * The answer as scorers take it, every kept token fed. After `length` the last token is fed for that; after a stop
   * string the kept text is read anew, since the tokens that were fed go beyond it.
   */
  async answer (): Promise<Answer> {
    const { runtime, prompt } = this.#generation
    if (this.#isCut && this.#tokens.length > 0) {
      this.sequence.close()
      this.sequence = runtime.open([...prompt.tokens, ...this.tokens], { poolFrom: prompt.tokens.length })
      this.output = await this.sequence.output()
      this.#generation.rewardTokens += this.tokens.length
    } else if (!this.#fed) {
      await this.feed()
      this.#generation.rewardTokens++
    }
    return readAnswer({ text: this.text, tokens: this.tokens, final: this.isFinished }, this.sequence, this.output)
  }

  /**
   * The answer with one more token, as the request's scorer sees it: probed, where it looks at states. An end token is
   * not fed: it makes the answer final.
   */
  async extended (token: number): Promise<Answer> {
    const { sequence } = this
    if (this.isEnd(token)) {
      return readAnswer({ text: this.text, tokens: this.tokens, final: true }, sequence, this.output)
    }
    const text = this.#text.fork()
    text.push(this.#detokenizer.fork().push(token))
    const answer = { text: text.text, tokens: [...this.#tokens, token], final: false }
    if (this.#generation.runtime.scorer!.layers.length === 0) return unreadAnswer(answer)
    this.#generation.rewardTokens++
    return { ...answer, states: await sequence.probe(token), after: next => sequence.probe(token, next) }
  }

  /**
   * A copy that goes on independently.
   * @param index of the copy; the same where it takes this one's place
   * @param generation what it belongs to, where that is not what this one belongs to
   */
  fork (index: number, path: string, random: Random, generation = this.#generation): Candidate {
    return new Candidate(generation, index, path, random, this.sequence.fork(), this.output, {
      detokenizer: this.#detokenizer,
      text: this.#text,
      counts: this.#counts,
      constraint: this.#constraint,
      tokens: this.#tokens,
      textEnds: this.#textEnds,
      logprobs: this.#logprobs,
      logprob: this.#logprob,
      drawn: this.#drawn,
      parent: index === this.index ? this.parent : this.index
    })
  }

  /** Gives back what it holds. */
  close (): void {
    this.sequence.close()
    this.#constraint?.close()
  }

  report (): CandidateReport {
    return {
      index: this.index,
      parent: this.parent,
      text: this.text,
      tokens: this.#drawn,
      finishReason: this.finishReason,
      prunedAt: this.prunedAt,
      score: this.score,
      logprob: this.#logprob
    }
  }

  choice (): Choice {
    return {
      candidateIndex: this.index,
      text: this.text,
      finishReason: this.finishReason ?? 'length',
      completionTokens: this.#drawn,
      logprob: this.#logprob,
      score: this.score,
      logprobs: this.#logprobs,
      tokenIds: this.tokenIds
    }
  }
}

/** A token's raw logprob with the most probable alternatives. @param count 0–20 */
export function tokenLogprob (
  runtime: Pick<Runtime, 'tokenBytes'>, { logits, logNormalizer, topIds, topLogits }: Distribution, token: number,
  count: number
): TokenLogprob {
  const rated = (one: number, logit: number): RatedToken => ({
    token: one, bytes: [...runtime.tokenBytes(one)], logprob: logit - logNormalizer
  })
  const top = Array.from({ length: Math.min(count, topIds.length) }, (_, rank) =>
    rated(topIds[rank]!, topLogits[rank]!))
  return { ...rated(token, logits[token]!), top }
}
