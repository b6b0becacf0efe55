/**
 * Which sequences run in a step and how many tokens of each: decode rows first, then prefill chunks within a budget of
 * tokens, then look-ahead, as far as the KV manager has room. Knows sequences by their counts alone; how the executor
 * batches what is scheduled is its own affair.
 */
import type { SchedulingProfile } from '../device-profile.js'
import type { KvManager, KvSequence } from '../kv/kv-manager.js'
import { chooseRows, streamStepBudget } from './fairness.js'
import { cutChunks, type PrefillChunk } from './prefill-chunks.js'

/** A sequence as it is scheduled. */
export interface SchedulableSequence extends KvSequence {
  /** Tokens that the awaited output needs run. */
  readonly numNewTokens: number
  /** Whether they run one by one, as decode rows, rather than in prefill chunks. */
  readonly isDecode: boolean
  /** Whether probes of it are awaited, and so no output. */
  readonly isProbed: boolean
  /** Whether it is a stream: see fairness.ts. */
  readonly isStream: boolean
}

/** What a step runs. */
export interface ScheduledBatch<S> {
  /** One new token each. */
  readonly decode: readonly S[]
  readonly prefill: ReadonlyArray<PrefillChunk<S>>
  readonly probed: readonly S[]
  /** Passes that probes may take in this step. */
  readonly maxProbePasses: number
}

export class Scheduler {
  readonly #profile: SchedulingProfile
  readonly #maxPrefillTokens: number

  /** @param maxPrefillTokens prompt tokens in one step */
  constructor (profile: SchedulingProfile, maxPrefillTokens: number) {
    this.#profile = profile
    this.#maxPrefillTokens = maxPrefillTokens
  }

  /**
   * @param waiting for an output or for probes, oldest first
   * @param isContended whether another engine waits for the device: the step should be short
   */
  schedule<S extends SchedulableSequence> (
    waiting: ReadonlySet<S>, kv: Pick<KvManager<S>, 'isResident' | 'allocate' | 'canBatch'>, isContended: boolean
  ): ScheduledBatch<S> {
    this.#allocate(waiting, kv)
    const resident = [...waiting].filter(sequence => kv.isResident(sequence))
    const probed = resident.filter(sequence => sequence.isProbed)
    const asked = resident.filter(sequence => !sequence.isProbed)
    const prompts = asked.filter(sequence => !sequence.isDecode)
    const { rows, besideStream } = chooseRows(asked.filter(sequence => sequence.isDecode),
      (a, b) => kv.canBatch(a, b), probed.some(sequence => sequence.isStream), this.#profile)
    const budget = besideStream || isContended
      ? streamStepBudget(rows.length, prompts.length, this.#maxPrefillTokens, this.#profile)
      : this.#maxPrefillTokens
    return {
      decode: rows,
      prefill: cutChunks(prompts, budget, this.#profile.attentionBlock),
      probed,
      maxProbePasses: isContended || rows.some(row => row.isStream) ? 1 : Infinity
    }
  }

  /** Room for those that wait, as far as there is any: idle sequences are preempted, and searches for streams. */
  #allocate<S extends SchedulableSequence> (
    waiting: ReadonlySet<S>, kv: Pick<KvManager<S>, 'isResident' | 'allocate'>
  ): void {
    for (const sequence of waiting) {
      if (kv.isResident(sequence) || kv.allocate(sequence, resident => !waiting.has(resident))) continue
      if (sequence.isStream) kv.allocate(sequence, resident => !resident.isStream)
    }
  }
}
