/**
 * The engine's seam: a sequence of tokens and the model's outputs after its last one. Strategies are written, and
 * tested on toy models, against these types. Knows no text, no requests, no rewards.
 */

/** Next-token distribution of a policy after one token, raw: before temperature, penalties and bias. */
export interface Distribution {
  /** Vocabulary size V. */
  readonly size: number
  /** ln Σ exp(logit) over the vocabulary, nats: logprob(v) = logits[v] − logNormalizer. */
  readonly logNormalizer: number
  /** ln Σ exp(logit / temperature), with the sequence's own temperature (1 where that is 0). */
  readonly temperedLogNormalizer: number
  /** The most probable tokens, by descending logit, ties by lower id. Length K = min(128, V). */
  readonly topIds: Int32Array
  /** Their logits, length K. */
  readonly topLogits: Float32Array
  /**
   * All logits, length V. Lent: valid until the sequence's next `output()`; copy what must live longer. A partial
   * distribution throws MissingLogits.
   */
  readonly logits: Float32Array
  /** Whether only the listed logits are here: see `SequenceOptions.listedLogits`. Default no. */
  readonly isPartial?: boolean
}

/** What a partial distribution throws where a logit is read that it does not list. */
export class MissingLogits extends Error {
  constructor () { super('a logit was read that is not listed: the output must be completed before') }
}

/** The model's hidden states after a token. */
export interface States {
  /**
   * Hidden state (transformers' `hidden_states[layer]`, 0 = embedding) of the last token, length D. Only layers asked
   * for at `open`.
   */
  hidden (layer: number): Float32Array
  /**
   * Mean hidden state over the fed tokens at positions ≥ `poolFrom`, length D; zeros while there are none. Only layers
   * asked for.
   */
  pooled (layer: number): Float32Array
  /** How many tokens `pooled` covers. */
  readonly pooledTokens: number
}

/** What the model says after a sequence's last token. Values are lent until the sequence's next `output()`. */
export interface Output extends States {
  readonly distribution: Distribution
}

/** Counts what a request made the engine do. The engine adds to it; its owner reads it. */
export interface ComputeLedger {
  /** Tokens run through the model. */
  computedTokens: number
  /** Prompt tokens whose KV came from the prefix cache. */
  cachedTokens: number
  /** Model runs that carried at least one token of this owner. */
  forwardPasses: number
}

export interface SequenceOptions {
  /** Temperature that `temperedLogNormalizer` refers to, ≥ 0. Default 1. */
  readonly temperature?: number
  /** Layers whose hidden states are wanted, 0..L. Default none. */
  readonly layers?: readonly number[]
  /**
   * First position that `pooled` covers. Default: the length of the first tokens. A prefix-cache match ends before it.
   */
  readonly poolFrom?: number
  /** Whose it is: callers take turns in each step. Default ''. */
  readonly caller?: string
  /** Sequences share cached KV only with sequences of the same salt. Default ''. */
  readonly salt?: string
  readonly ledger?: ComputeLedger
  /**
   * How many forks will go on from the first tokens, this sequence included. Default 1. With many of a long prompt its
   * KV is stored once and read once a step for all (`Engine.sharesPrompt`); logits then differ from those of private KV
   * by rounding, 1e-4 at most. With more than a few (SchedulingProfile) the request is a search, whose rows do not hold
   * up those of others.
   */
  readonly fanOut?: number
  /** Whether it or its forks will be probed, for which they must hold all their KV themselves. Default no. */
  readonly probed?: boolean
  /**
   * Called for each position that a prefill chunk runs, in order, with the distribution after it, lent for the call.
   * Costs logits of every position.
   */
  readonly onPosition?: (position: number, distribution: Distribution) => void
  /**
   * Whether its owner does with the listed logits, and asks for the others by `completeOutput` when it needs them: a
   * device then sends no more. Default no: all are there.
   */
  readonly listedLogits?: boolean
  /** Aborting closes the sequence; a pending `output()` rejects with the signal's reason. */
  readonly signal?: AbortSignal
}

/** One token sequence inside an engine. Belongs to the request that opened it and must be closed by it. */
export interface Sequence {
  readonly tokens: readonly number[]
  /** Adds tokens; nothing runs until `output()`. */
  append (...tokens: number[]): void
  /**
   * The outputs after the last token. All that is asked in one turn of the event loop is in the next step. One new
   * token runs as a decode row, two or more as prefill chunks (after a shared prompt, as rows one by one); which one is
   * a function of this sequence's own calls, never of the load. Asking again without new tokens returns the same
   * outputs and costs nothing.
   */
  output (): Promise<Output>
  /**
   * The output that is there, with all its logits: where they were left on a device, the last token is run again, the
   * same way and with the same bits, in the next step.
   */
  completeOutput (): Promise<Output>
  /**
   * The hidden states that the sequence would end with if some tokens came next, which stay out of it: nothing above
   * the layers that were asked for is run. Its last output must be there; tokens are appended only when the probe is.
   * All that is asked for in one turn of the event loop runs together, and apart from other sequences' rows, so that
   * its bits are a function of this sequence's own calls.
   * @param tokens 1 to 32, as many as the context has room for
   * @throws Error while no output is there, and for a sequence that shares its prompt; closed or failed sequences
   * reject as `output()` does
   */
  probe (...tokens: number[]): Promise<States>
  /**
   * A copy that shares everything computed, the last outputs and the pooled sums included. Costs no forward pass.
   * Tokens not run yet are copied too. Child and parent go on independently.
   * @param options in place of the parent's
   */
  fork (options?: Pick<SequenceOptions, 'onPosition'>): Sequence
  /** Gives the KV back at the next step boundary at the latest. Idempotent. */
  close (): void
}

/**
 * A sequence whose last tokens may be draft tokens: the model checks all in one pass, and those rejected are taken
 * back.
 */
export interface DraftableSequence extends Sequence {
  /**
   * The outputs after each token that waits, in order: what the model says to draft tokens. All are
   * lent until the next call of `output` or `outputs`. Not for a sequence whose hidden states were asked for.
   */
  outputs (): Promise<readonly Output[]>
  /**
   * Takes tokens from the end back, as if they had never been appended; one must follow before the next output. Not for
   * a sequence that was forked, is a fork or pools hidden states.
   * @param length tokens that stay, at least one
   */
  truncate (length: number): void
}

/** What opens sequences: an Engine, or a toy in tests. */
export interface SequenceSource {
  /** @param tokens the prompt, at least one token. */
  open (tokens: readonly number[], options?: SequenceOptions): Sequence
}

/** Opens the sequences of one caller. */
export const sourceOf = (source: SequenceSource, caller: string): SequenceSource =>
  ({ open: (tokens, options = {}) => source.open(tokens, { ...options, caller }) })
