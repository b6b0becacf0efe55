/** Tokens as a policy draws them, with how probable the model held them. Types only. */

/** A token and how probable the model held it. */
export interface RatedToken {
  readonly token: number
  /** What it stands for in UTF-8; part of a character, maybe. None for control tokens. */
  readonly bytes: readonly number[]
  /** Of the raw model distribution: temperature 1, before penalties. Nats. */
  readonly logprob: number
}

export interface TokenLogprob extends RatedToken {
  /** The most probable alternatives, descending. */
  readonly top: readonly RatedToken[]
}

/** A token that a policy drew. */
export interface DrawnToken {
  readonly token: number
  /** As `RatedToken.logprob`. */
  readonly logprob: number
  /** With alternatives; null where the request asks for no logprobs. */
  readonly rated: TokenLogprob | null
  /** Values of heads of an engine elsewhere after the token before, by name, where it computes them for the request. */
  readonly before?: ReadonlyMap<string, number>
}
