/** What the page adds to a server's error, in one line: what to do now. The server's own text comes first. */

/** What is known of a failure. */
interface Facts {
  readonly code: string
  readonly message: string
  readonly retryAfterSeconds: number | null
  readonly requestId: string | null
}

/** Advice by code; codes that are not here have none. */
const advice: Readonly<Record<string, (failure: Facts, origin: string) => string>> = {
  invalid_api_key: () => 'That key was not accepted. Check it and try again.',
  permission_denied: ({ message }) => /role admin/.test(message)
    ? 'Your key may not do this: it needs the role admin. Your pairs stay in this browser; you can export them.'
    : 'Your key may not do this.',
  field_locked: () => 'The profile fixes this field. Choose another model or profile.',
  rate_limit_exceeded: ({ retryAfterSeconds }) =>
    `Busy. Try again in ${retryAfterSeconds ?? 1} s.`,
  context_length_exceeded: () => 'Too long for this model. Shorten the prompt or lower max tokens.',
  budget_exceeded: () => 'Larger than the server allows. Fewer candidates or fewer tokens will fit.',
  reward_scope_mismatch: () => 'This reward cannot judge unfinished answers. Choose another, or set ' +
    'allow_scope_mismatch.',
  reward_below_threshold: () => 'No answer reached min_reward.',
  scorer_failed: () => 'The reward’s server did not answer. The run cannot be judged.',
  storage_failed: () => 'The server could not write to its data folder.',
  unavailable: () => 'The model is not ready yet. This page keeps trying.',
  internal_error: ({ requestId }) => requestId === null
    ? 'Something broke on the server.'
    : `Something broke on the server. Give its operator this id: ${requestId}`,
  network: (_, origin) => `The server cannot be reached. Is it running at ${origin}?`
}

/** @param origin where the server is; '' for a page without one */
export function adviceOf (failure: Facts, origin: string): string | null {
  return advice[failure.code]?.(failure, origin) ?? null
}
