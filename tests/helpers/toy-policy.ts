/**
 * A policy small enough to enumerate: next-token distributions from a seeded table, behind the engine's own seam. Its
 * last token ends an answer. With it strategies are compared with brute force.
 */
import { setMaxListeners } from 'node:events'
import type { Recorder } from '../../src/journal/recorder.js'
import type { Constraint } from '../../src/policies/constraint.js'
import { randomStream } from '../../src/policies/random-stream.js'
import type { ContrastContext, DecodingRequest } from '../../src/decoding/request.js'
import { plainSampling as policySampling, type SamplingParams } from '../../src/policies/sampling-params.js'
import type { Distribution, Output, Sequence, SequenceOptions, States } from '../../src/engine/sequence.js'
import { openReadings } from '../../src/policies/local/context-reading.js'
import { localCapabilities, LocalPolicy } from '../../src/policies/local/local-policy.js'
import type { Detokenizer } from '../../src/policies/transcript.js'
import type { Answer, Prompt, Score, Scorer } from '../../src/rewards/scorer.js'

export interface ToyOptions {
  /** Vocabulary size, the end token included. */
  readonly size?: number
  readonly seed?: number
  /** Longest list of most probable tokens in a distribution. */
  readonly listed?: number
  /** Turns that an output takes: what other requests do to when it comes. */
  readonly turns?: () => number
}

/** A deterministic number in [0, 1) for a text. */
function hash (text: string): number {
  let state = 2166136261
  for (const character of text) state = Math.imul(state ^ character.charCodeAt(0), 16777619) >>> 0
  state = Math.imul(state ^ (state >>> 15), 2246822519) >>> 0
  return (state >>> 0) / 2 ** 32
}

/** A distribution over logits, as the engine gives it. */
export function distributionOf (logits: readonly number[], temperature = 1, listed = 128): Distribution {
  const row = Float32Array.from(logits)
  const inverse = temperature === 0 ? 1 : 1 / temperature
  const normalizer = (scale: number): number => Math.log(row.reduce((sum, logit) => sum + Math.exp(logit * scale), 0))
  const order = [...row.keys()].sort((a, b) => row[b]! - row[a]! || a - b).slice(0, Math.min(listed, row.length))
  return {
    size: row.length,
    logits: row,
    logNormalizer: normalizer(1),
    temperedLogNormalizer: normalizer(inverse),
    topIds: Int32Array.from(order),
    topLogits: Float32Array.from(order, id => row[id]!)
  }
}

export class ToyPolicy {
  readonly size: number
  readonly endToken: number
  readonly #seed: number
  readonly #listed: number
  readonly #turns: () => number
  /** Sequences open now, and outputs asked for so far, by number of tokens. */
  open = 0
  readonly asked: number[] = []

  constructor ({ size = 4, seed = 1, listed = 128, turns = () => 1 }: ToyOptions = {}) {
    this.size = size
    this.endToken = size - 1
    this.#seed = seed
    this.#listed = listed
    this.#turns = turns
  }

  logits (tokens: readonly number[]): number[] {
    return Array.from({ length: this.size }, (_, token) => 3 * hash(`${this.#seed}:${tokens.join()}>${token}`))
  }

  /** Exact ln probability of a token after tokens, at temperature 1. */
  logProbability (tokens: readonly number[], token: number): number {
    const { logits, logNormalizer } = distributionOf(this.logits(tokens))
    return logits[token]! - logNormalizer
  }

