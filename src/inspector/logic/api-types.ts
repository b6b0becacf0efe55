/**
 * What the page reads of the API's answers. `tests/unit/inspector/api-types.test.ts` has the compiler check that the
 * API's own types are as this says; importing them would have the page compile the whole server.
 */

/** A reward as `GET /v1/rewards` lists it. */
export interface RewardListItem {
  readonly id: string
  readonly kind: string
  readonly members: readonly string[]
  readonly description: string
  readonly version: string
  readonly models: readonly string[]
  readonly deletable: boolean
}

type Known = Readonly<Record<string, unknown>> | null

/** A reward with its card. */
export interface RewardCard extends RewardListItem {
  readonly statistics: Known
  readonly fit: Known
  readonly metrics: Known
  readonly next_token: Known
  readonly adaptation: Known
}

/** The score of one given answer. */
export interface RewardScore {
  readonly reward: number
  readonly tokens: number
  /** With `every`: by prefix; `end` in code points. */
  readonly prefixes?: ReadonlyArray<{ readonly tokens: number, readonly end: number, readonly reward: number }>
}

/** Scores of given answers, in their order. */
export interface RewardScores {
  readonly data: readonly RewardScore[]
  readonly warnings: ReadonlyArray<{ readonly code: string, readonly message: string }>
}

/** What of a chat completion is read. */
export interface ChatCompletion {
  readonly id: string
  readonly choices: ReadonlyArray<{
    readonly message: { readonly content: string | null }, readonly finish_reason: string
  }>
}

/** A model, or a profile of one. */
export interface Model {
  readonly id: string
  readonly parent?: string
  readonly description?: string
  readonly max_model_len: number
  /** The inference engine elsewhere that runs it. */
  readonly engine?: { readonly server: string, readonly heads: readonly string[] }
}

/** What of `usage` is read. */
export interface Usage { readonly alignment_details: { readonly generated_tokens: number } }
