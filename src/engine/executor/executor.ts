/**
 * The executor: runs what was scheduled where the weights are, in as many forward passes as it takes, and gives back
 * distributions and hidden states. It alone knows graphs, their inputs and a device; it reads and writes KV where the
 * KV manager of the same device holds it. `cpu/` runs over slots of host memory, `device/` over blocks of a device's;
 * `engine-parts.ts` chooses.
 */
import type { DecoderCounters } from '../../models/device/device-decoder.js'
import type { HiddenBasis } from '../../models/hidden-basis.js'
import type { HiddenState } from '../hidden-states.js'
import type { ScheduledBatch } from '../scheduler/scheduler.js'
import type { OutputRow } from './output-row.js'

/** An open sequence as an executor sees it. */
export interface ExecutableSequence {
  readonly tokens: readonly number[]
  /** Positions that have KV. */
  readonly numComputedTokens: number
  /** Of its temperature; 1 where that is 0. */
  readonly inverseTemperature: number
  /** Layers whose hidden states are wanted. */
  readonly layers: readonly number[]
  /** Whether a distribution is wanted after every position of a chunk, not only after the last. */
  readonly wantsEveryPosition: boolean
  /** Whether its outputs are no longer needed. */
  readonly isClosed: boolean
}

/** What a pass gives for one sequence. */
export interface SequenceOutput {
  /** Positions that were run. */
  readonly numNewTokens: number
  /** By layer that is wanted the hidden states of these positions, [numNewTokens, D]. Valid until the next pass. */
  readonly hidden: ReadonlyMap<number, Float32Array>
  /**
   * The distribution after one of these positions, the last one where no others are wanted: top-k and normalisers, and
   * on demand all logits, which are copied only if the row is still held when the next step begins.
   * @param position 0 to numNewTokens − 1
   * @param states what the output holds beside, of which means cover so many positions
   */
  row (position: number, states: ReadonlyMap<number, HiddenState>, pooledTokens: number): OutputRow
}

/** One forward pass. A pass that fails has changed nothing that counts. */
export interface PassOutput<S> {
  readonly sequences: readonly S[]
  /** As the sequences; null where the pass failed. */
  readonly outputs: readonly SequenceOutput[] | null
  /** Why it failed. */
  readonly error?: unknown
}

/** Counters since the executor was made. */
export interface ExecutorCounters {
  runs: number
  /** Rows run by decode batches, wanted or padding. */
  decodeRows: number
  paddingRows: number
  prefillTokens: number
  probedTokens: number
  /** Time in forward passes, ms. */
  forwardMs: number
}

export interface Executor<S extends ExecutableSequence> {
  readonly counters: Readonly<ExecutorCounters>
  /** What went to a device and came from it since it was opened; null where the processor runs all. */
  readonly deviceCounters: Readonly<DecoderCounters> | null
  /** Width D of a hidden state. */
  readonly hiddenSize: number
  /** How hidden states of its outputs are read; null: as they are. */
  readonly hiddenBasis: HiddenBasis | null
  /** Whether sequences can share their prompt's KV with bits that do not depend on each other. */
  readonly canSharePrompts: boolean

  /**
   * Runs a step's decode rows and prefill chunks. Before each pass sequences that were closed meanwhile are left out.
   * @throws Error for what fails outside of a pass, such as memory that is refused
   */
  execute (batch: Pick<ScheduledBatch<S>, 'decode' | 'prefill'>): AsyncIterable<PassOutput<S>>

  /** Waits until sequences that want these layers can be probed. */
  prepareProbes (layers: readonly number[]): Promise<void>
  /**
   * Hidden states that would follow a sequence's last token on some branches; nothing above the layers that it wants is
   * run, and none of its KV changes. In one pass of its own.
   * @param branches tokens that may come next
   * @returns by layer those of all branches' tokens, one after the other, [tokens, D]. Valid until the next pass
   */
  probe (sequence: S, branches: ReadonlyArray<readonly number[]>): Promise<ReadonlyMap<number, Float32Array>>

  dispose (): void | Promise<void>
}
