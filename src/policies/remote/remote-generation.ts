/**
 * One answer on an engine elsewhere. Each extension is a call with the ids of prompt and answer; the transcript alone
 * decides where the answer ends. A call that fails is made again from the last token received: nothing is drawn twice.
 */
import { setTimeout as pause } from 'node:timers/promises'
import type { Answer, HeadValues, Prompt } from '../../rewards/scorer.js'
import { unreadAnswer } from '../unread-answer.js'
import type { DrawnToken } from '../drawn-token.js'
import type { Generation, Tokenwise } from '../policy.js'
import type { Random } from '../random-stream.js'
import { isPenalized, type SamplingParams } from '../sampling-params.js'
import { stopCheck, type StopCondition } from '../stop-condition.js'
import { Transcript } from '../transcript.js'
import { Alternatives } from './alternatives.js'
import type { CallGuidance, EngineCall, EngineToken, EngineUsage } from './engine-call.js'
import { EngineFailure } from './engine-failure.js'
import type { RemoteRequest } from './remote-request.js'
import type { Replica } from './replica.js'

/** Times that a call is made again without a token in between. */
const maxRetries = 3
/** Times in one extension, tokens in between or not: an engine that fails at every token is no engine. */
const maxFailures = 12
/** Before the first try again, ms, then twice as long. */
const firstPauseMs = 100
/** An engine that asks for more time than this is not waited for, ms. */
const longestPauseMs = 5000

/** Whose an answer is. */
interface Owner {
  readonly request: RemoteRequest
  /** The session's order of replicas. */
  readonly order: readonly Replica[]
}

/** Failures of one extension: since its last token, and in all. */
interface Failures { count: number, total: number, readonly avoided: Set<Replica> }

const noFailures = (): Failures => ({ count: 0, total: 0, avoided: new Set() })

export class RemoteGeneration implements Generation, Tokenwise {
  readonly transcript: Transcript
  readonly #owner: Owner
  readonly #prompt: Prompt
  readonly #sampling: SamplingParams
  readonly #random: Random
  /** Tokens that are taken in place of drawing any. */
  #script: readonly DrawnToken[] = []
  /** Values of heads after the last token; null where they were not asked. */
  #last: { readonly at: number, readonly values: Promise<ReadonlyMap<string, number>> } | null = null
  /** What may come next; null where it was not asked. */
  #alternatives: Alternatives | null = null

  /** @param from an answer that it goes on from */
  constructor (
    owner: Owner, prompt: Prompt, sampling: SamplingParams, random: Random, from: Transcript | null = null
  ) {
    this.#owner = owner
    this.#prompt = prompt
    this.#sampling = sampling
    this.#random = random
    this.transcript = new Transcript({ ...owner.request, sampling }, from)
  }

