/**
 * Which sequences run in a step and how many tokens of each: decode rows first, then prefill chunks within a budget of
 * tokens, then look-ahead, as far as the KV manager has room. Knows sequences by their counts alone; how the executor
 * batches what is scheduled is its own affair.
 */
import type { SchedulingProfile } from '../device-profile.js'
import type { KvManager, KvSequence } from '../kv/kv-manager.js'
import { chooseRows, countByCaller, promptsBeside, streamStepBudget, type Owned } from './fairness.js'
import { PrefillTurns, type PrefillChunk } from './prefill-chunks.js'

/** A sequence as it is scheduled. */
export interface SchedulableSequence extends KvSequence, Owned {
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

/** Where sequences run. */
type Room<S extends SchedulableSequence> = Pick<KvManager<S>, 'isResident' | 'allocate' | 'canBatch'>

export class Scheduler {
  readonly #profile: SchedulingProfile
  readonly #maxPrefillTokens: number
  readonly #turns: PrefillTurns
  /** Whether the last step beside a stream read other callers' prompts. */
  #readOthers = false

  /** @param maxPrefillTokens prompt tokens in one step */
  constructor (profile: SchedulingProfile, maxPrefillTokens: number) {
    this.#profile = profile
    this.#maxPrefillTokens = maxPrefillTokens
    this.#turns = new PrefillTurns(profile.minCallerPrefillTokens)
  }

  /**
   * @param waiting for an output or for probes, oldest first
   * @param isContended whether another engine waits for the device: the step should be short
   */
  schedule<S extends SchedulableSequence> (
    waiting: ReadonlySet<S>, kv: Room<S>, isContended: boolean
  ): ScheduledBatch<S> {
    this.#allocate(waiting, kv)
    const resident = [...waiting].filter(sequence => kv.isResident(sequence))
    const probed = resident.filter(sequence => sequence.isProbed)
    const asked = resident.filter(sequence => !sequence.isProbed)
    const chosen = chooseRows(asked.filter(sequence => sequence.isDecode), probed, (a, b) => kv.canBatch(a, b),
      this.#profile)
    const { streamCallers } = chosen
    const { rows, prompts } =
      this.#besideStreams(chosen.rows, asked.filter(sequence => !sequence.isDecode), streamCallers)
    const budget = this.#prefillBudget(rows.length, prompts, streamCallers, isContended)
    return {
      decode: rows,
      prefill: this.#turns.cut(prompts, budget, this.#profile.attentionBlock),
      probed,
      maxProbePasses: isContended || rows.some(row => row.isStream) ? 1 : Infinity
    }
  }

  /** Of callers without a stream that waits for the step rows and prompts run in turn: both take twice as long. */
  #besideStreams<S extends SchedulableSequence> (
    rows: readonly S[], prompts: readonly S[], streamCallers: ReadonlySet<string>
  ): { rows: readonly S[], prompts: readonly S[] } {
    const isOwn = ({ caller }: S): boolean => streamCallers.size === 0 || streamCallers.has(caller)
    if (rows.every(isOwn) || prompts.every(isOwn)) return { rows, prompts }
    this.#readOthers = !this.#readOthers
    return this.#readOthers ? { rows: rows.filter(isOwn), prompts } : { rows, prompts: prompts.filter(isOwn) }
  }

  /** Prompt tokens of the step: few where streams or another engine wait for it. */
  #prefillBudget (
    rows: number, prompts: readonly SchedulableSequence[], streamCallers: ReadonlySet<string>, isContended: boolean
  ): number {
    if (streamCallers.size === 0 && !isContended) return this.#maxPrefillTokens
    const counted = streamCallers.size === 0 ? prompts.length : promptsBeside(streamCallers, prompts)
    return streamStepBudget(rows, counted, this.#maxPrefillTokens, this.#profile)
  }

  /**
   * Room for those that wait, as far as there is any: idle sequences are preempted, searches for streams, and those of
   * the callers that have more for those that have less.
   */
  #allocate<S extends SchedulableSequence> (waiting: ReadonlySet<S>, kv: Room<S>): void {
    let counts: ReadonlyMap<string, number> | null = null
    for (const sequence of waiting) {
      if (kv.isResident(sequence) || kv.allocate(sequence, resident => !waiting.has(resident))) continue
      if (sequence.isStream && kv.allocate(sequence, resident => !resident.isStream)) continue
      const held = counts ??= countByCaller([...waiting].filter(other => kv.isResident(other)))
      const heldBy = ({ caller }: S): number => held.get(caller) ?? 0
      if (kv.allocate(sequence, resident => heldBy(resident) > heldBy(sequence) + 1)) counts = null
    }
    // Where those that wait hold what they wait for, the oldest gets it.
    const [oldest] = waiting
    if (oldest && ![...waiting].some(sequence => kv.isResident(sequence))) kv.allocate(oldest, () => true)
  }
}
