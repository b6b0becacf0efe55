/**
 * Stored chat completions and the feedback on them, wherever they are kept: training data of rewards. A caller's
 * completions are bounded in number and bytes, those with feedback apart; all of them together are bounded in bytes.
 * Where room is needed the caller's own oldest go, never another's.
 */
import { RequestError } from '../errors.js'
import type { Examples } from '../fitting/examples.js'
import type { ChatMessage } from '../rewards/scorer.js'

/** A stored completion: the response as it was sent, and what it answered. */
export interface StoredCompletion {
  readonly id: string
  /** Name of the API key that asked for it. */
  readonly caller: string
  readonly messages: readonly ChatMessage[]
  readonly completion: object
}

/**
 * Feedback on a completion: one answer is better than another, an answer is good (1) or bad (0), or how good it is.
 */
export type Verdict =
  | { readonly kind: 'pairs', readonly chosen: string, readonly rejected: string }
  | { readonly kind: 'labels', readonly answer: string, readonly label: 0 | 1 }
  | { readonly kind: 'scores', readonly answer: string, readonly score: number }

/** One piece of feedback on a stored completion. */
export interface FeedbackEntry {
  readonly id: string
  readonly completionId: string
  readonly dataset: string
  /** Seconds since the epoch. */
  readonly created: number
  readonly messages: readonly ChatMessage[]
  readonly verdict: Verdict
}

/** How much is kept. */
export interface ChatLimits {
  /** Completions of a caller without feedback. */
  readonly completions: number
  /** Their bytes. */
  readonly bytesPerCaller: number
  /** Bytes of all completions and feedback. */
  readonly bytes: number
}

/** What a page of feedback is asked by. */
export interface FeedbackQuery {
  readonly dataset?: string | undefined
  readonly limit: number
  /** Id of the entry before the first. */
  readonly after?: string | undefined
}

export interface FeedbackPage { readonly entries: readonly FeedbackEntry[], readonly hasMore: boolean }

/**
 * The completions and feedback of one server, or of all replicas. Everything throws RequestError: storage_failed where
 * they cannot be written, store_unavailable where a shared store cannot be reached.
 */
export interface Chats {
  /** Makes sure that a completion can be stored, before work is done that would be lost. */
  check (caller: string, messages: readonly ChatMessage[]): Promise<void>
  storeCompletion (stored: StoredCompletion): Promise<void>
  /** @throws RequestError not_found */
  completion (id: string, param?: string): Promise<StoredCompletion>
  /** Deletes a completion and the feedback on it. */
  deleteCompletion (id: string): Promise<void>
  /** @throws RequestError not_found for the completion */
  add (completionId: string, dataset: string, verdict: Verdict): Promise<FeedbackEntry>
  /**
   * A page of feedback, oldest first: of fewer entries than `limit` where they are long.
   * @throws RequestError not_found for `after`
   */
  list (query: FeedbackQuery): Promise<FeedbackPage>
  /** @throws RequestError not_found */
  delete (id: string): Promise<void>
  /** All feedback of a data set, oldest first. */
  dataset (name: string): Promise<readonly FeedbackEntry[]>
}

/** Bytes of a page of feedback with its messages, at most, unless a single entry has more. */
const maxPageBytes = 8 << 20

/** How many entries a page has. @param sizes bytes of those that could be on it */
export function pageLength (sizes: readonly number[], limit: number): number {
  let bytes = 0
  const beyond = sizes.findIndex((size, index) => (bytes += size) > maxPageBytes && index > 0)
  return Math.min(limit, beyond < 0 ? sizes.length : beyond)
}

/**
 * Bytes that the caller's oldest completions must make room for; 0 where there is room.
 * @param used bytes of all chats and feedback
 * @param held bytes of the caller's that may go
 * @throws RequestError storage_failed where that is more than they have
 */
export function missingBytes (bytes: number, used: number, held: number, limits: ChatLimits): number {
  const missing = Math.max(0, bytes - (limits.bytes - used))
  if (bytes <= limits.bytesPerCaller && missing <= held) return missing
  throw new RequestError('storage_failed', 'There is no room to store the chat: ' + (bytes > limits.bytesPerCaller
    ? `it has ${bytes} bytes, an API key may store ${limits.bytesPerCaller} (stored-completion-bytes-per-key)`
    : `all chats and feedback may have ${limits.bytes} bytes (stored-completion-bytes); delete some`))
}

/** @throws RequestError storage_failed where feedback has no room */
export function checkRoomForFeedback (bytes: number, used: number, limits: ChatLimits): void {
  if (used + bytes > limits.bytes) {
    throw new RequestError('storage_failed', 'There is no room for more feedback: all chats and feedback may have ' +
      `${limits.bytes} bytes (stored-completion-bytes); delete some`)
  }
}

export const completionNotFound = (id: string, param: string): RequestError =>
  new RequestError('not_found', `Chat completion with id ${JSON.stringify(id)} not found: it was not ` +
    'stored (store: true), was deleted or evicted (stored-completions, stored-completion-bytes-per-key)', { param })

export const feedbackNotFound = (id: string, param: string): RequestError =>
  new RequestError('not_found', `Feedback with id ${JSON.stringify(id)} not found`, { param })

/**
 * A data set as examples of one kind.
 * @param kind null where all entries are of one kind
 * @throws RequestError where there are none, or several kinds and none was chosen
 */
export async function examplesOf (
  chats: Pick<Chats, 'dataset'>, dataset: string, kind: Examples['kind'] | null
): Promise<Examples> {
  const entries = await chats.dataset(dataset)
  const kinds = [...new Set(entries.map(({ verdict }) => verdict.kind))]
  const chosen = kind ?? (kinds.length === 1 ? kinds[0]! : null)
  if (entries.length === 0) {
    throw new RequestError('invalid_request',
      `feedback.dataset must name a dataset with feedback; "${dataset}" has none`, { param: 'feedback.dataset' })
  }
  if (chosen === null || !kinds.includes(chosen)) {
    throw new RequestError('invalid_request', `feedback.kind must be one of those in "${dataset}", ` +
      `${kinds.join(', ')}; got ${chosen === null ? 'nothing' : `"${chosen}"`}`, { param: 'feedback.kind' })
  }
  return ofKind(entries, chosen)
}

function ofKind (entries: readonly FeedbackEntry[], kind: Examples['kind']): Examples {
  const of = <K extends Verdict['kind']>(one: K): Array<FeedbackEntry
    & { readonly verdict: Extract<Verdict, { kind: K }> }> =>
      entries.filter((entry): entry is FeedbackEntry & { readonly verdict: Extract<Verdict, { kind: K }> } =>
        entry.verdict.kind === one)
  switch (kind) {
    case 'pairs': return {
      kind, pairs: of(kind).map(({ messages, verdict: { chosen, rejected } }) => ({ messages, chosen, rejected }))
    }
    case 'labels': return {
      kind, labelled: of(kind).map(({ messages, verdict: { answer, label } }) => ({ messages, answer, label }))
    }
    case 'scores': return {
      kind, scored: of(kind).map(({ messages, verdict: { answer, score } }) => ({ messages, answer, score }))
    }
  }
}
