/**
 * One answer on this process's own engine: a sequence, and tokens drawn from what the model says after it. Batching is
 * the engine's: all answers that wait for an output in one turn of the event loop ride in its next step.
 */
import type { Output, Sequence } from '../../engine/sequence.js'
import type { Answer, Prompt } from '../../rewards/scorer.js'
import type { ConstraintState } from '../constraint.js'
import type { DrawnToken } from '../drawn-token.js'
import type { Generation, Tokenwise } from '../policy.js'
import type { Random } from '../random-stream.js'
import type { SamplingParams } from '../sampling-params.js'
import { stopCheck, type StopCondition } from '../stop-condition.js'
import { Transcript } from '../transcript.js'
import { unreadAnswer } from '../unread-answer.js'
import { readAnswer } from './answers.js'
import { completed } from '../../engine/completed-output.js'
import { entropy, SamplingDistribution } from '../sampling-distribution.js'
import { logitOf } from '../logit-of.js'
import type { LocalRequest } from './local-request.js'
import { TokenCounts, touchedLogits } from '../logits-processors.js'
import { tokenLogprob } from './token-logprob.js'

/** Whom an answer belongs to. */
interface Owner { readonly request: LocalRequest, rewardTokens: number }

export class LocalGeneration implements Generation, Tokenwise {
  readonly transcript: Transcript
  readonly #owner: Owner
  readonly #prompt: Prompt
  readonly #sampling: SamplingParams
  readonly #random: Random
  readonly #counts: TokenCounts
  readonly #constraint: ConstraintState | null
  #sequence: Sequence
  #output: Output
  /** Tokens that are taken in place of drawing any. */
  #script: readonly number[] = []
  /** Whether the output is what follows the answer's tokens. */
  #isRead = true

  /** @param from an answer that it goes on from */
  constructor (
    owner: Owner, prompt: Prompt, sampling: SamplingParams, random: Random, sequence: Sequence, output: Output,
    from: LocalGeneration | null = null
  ) {
    this.#owner = owner
    this.#prompt = prompt
    this.#sampling = sampling
    this.#random = random
    this.#sequence = sequence
    this.#output = output
    this.transcript = new Transcript({ ...owner.request, sampling }, from?.transcript)
    this.#counts =
      from ? from.#counts.fork() : new TokenCounts(new Set(sampling.repetitionPenalty === 1 ? [] : prompt.tokens))
    this.#constraint = (from ? from.#constraint?.fork() : owner.request.constraint?.start()) ?? null
  }

  get tokenwise (): this { return this }

  async distribution (): Promise<SamplingDistribution> {
    await this.#constraint?.ready()
    if (this.#output.distribution.isPartial === true) this.#output = await this.#sequence.completeOutput()
    return this.#samplingOf(this.#output)
  }

  async #completed<T> (compute: (output: Output) => T): Promise<T> {
    const { value, output } = await completed(this.#sequence, this.#output, compute)
    this.#output = output
    return value
  }

  #samplingOf ({ distribution }: Output): SamplingDistribution {
    const masked = this.transcript.tokens.length < this.#sampling.minTokens
      ? [...this.#owner.request.endTokens, ...this.#sampling.stopTokenIds]
      : []
    return new SamplingDistribution(distribution, touchedLogits(distribution, this.#sampling, this.#counts, masked),
      this.#sampling, this.#constraint?.allowed)
  }

  logProbability (token: number): number {
    const { distribution } = this.#output
    return logitOf(distribution, token) - distribution.logNormalizer
  }

  isEnd (token: number): boolean { return this.transcript.isEnd(token) }

  follow (answer: Transcript): void { this.#script = answer.tokenIds }

  /** The next token by the request's own rules. */
  async #draw (): Promise<number> {
    const { drawn } = this.transcript
    await this.#constraint?.ready()
    if (drawn < this.#script.length) return this.#script[drawn]!
    if (this.#sampling.temperature === 0) return await this.#completed(output => this.#samplingOf(output).argmax())
    const u = this.#random.next()
    return await this.#completed(output => this.#samplingOf(output).draw(u))
  }

  #rated (token: number, { distribution } = this.#output): DrawnToken {
    const { topLogprobs: count } = this.#sampling
    const { request } = this.#owner
    return {
      token,
      logprob: logitOf(distribution, token) - distribution.logNormalizer,
      rated: count === null
        ? null
        : tokenLogprob(one => request.tokenBytes(one), distribution, token, count)
    }
  }

  accept (token: number): boolean { return this.#take(this.#rated(token)) }

  #take (drawn: DrawnToken): boolean {
    const goesOn = this.transcript.accept(drawn)
    if (!this.isEnd(drawn.token)) {
      this.#counts.add(drawn.token)
      this.#isRead = false
    }
    if (goesOn) this.#constraint?.accept(drawn.token)
    return goesOn
  }

  async read (): Promise<void> {
    this.#sequence.append(this.transcript.tokenIds.at(-1)!)
    this.#output = await this.#sequence.output()
    this.#isRead = true
  }

  async * extend (until: StopCondition, max: number, signal: AbortSignal): AsyncGenerator<DrawnToken, boolean> {
    const isMet = stopCheck(until, this.transcript)
    for (let count = 0; count < max && !this.transcript.isFinished; count++) {
      signal.throwIfAborted()
      const token = await this.#draw()
      const drawn = await this.#completed(output => this.#rated(token, output))
      // The model reads a token while the caller looks at it.
      const reading = this.#take(drawn) ? this.read() : null
      reading?.catch(() => {})
      const met = isMet()
      try {
        yield drawn
      } finally {
        await reading
      }
      if (met || await this.#completed(output => this.#isUncertain(until, output))) return true
    }
    return false
  }

  #isUncertain ({ from, entropy: bound }: StopCondition, { distribution }: Output): boolean {
    return bound !== undefined && this.transcript.drawn - from >= bound.minTokens &&
      entropy(distribution) >= bound.atLeast
  }

  /**
   * After `length` the last token is read for it; after a stop sequence the kept text is read anew, since the tokens
   * that were read go beyond it.
   */
  async answer (): Promise<Answer> {
    const { text, tokens, isFinished: final, isCut } = this.transcript
    if (!this.#isRead) {
      this.#owner.rewardTokens += isCut ? tokens.length : 1
      await (isCut ? this.#readAnew(tokens) : this.read())
    }
    return readAnswer({ text, tokens, final }, this.#sequence, this.#output)
  }

  async #readAnew (tokens: readonly number[]): Promise<void> {
    const prompt = this.#prompt.tokens
    this.#sequence.close()
    this.#sequence = this.#owner.request.open([...prompt, ...tokens], { poolFrom: prompt.length })
    this.#output = await this.#sequence.output()
    this.#isRead = true
  }

  /** An end token is not read. Where scorers look at states, others are read in a look-ahead of the engine. */
  async extended (token: number): Promise<Answer> {
    const sequence = this.#sequence
    const { text, tokens } = this.transcript
    if (this.isEnd(token)) return readAnswer({ text, tokens, final: true }, sequence, this.#output)
    const answer = { text: this.transcript.textWith(token), tokens: [...tokens, token], final: false }
    if (this.#owner.request.layers.length === 0) return unreadAnswer(answer)
    this.#owner.rewardTokens++
    return { ...answer, states: await sequence.probe(token), after: next => sequence.probe(token, next) }
  }

  fork (random: Random, sampling = this.#sampling): LocalGeneration {
    return new LocalGeneration(this.#owner, this.#prompt, sampling, random, this.#sequence.fork(), this.#output, this)
  }

  close (): void {
    this.#sequence.close()
    this.#constraint?.close()
  }
}
