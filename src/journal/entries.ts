/**
 * The journal of a run: what happened to its candidates, in order, as deltas. One JSON object a line, one kind of entry
 * an object; lists batch what happened to several candidates at the same time. Types only, for every side of it: the
 * inference thread that writes it, the API that sends it, commands and pages that read it. No Node, no DOM.
 *
 * Rules. Nothing is taken back: text is certain when it is told (what a stop sequence may still cut off is held back).
 * Readers skip kinds and keys they do not know; the number in `Head.journal` rises only where old readers would be
 * wrong. Recording never changes a token.
 */

/** The version of the format that this build writes and reads. */
export const journalVersion = 1

/** Every entry but the first says when it was made. */
interface At {
  /** Milliseconds since the request was accepted (checked, and in the queue for memory); whole, never falling. */
  readonly t: number
}

/** First entry of a journal: which run it is of. Made where the request came in. */
export interface Head {
  /** `journalVersion`. */
  readonly journal: number
  /** `run_` and hexadecimal digits. */
  readonly id: string
  /** Seconds since the epoch. */
  readonly created: number
  /** Version of Fairlead. */
  readonly server: string
  readonly model: string
  /** As `system_fingerprint`: same fingerprint and seed, same tokens. */
  readonly fingerprint: string
  /** The request as it was sent, to `POST` it again. */
  readonly request: Readonly<Record<string, unknown>>
  /** The run that this one goes on from. Written by pages. */
  readonly branch?: { readonly of: string, readonly candidate: number, readonly token: number }
  /** What was taken out before the journal was shared, as paths such as `request.messages`. */
  readonly redacted?: readonly string[]
}

/** The request was accepted and waits for memory. */
export interface Queued extends At {
  /** Requests that wait before it. */
  readonly queued: number
}

/** A reward in force. Parts of scores come in this order. */
export type RewardInForce = readonly [
  name: string, member: 'outcome' | 'prefix' | 'next_token', version: string, weight: number
]

/** There is room for the request: it starts. */
export interface Start extends At {
  readonly start: {
    readonly seed: number
    /** `sample` for plain sampling. */
    readonly strategy: string
    /** All parameters in force, defaults filled in, snake_case, `max_tokens` among them. */
    readonly resolved: Readonly<Record<string, unknown>>
    readonly rewards: readonly RewardInForce[]
    /** Tokens of the prompt. */
    readonly prompt: number
    /** Messages left out of a conversation that was longer than the context. */
    readonly dropped: number
  }
}

/**
 * One candidate that begins.
 * - `parent`: the candidate it was forked from; null for one that begins with the prompt.
 * - `at`: tokens, and `characters` (UTF-16 units), that it shares with its parent; 0 without one.
 * - `group`: tree (dvts), choice (answers side by side) or pass (particle Gibbs) that it belongs to, from 0. Absent:
 *   the parent's; of one without parent, none.
 */
export type Opened = readonly [index: number, parent: number | null, at: number, characters: number, group?: number]

/** Candidates begin. */
export interface Open extends At { readonly open: readonly Opened[] }

/**
 * What was added to one candidate: so many tokens, together so much text. Text may lag behind tokens: it may be
 * empty, and may come with `tokens` 0. Where pieces were asked for, the text of each token and its ln π, nats, of the
 * raw model (temperature 1, no filters), end tokens included, whose piece is ''.
 */
export type Grown =
  | readonly [index: number, tokens: number, text: string]
  | readonly [index: number, pieces: readonly string[], lnPolicy: readonly number[]]

/** Candidates grow. */
export interface Grow extends At { readonly grow: readonly Grown[] }

/**
 * A token that guidance looked at.
 * - `lnPolicy`: ln π of the distribution that would be drawn from without guidance (temperature and filters applied).
 * - `value`: g of the formula, after `transform`.
 * - `lnGuided`: ln of its probability under guidance.
 */
export type GuidedChoice = readonly [piece: string, lnPolicy: number, value: number, lnGuided: number]

/**
 * One guided token of one candidate.
 * - `at`: its place among the candidate's tokens, from 0.
 * - `piece`: its text; `bytes:\xe2\x80` where it is part of a character; '' for tokens without text.
 * - `taken`: its place in `choices`; −1 for one that is not listed.
 * - `kl`: of the step's distribution to the policy's, nats; null where the most probable token is taken.
 * - `share`: of the strength that `max_kl` left, 0 to 1.
 * - `rest`: probability that the policy gives to the tokens that are not in `choices`.
 * - `choices`: the alternatives asked for, most probable under guidance first; empty where none were asked for.
 * - `reward`: of the answer up to it, where a reward steers; null for a token that was not looked at.
 */
export type GuidedToken = readonly [
  index: number, at: number, piece: string, taken: number, kl: number | null, share: number, rest: number,
  choices: readonly GuidedChoice[], reward?: number | null
]

/** A guided token. Its text comes with `grow`, which may be later. */
export interface TokenEntry extends At { readonly token: GuidedToken }

