/** What is asked of an engine elsewhere, and what it answers, whatever its protocol. Types only. */
import type { SamplingParams } from '../sampling-params.js'
import type { EngineField } from './engine-fields.js'

/** How an engine is to hold a whole answer to a form; at most one is given. */
export type Structure =
  /** A JSON Schema, as JSON. */
  | { readonly type: 'json', readonly schema: string }
  /** A grammar in EBNF. */
  | { readonly type: 'grammar', readonly text: string }

/** Guidance by Q-heads: tokens are drawn from ln π + Σ strength · standardised value. */
export interface Guides {
  /** As the engine calls them. */
  readonly heads: readonly string[]
  readonly strengths: readonly number[]
  /** Most probable tokens that may be drawn; 0 is all. */
  readonly topK: number
}

/** Guidance of one call. */
export interface CallGuidance extends Guides {
  /** How many of the call's last tokens are the answer's first. */
  readonly answerTokens: number
  /** Of each head, the sum of its values over those tokens but the last. */
  readonly sums: readonly number[]
}

/** One continuation of a prompt and what was drawn of its answer. */
export interface EngineCall {
  /** Prompt and answer so far; at least one. */
  readonly tokens: readonly number[]
  readonly maxTokens: number
  /** Tokens before which no end token may be drawn. */
  readonly minTokens: number
  /** Temperature, filters, penalties and bias; stop rules and lengths are this call's own. */
  readonly sampling: SamplingParams
  /** 0 to 2^53 − 1; of this call alone. */
  readonly seed: number
  /** Texts at which the engine may stop: hints, which save tokens. */
  readonly stops: readonly string[]
  /** Tokens that end an answer; the engine's own do not. */
  readonly endTokens: readonly number[]
  /** Most probable tokens to report for each token drawn. */
  readonly alternatives: number
  readonly structure: Structure | null
  /** Heads whose values are told in place of alternatives; null for none. */
  readonly heads: HeadReader | null
  /** What its tokens are guided by; null for nothing. */
  readonly guidance: CallGuidance | null
  /** Tokens that may come in one message: fewer messages cost less. */
  readonly interval: number
  /** Cached prompts are shared only among equal salts; '' is none. */
  readonly salt: string
}

/** A token with its raw logprob, nats. */
export interface RankedLogprob { readonly token: number, readonly logprob: number }

/** Reads values of heads from logprobs. */
export interface HeadReader {
  /** Tokens whose logprobs must be asked for. */
  readonly tokens: readonly number[]
  /** Values by name. @throws Error in words that follow "the engine" where they are missing */
  values (told: readonly RankedLogprob[]): ReadonlyMap<string, number>
}

/** A token that the engine drew. */
export interface EngineToken extends RankedLogprob {
  /** The most probable ones in any order, the one that was drawn perhaps among them. */
  readonly top: readonly RankedLogprob[]
  /** Values of the engine's heads after the token before, by name, where they were asked for. */
  readonly before?: ReadonlyMap<string, number>
}

/** One message of an answer that streams. */
export interface EngineChunk {
  readonly tokens: readonly EngineToken[]
  /** Tokens drawn so far, where the engine counts them: it may have kept some of them back. */
  readonly count?: number
  /** Why the answer ends, in the engine's words; null while it goes on. */
  readonly finish: string | null
  readonly usage: EngineUsage | null
}

/** What an engine says that a call took. */
export interface EngineUsage {
  readonly promptTokens: number
  /** Of those, read from its cache; null where it does not say. */
  readonly cachedTokens: number | null
}

/** How tokens are got that an engine drew and did not send. */
export interface UnsentTokens {
  /** The body of a call that draws the same and answers in one message, for the protocol's reader. */
  whole (call: EngineCall, model: string): object
  /** The ids of all tokens in such a message. @throws Error in words that follow "the engine" */
  ids (message: unknown): readonly number[]
}

/** How an engine is spoken to. */
export interface EngineProtocol {
  readonly name: string
  /** Of the endpoint. */
  readonly path: string
  /** Stop texts that one call may have. */
  readonly maxStops: number
  /** Finish reasons of calls that ended well. */
  readonly finished: readonly string[]
  /** Fields that it has by these names and applies in another way. */
  readonly differs: readonly EngineField[]
  /** What operators should know of every engine that is spoken to so. */
  readonly notes: readonly string[]
  /** How tokens are got that the engine kept back; null where it sends all. */
  readonly unsent: UnsentTokens | null
  /** The call that tells next tokens, of one that would draw one. */
  peek (call: EngineCall): EngineCall
  /** @param model as the engine calls it */
  body (call: EngineCall, model: string): object
  /**
   * Reads one message, parsed; a new function for each call, since some engines repeat what they sent.
   * @throws Error in words that follow "the engine", for a message that is none of the protocol
   */
  reader (): (message: unknown) => EngineChunk
}
