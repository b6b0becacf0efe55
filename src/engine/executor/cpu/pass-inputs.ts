/**
 * A planned pass as numbers: which tokens it computes, of which sequence each is, and whose logits are wanted. Knows no
 * tensors.
 */
import type { KvSequence } from '../../kv/kv-manager.js'
import type { SharedPrompt } from '../../kv/slots/shared-prompt.js'
import type { ExecutableSequence } from '../executor.js'
import type { Pass, SubBatch } from './batch-planner.js'

/** One sub-batch as numbers. */
export interface SubBatchInputs {
  /** Tokens in each row's slot after the pass. */
  readonly lengths: readonly number[]
  /** The prompt that the rows share, outside their slots; null where there is none. */
  readonly prompt: SharedPrompt | null
  /** Positions of the chunk that is the sub-batch, in a pass of several. */
  readonly positions?: number
}

/** One pass as numbers. */
export interface PassInputs {
  /** [batch, steps], row-major, the sub-batches' rows one after the other. */
  readonly ids: readonly number[]
  readonly subBatches: readonly SubBatchInputs[]
  /** Flat indices into ids whose logits are wanted, ≥ 1. */
  readonly rows: readonly number[]
  readonly inverseTemperatures: readonly number[]
}

/** Probes of one sequence as numbers. */
export interface ProbeInputs {
  readonly ids: readonly number[]
  /** Place of each id's token in the whole sequence: branches all begin where it ends. */
  readonly positions: readonly number[]
  /** [ids, ids], row-major: 0 where the one of the row sees the other, −∞ where it does not. */
  readonly branches: readonly number[]
  /** Tokens of the sequence that all of them follow. */
  readonly length: number
}

/** Where a sequence is in a pass: its positions, the first of them among all, and the row of logits of the last. */
export interface Place { readonly positions: number, readonly first: number, readonly lastRow: number }

/** A pass as numbers, and the place of each of its sequences. */
export interface PlacedInputs { readonly inputs: PassInputs, readonly places: readonly Place[] }

type CpuSequence = ExecutableSequence & KvSequence

/**
 * The inputs of a pass.
 * @param nextPosition of a slot, where padding writes
 */
export function passInputs<S extends CpuSequence> (
  pass: Pass<S>, nextPosition: (slot: number) => number
): PlacedInputs {
  return pass.isPrefill ? prefillInputs(pass.subBatches) : decodeInputs(pass.subBatches, nextPosition)
}

/** The last token of each wanted row, sub-batch after sub-batch. */
function decodeInputs<S extends CpuSequence> (
  subBatches: ReadonlyArray<SubBatch<S>>, nextPosition: (slot: number) => number
): PlacedInputs {
  const [ids, rows, inverseTemperatures]: [number[], number[], number[]] = [[], [], []]
  const inputs = subBatches.map(({ prompt, slot, count, rows: wanted }): SubBatchInputs => {
    const first = ids.length - slot
    // A padding row may hold any token.
    for (let row = 0; row < count; row++) ids.push(0)
    for (const { slot, sequence } of wanted) {
      ids[first + slot] = sequence.tokens[sequence.numComputedTokens]!
      rows.push(first + slot)
      inverseTemperatures.push(sequence.inverseTemperature)
    }
    return { lengths: Array.from({ length: count }, (_, row) => nextPosition(slot + row) + 1), prompt }
  })
  return {
    inputs: { ids, subBatches: inputs, rows, inverseTemperatures },
    places: rows.map((first, lastRow) => ({ positions: 1, first, lastRow }))
  }
}

/** Tokens of prompts, chunk after chunk. */
function prefillInputs<S extends CpuSequence> (subBatches: ReadonlyArray<SubBatch<S>>): PlacedInputs {
  const [ids, rows, inverseTemperatures]: [number[], number[], number[]] = [[], [], []]
  const places: Place[] = []
  const inputs = subBatches.map(({ rows: [placement], numNewTokens }): SubBatchInputs => {
    const { sequence } = placement!
    const [first, end] = [ids.length, sequence.numComputedTokens + numNewTokens]
    ids.push(...sequence.tokens.slice(sequence.numComputedTokens, end))
    for (let at = sequence.wantsEveryPosition ? 0 : numNewTokens - 1; at < numNewTokens; at++) {
      rows.push(first + at)
      inverseTemperatures.push(sequence.inverseTemperature)
    }
    places.push({ positions: numNewTokens, first, lastRow: rows.length - 1 })
    return { lengths: [end], prompt: null, ...(subBatches.length > 1 ? { positions: numNewTokens } : {}) }
  })
  return { inputs: { ids, subBatches: inputs, rows, inverseTemperatures }, places }
}

/** Branches that begin where a sequence ends. Each token sees those before it in its own branch. */
export function probeInputs (length: number, branches: ReadonlyArray<readonly number[]>): ProbeInputs {
  const places = branches.flatMap((tokens, branch) => tokens.map((token, at) => ({ token, branch, at })))
  const sees = (one: typeof places[number], other: typeof places[number]): boolean =>
    one.branch === other.branch && one.at >= other.at
  return {
    ids: places.map(({ token }) => token),
    positions: places.map(({ at }) => length + at),
    branches: places.flatMap(one => places.map(other => sees(one, other) ? 0 : -Infinity)),
    length
  }
}