  sequence (tokens: readonly number[], options: SequenceOptions): Sequence {
    options.signal?.throwIfAborted()
    this.open++
    const own = [...tokens]
    let open = true
    const check = (): void => {
      options.signal?.throwIfAborted()
      if (!open) throw new Error('the sequence has been closed')
    }
    const close = (): void => { if (open) { open = false; this.open-- } }
    options.signal?.addEventListener('abort', close)
    // The hidden state of a token is which one it is, at every layer.
    const state = (counted: readonly number[]): Float32Array => Float32Array.from({ length: this.size }, (_, token) =>
      counted.length === 0 ? 0 : counted.filter(one => one === token).length / counted.length)
    const statesOf = (tokens: readonly number[]): States => {
      const answer = tokens.slice(toyPrompt.tokens.length)
      return { hidden: () => state(tokens.slice(-1)), pooled: () => state(answer), pooledTokens: answer.length }
    }
    const wait = async (): Promise<void> => {
      for (let turn = this.#turns(); turn > 0; turn--) await Promise.resolve()
      check()
    }
    return {
      tokens: own,
      append: (...more) => { check(); own.push(...more) },
      output: async (): Promise<Output> => {
        check()
        this.asked.push(own.length)
        const distribution = distributionOf(this.logits(own), options.temperature, this.#listed)
        await wait()
        return { distribution, ...statesOf(own) }
      },
      probe: async (...more): Promise<States> => {
        check()
        const states = statesOf([...own, ...more])
        await wait()
        return states
      },
      completeOutput: async (): Promise<Output> =>
        ({ distribution: distributionOf(this.logits(own), options.temperature, this.#listed), ...statesOf(own) }),
      fork: () => { check(); return this.sequence(own, options) },
      close
    }
  }
}

/** Scores answers, and those with a token more, by a function of their tokens; end tokens are not among them. */
export function toyScorer (score: (tokens: readonly number[], answer: Answer) => number): Scorer {
  return {
    used: [],
    layers: [0],
    score: async (_prompt: Prompt, answers: readonly Answer[]): Promise<Score[]> => answers.map(answer => {
      const value = score(answer.tokens, answer)
      return { value, rewards: { toy: { raw: value, standardized: value } } }
    }),
    scoreNext: (answer, tokens) => tokens.map(token => score([...answer.tokens, token], answer))
  }
}

export const toyPrompt: Prompt = { messages: [], text: '', tokens: [0] }

export const plainSampling: SamplingParams = { ...policySampling, maxTokens: 4 }

export interface ToyRequestOptions {
  readonly scorer?: Scorer | null
  /** The prompt in other contexts: toward two tokens, away from the prompt itself, unless given. */
  readonly contrast?: Readonly<Partial<Record<'toward' | 'away', readonly number[] | null>>>
  readonly seed?: number
  readonly n?: number
  readonly sampling?: Partial<SamplingParams>
  readonly signal?: AbortSignal
  readonly limits?: Partial<DecodingRequest['limits']>
  readonly elapsedMs?: () => number
  /** What each token stands for: the t-th letter, unless given. */
  readonly letters?: string
  readonly journal?: Recorder | null
  readonly constraint?: Constraint | null
}

/** A request to a toy, through this process's own backend. */
export function toyRequest (policy: ToyPolicy, {
  scorer = null, contrast = {}, seed = 1, n = 1, sampling: given = {}, signal = new AbortController().signal,
  limits = {}, elapsedMs = () => 0, letters = 'abcdefgh', constraint = null, journal = null
}: ToyRequestOptions = {}): DecodingRequest & { readonly policy: LocalPolicy } {
  // Every sequence listens, as in a request's own scope.
  setMaxListeners(0, signal)
  const sampling = { ...plainSampling, ...given }
  const letter = (token: number): string => letters[token]!
  const detokenizer = (): Detokenizer => ({ push: letter, flush: () => '', fork: detokenizer })
  const local = new LocalPolicy(localCapabilities(1), {
    open: tokens => policy.sequence(tokens, { temperature: sampling.temperature, signal }),
    sampling,
    layers: scorer?.layers ?? [],
    constraint,
    endTokens: [policy.endToken],
    detokenizer,
    tokenBytes: token => Buffer.from(letter(token))
  })
  const context = (tokens: readonly number[] | null): ContrastContext | null => tokens && {
    tokens, isForeign: false, open: count => openReadings(local, policy.sequence(tokens, { signal }), count)
  }
  const { toward = [1, 2], away = toyPrompt.tokens } = contrast
  return {
    policy: local,
    prompt: toyPrompt,
    sampling,
    n,
    scorer,
    embeddingLayer: 0,
    contrast: { toward: context(toward), away: context(away) },
    limits: { maxGeneratedTokens: null, deadlineMs: null, ...limits },
    used: { generatedTokens: 0 },
    signal,
    journal,
    pieceOf: letter,
    random: path => randomStream(seed, path),
    elapsedMs
  }
}

/** Every answer of at most `maxTokens` tokens with its exact probability at temperature 1. */
export function enumerate (
  policy: ToyPolicy, maxTokens: number, tokens: readonly number[] = [], probability = 1
): Array<{ readonly tokens: readonly number[], readonly probability: number }> {
  if (tokens.length === maxTokens) return [{ tokens, probability }]
  return Array.from({ length: policy.size }, (_, token) => {
    const next = probability * Math.exp(policy.logProbability([...toyPrompt.tokens, ...tokens], token))
    return token === policy.endToken
      ? [{ tokens, probability: next }]
      : enumerate(policy, maxTokens, [...tokens, token], next)
  }).flat()
}
