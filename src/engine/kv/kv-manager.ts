/**
 * The KV manager: where each sequence's keys and values are. The one interface between the engine and KV memory; the
 * scheduler asks it for room, the executor of the same device reads and writes what it holds.
 *
 * `slots/slot-manager.ts` implements it in host memory: a sequence's KV is contiguous, in a slot; forks are copied when
 * they first run, a sequence that finds no free slot preempts another, and a prompt that candidates share lies beside
 * the slots. `paged/paged-manager.ts` implements it over the blocks of a device: a fork holds its parent's blocks and
 * copies the last one before it writes; a sequence that is preempted gives its blocks up, and what is not found again
 * is computed again.
 */
import type { History } from './history.js'

/**
 * An open sequence as a KV manager sees it. It has KV of `tokens` up to the length of `runs`, which the engine extends
 * after each pass and may cut: positions beyond it are undefined.
 */
export interface KvSequence extends History {
  /** Whether it was opened with a prompt rather than forked: only prompts are cached. */
  readonly opened: boolean
  /** Cached KV is shared only with sequences of the same salt. */
  readonly salt: string
  /** First position whose hidden states are pooled: a prefix-cache hit ends before it. */
  readonly poolFrom: number
  /** Takes note of its first tokens having KV, which was found in the prefix cache. */
  adopt (numCachedTokens: number): void
}

/** Changes nothing while a forward pass runs, but for `fork` and `free`, which move no KV that the pass reads. */
export interface KvManager<S extends KvSequence> {
  /** Bytes of keys and values of one position. */
  readonly bytesPerToken: number
  /** Tokens whose KV open sequences hold, a shared prompt counted once. */
  readonly usedTokens: number
  /** Bytes that the prefix cache holds. */
  readonly cachedBytes: number
  /** Tokens that there is room for, together; no limit where room is counted in sequences. */
  readonly maxTokens: number
  /** Whether a fork takes room only for what it does not share with its parent. */
  readonly sharesForks: boolean

  /** Takes up a sequence that has no KV yet. */
  open (sequence: S): void
  /** Takes up a child that holds all that its parent holds. */
  fork (parent: S, child: S): void
  /** Whether the sequence can be run: its KV, and room for more, is where the executor reads it. */
  isResident (sequence: S): boolean
  /**
   * Makes a sequence resident, with all the KV that is there for it: its own, its parent's, or, for a prompt, the
   * longest prefix that is cached or held by another of its salt.
   * @param mayPreempt whether a resident sequence may be swapped out for it; it comes back with the same bits
   * @returns whether there was room
   */
  allocate (sequence: S, mayPreempt: (resident: S) => boolean): boolean
  /** Whether a decode row of each can be in one sub-batch; others in a step take longer. */
  canBatch (a: S, b: S): boolean
  /** Stores all that a resident sequence holds once, for itself and all that will be forked from it. */
  sharePrompt (sequence: S): void
  /** Puts what there is of a resident sequence's prompt into the prefix cache. */
  cachePrompt (sequence: S): void
  /** Lets go of a sequence; its prompt stays cached. */
  free (sequence: S): void

  /** Throws if the books disagree. For tests, between steps. */
  checkIntegrity (): void
  dispose (): void
}