  get tokenwise (): this | null { return this.#owner.request.engine.has('top_logprobs') ? this : null }

  follow (answer: Transcript): void { this.#script = answer.drawnTokens }

  async * extend (until: StopCondition, max: number, signal: AbortSignal): AsyncGenerator<DrawnToken, boolean> {
    const isMet = stopCheck(until, this.transcript)
    const failures = noFailures()
    for (let count = 0; count < max && !this.transcript.isFinished;) {
      signal.throwIfAborted()
      for await (const drawn of this.#draw(until, max - count, failures, signal)) {
        this.transcript.accept(drawn)
        const met = isMet()
        yield drawn
        if (met) return true
        if (++count >= max || this.transcript.isFinished) break
      }
    }
    return false
  }

  /** Tokens that the answer goes on with: at least one, or a pause after a failure. */
  async * #draw (
    until: StopCondition, max: number, failures: Failures, signal: AbortSignal
  ): AsyncGenerator<DrawnToken, void, undefined> {
    const scripted = this.#script[this.transcript.drawn]
    if (scripted) {
      yield scripted
      return
    }
    let received = 0
    try {
      // Engines restart their noise at each call: every call has a seed of its own.
      const seed = Math.floor(this.#random.next() * 2 ** 53)
      for await (const token of this.#call(this.#next(until, max, seed), failures.avoided, signal)) {
        failures.count = 0
        received++
        yield this.#rated(token)
      }
    } catch (error) {
      if (!(error instanceof EngineFailure)) throw error
      await this.#bear(error, received > 0, failures, signal)
    }
  }

  /** Waits before the next try. @throws RequestError where there is none */
  async #bear (failure: EngineFailure, hasBegun: boolean, failures: Failures, signal: AbortSignal): Promise<void> {
    const { ledger, structure } = this.#owner.request
    const pauseMs = Math.max(firstPauseMs * 2 ** failures.count, failure.retryAfterMs ?? 0)
    // What an engine counts or parses along an answer, it does not know of one that it did not begin.
    const isBound = hasBegun && (structure !== null || isPenalized(this.#sampling))
    const isLast = failures.count >= maxRetries || failures.total >= maxFailures
    if (failure.kind === 'refused' || isBound || isLast || pauseMs > longestPauseMs) throw failure.toRequestError()
    failures.count++
    failures.total++
    ledger.failedCalls++
    await pause(pauseMs, undefined, { signal }).catch(() => { signal.throwIfAborted() })
  }

  /** What is asked of the engine next. */
  #next ({ from, tokens = Infinity, delimiter }: StopCondition, max: number, seed: number): EngineCall {
    const { transcript } = this
    const { request: { salt, structure, interval, endTokens, engine } } = this.#owner
    const { maxTokens, minTokens, stop, stopTokenIds, ignoreEos, topLogprobs } = this.#sampling
    const drawn = transcript.tokens.length
    const stops = [...delimiter?.times === 1 ? [delimiter.text] : [], ...stop]
    return {
      tokens: [...this.#prompt.tokens, ...transcript.tokenIds],
      maxTokens: Math.min(max, maxTokens - drawn, tokens - (transcript.drawn - from)),
      minTokens: Math.max(0, minTokens - drawn),
      sampling: this.#sampling,
      seed,
      stops: engine.has('stop') ? stops.slice(0, engine.protocol.maxStops) : [],
      endTokens: [...new Set([...ignoreEos ? [] : endTokens, ...stopTokenIds])],
      alternatives: topLogprobs ?? 0,
      structure,
      heads: this.#owner.request.heads,
      guidance: this.#guidance(),
      interval,
      salt
    }
  }

  /** Where the answer has begun the engine is told what it has of it, as far as the mean over it depends on that. */
  #guidance (): CallGuidance | null {
    const { guides } = this.#owner.request
    if (guides === null) return null
    const { drawnTokens } = this.transcript
    // What a token was drawn after is that of the token before it: the first one's is the prompt's.
    const sums = guides.heads.map(head =>
      drawnTokens.slice(1).reduce((sum, { before }) => sum + before!.get(head)!, 0))
    return { ...guides, answerTokens: drawnTokens.length, sums }
  }

  async * #call (
    call: EngineCall, avoided: Set<Replica>, signal: AbortSignal
  ): AsyncGenerator<EngineToken, void, undefined> {
    const { order, request: { engine: { replicas, protocol, report: { model } }, session, ledger } } = this.#owner
    const place = await replicas.place(order, avoided, signal)
    const isFirst = ledger.calls++ === 0
    try {
      const onUsage = (usage: EngineUsage): void => { this.#count(usage, isFirst) }
      yield * place.replica.stream(protocol, call, { model, session, signal, onUsage })
    } catch (error) {
      avoided.add(place.replica)
      throw error
    } finally {
      place.release()
    }
  }

  #count (usage: EngineUsage, isFirst: boolean): void {
    const { ledger } = this.#owner.request
    ledger.promptTokens += usage.promptTokens
    ledger.cachedTokens += usage.cachedTokens ?? 0
    if (isFirst) ledger.cachedPromptTokens = usage.cachedTokens
  }

  #rated ({ token, logprob, top, before }: EngineToken): DrawnToken {
    const { request } = this.#owner
    const bytes = (id: number): number[] => [...request.tokenBytes(id)]
    const rated = this.#sampling.topLogprobs === null
      ? null
      : { token, bytes: bytes(token), logprob, top: top.map(one => ({ ...one, bytes: bytes(one.token) })) }
    return { token, logprob, rated, ...before && { before } }
  }