/**
 * One reward's part of a score: as the reward computes it, standardised, and, of ensembles and judges of steps, the
 * standard deviation over the scorers (null for none) and how probably each step is right.
 */
export type ScorePart =
  readonly [raw: number, standardized: number, std?: number | null, steps?: readonly number[]]

/**
 * What one candidate scores as it stands: the weighted sum that steers, and its parts in the order of `start.rewards`.
 */
export type Scored = readonly [index: number, reward: number, parts: readonly ScorePart[]]

/** Candidates were scored, all tokens told so far read. */
export interface ScoreEntry extends At { readonly score: readonly Scored[] }

/** Particles were weighed. */
export interface Weigh extends At {
  /** Normalised weights; of a candidate that stands for several particles their sum. */
  readonly weigh: ReadonlyArray<readonly [index: number, weight: number]>
  /** Effective sample size: from 1 to the number of particles. */
  readonly ess: number
}

/** A step of the search has ended. Rewards are those told last. */
export interface Step extends At {
  readonly step: {
    /** From 1. Of answers side by side (segment rejection) each counts its own. */
    readonly n: number
    /** Candidates that go on or have ended and may be returned, in the strategy's order. */
    readonly kept: readonly number[]
    /** Candidates that this step dropped. */
    readonly dropped: readonly number[]
    /** The threshold of a segment, or the effective sample size below which particles are resampled. */
    readonly bound?: number
    /** Offspring by candidate, where particles were resampled. */
    readonly resampled?: ReadonlyArray<readonly [index: number, offspring: number]>
  }
}

/**
 * Why nothing more is drawn for a candidate: it said that it ends (`stop`), it is as long as it may be (`length`), a
 * limit of the whole request ended it where it was (`budget`: max_generated_tokens, deadline_ms, max_steps), or the
 * strategy dropped it (`dropped`), which may come after one of the others.
 */
export type EndReason = 'stop' | 'length' | 'budget' | 'dropped'

/**
 * The end of one candidate.
 * - `lnPolicy`: Σ ln π of its tokens, nats, of the raw model.
 * - `at`: of `dropped` ones the step, or the checkpoint in tokens, as `pruned_at` tells it.
 */
export type Ended = readonly [index: number, reason: EndReason, lnPolicy: number, at?: number]

/** Candidates end. */
export interface End extends At { readonly end: readonly Ended[] }

/** The answer was chosen. */
export interface Select extends At {
  readonly select: {
    /** Candidates that are returned, by choice. */
    readonly chosen: readonly number[]
    /** The rule: a `selection` or `final_choice`; `argmax`; `all` where every candidate is a choice. */
    readonly rule: string
  }
}

/**
 * How much of a choice has been sent and will not change, in characters (UTF-16 units) from its beginning, and of which
 * candidate, once that is known. Before, all candidates that may be returned begin with it.
 */
export type Committed = readonly [choice: number, characters: number, index?: number]

/** Text was sent. */
export interface Commit extends At { readonly commit: readonly Committed[] }

/** The ledger of a run, in tokens: generated = returned + discarded. */
export interface RunUsage {
  readonly prompt_tokens: number
  readonly cached_tokens: number
  readonly computed_prompt_tokens: number
  readonly completion_tokens: number
  readonly generated_tokens: number
  readonly returned_tokens: number
  readonly discarded_tokens: number
  readonly reward_tokens: number
  readonly reward_cached_tokens: number
  readonly forward_passes: number
  readonly accepted_drafts: number
  readonly rejected_drafts: number
  /** Calls to the inference engine that runs the model, where the server does not. */
  readonly engine?: {
    readonly calls: number
    readonly failed_calls: number
    readonly prompt_tokens: number
    readonly cached_tokens: number
  }
}

/** The run has ended well. Last entry, notes apart. */
export interface Done extends At {
  readonly done: {
    readonly kl: {
      readonly value: number | null, readonly kind: 'exact_sampled' | 'upper_bound' | 'bound_estimate' | null
    }
    readonly stopped_by: 'max_generated_tokens' | 'deadline' | null
    readonly warnings: ReadonlyArray<{ readonly code: string, readonly message: string }>
    /** What only this strategy knows. */
    readonly details: Readonly<Record<string, unknown>>
    readonly usage: RunUsage
  }
}

/** The run has failed, or was cancelled. Last entry, notes apart. */
export interface Fail extends At {
  readonly fail: { readonly code: string, readonly message: string, readonly param: string | null }
}

/** Entries are missing here: the journal had reached its size. */
export interface Gap extends At {
  /** How many. */
  readonly gap: number
}

/** Written afterwards, by whoever reads the journal: a vote, scores read again, a label. */
export interface Note extends At { readonly note: Readonly<Record<string, unknown>> }

/** An entry but the first. */
export type TimedEntry =
  | Queued | Start | Open | Grow | TokenEntry | ScoreEntry | Weigh | Step | End | Select | Commit | Done | Fail | Gap
  | Note

/** A line of a journal. */
export type Entry = Head | TimedEntry