  /** Asked with a call for one token, which is not taken. */
  async distribution (): Promise<Alternatives> {
    const { engine: { protocol, report } } = this.#owner.request
    if (this.#alternatives === null) {
      const { top } = await this.#look(protocol.peek(
        {
          ...this.#next({ from: 0 }, 1, 0),
          minTokens: 0,
          stops: [],
          alternatives: report.alternatives,
          heads: null,
          guidance: null
        }))
      this.#alternatives = new Alternatives(top)
    }
    return this.#alternatives
  }

  /** What a call for one token says, which is not taken. */
  async #look (call: EngineCall): Promise<EngineToken> {
    const { signal } = this.#owner.request
    const failures = noFailures()
    for (;;) {
      signal.throwIfAborted()
      try {
        let told: EngineToken | null = null
        for await (const one of this.#call(call, failures.avoided, signal)) told ??= one
        if (told) return told
      } catch (error) {
        if (!(error instanceof EngineFailure)) throw error
        await this.#bear(error, false, failures, signal)
      }
    }
  }

  logProbability (token: number): number { return this.#known().logprob(token) }

  isEnd (token: number): boolean { return this.transcript.isEnd(token) }

  accept (token: number): boolean {
    const known = this.#known()
    const top = known.ranked(this.#sampling.topLogprobs ?? 0)
      .map(one => ({ token: one.token, logprob: one.logProbability }))
    this.#alternatives = null
    return this.transcript.accept(this.#rated({ token, logprob: known.logprob(token), top }))
  }

  #known (): Alternatives {
    if (this.#alternatives === null) throw new Error('the next token was not asked for')
    return this.#alternatives
  }

  /** Engines read what they are sent, with the next call. */
  read (): Promise<void> { return Promise.resolve() }

  extended (token: number): Promise<Answer> {
    const { text, tokens } = this.transcript
    return Promise.resolve(unreadAnswer(this.isEnd(token)
      ? { text, tokens, final: true }
      : { text: this.transcript.textWith(token), tokens: [...tokens, token], final: false }))
  }

  fork (random: Random, sampling = this.#sampling): RemoteGeneration {
    return new RemoteGeneration(this.#owner, this.#prompt, sampling, random, this.transcript)
  }

  answer (): Promise<Answer> {
    const { text, tokens, isFinished: final } = this.transcript
    const heads = this.#owner.request.heads === null ? {} : { heads: this.#headValues(tokens) }
    return Promise.resolve(Object.assign(unreadAnswer({ text, tokens, final }), heads))
  }

  /** Values after a token come with the one behind it; after the last one, with one more that is asked for. */
  #headValues (tokens: readonly number[]): HeadValues {
    const drawn = this.transcript.drawnTokens
    const after = async (read: readonly number[]): Promise<ReadonlyMap<string, number>> => (await this.#look({
      ...this.#next({ from: 0 }, 1, 0),
      tokens: [...this.#prompt.tokens, ...read],
      maxTokens: 1,
      minTokens: 0,
      stops: [],
      endTokens: [],
      guidance: null
    })).before!
    const values = async (at: number): Promise<ReadonlyMap<string, number>> => {
      const known = drawn[at + 1]?.before
      if (known) return known
      if (this.#last?.at !== at) this.#last = { at, values: after(tokens.slice(0, at + 1)) }
      return await this.#last.values
    }
    return {
      mean: async head => {
        let sum = 0
        for (let at = 0; at < tokens.length; at++) sum += (await values(at)).get(head)!
        return sum / tokens.length
      },
      last: async (head, token) =>
        (token === null ? await values(tokens.length - 1) : await after([...tokens, token])).get(head)!
    }
  }

  close (): void {}
}
