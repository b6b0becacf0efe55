/**
 * A planned run as numbers: which tokens it computes, of which sequence each is, and whose logits are wanted. Knows no
 * tensors.
 */
import type { PartInputs, ProbeInputs, RunInputs } from './batch.js'
import type { EngineSequence, Probe } from '../engine-sequence.js'
import type { Chunk, DecodeRun } from '../scheduler/plan.js'
import type { Seating } from '../kv/slots/seating.js'

/** Where a sequence is in a run: its positions, the first of them among all, and the row of logits of the last. */
export interface Place { readonly positions: number, readonly first: number, readonly lastRow: number }

/** A run as numbers, and the place of each sequence whose outputs are wanted. */
export interface Planned { readonly inputs: RunInputs, readonly places: readonly Place[] }

/** The last token of each wanted row, part after part. */
export function decodeInputs ({ parts }: DecodeRun, seating: Pick<Seating, 'owner' | 'nextPosition'>): Planned {
  const ids: number[] = []
  const [rows, inverseTemperatures]: [number[], number[]] = [[], []]
  const partInputs = parts.map((part): PartInputs => {
    const first = ids.length
    // A row that rides along may hold any token.
    ids.push(...new Array<number>(part.count).fill(0))
    for (const row of part.rows) {
      const owner = seating.owner(part.slot + row)!
      ids[first + row] = owner.tokens[owner.computed]!
      rows.push(first + row)
      inverseTemperatures.push(owner.inverseTemperature)
    }
    return {
      lengths: Array.from({ length: part.count }, (_, row) => seating.nextPosition(part.slot + row) + 1),
      prompt: part.shared
    }
  })
  return {
    inputs: { ids, parts: partInputs, rows, inverseTemperatures },
    places: rows.map((first, lastRow) => ({ positions: 1, first, lastRow }))
  }
}

/** Positions of prompts, chunk after chunk. @param owners of the chunks, in their order */
export function chunkInputs (owners: readonly EngineSequence[], chunks: readonly Chunk[]): Planned {
  const [ids, rows, inverseTemperatures]: [number[], number[], number[]] = [[], [], []]
  const places = owners.map((owner, index): Place => {
    const [first, { count }] = [ids.length, chunks[index]!]
    ids.push(...owner.tokens.slice(owner.computed, owner.computed + count))
    const wanted = owner.options.onPosition || owner.wantsAll
      ? Array.from({ length: count }, (_, row) => first + row)
      : [first + count - 1]
    rows.push(...wanted)
    inverseTemperatures.push(...wanted.map(() => owner.inverseTemperature))
    return { positions: count, first, lastRow: rows.length - 1 }
  })
  const parts = owners.map((owner, index): PartInputs => {
    const { count } = chunks[index]!
    return { lengths: [owner.computed + count], prompt: null, ...(chunks.length > 1 ? { positions: count } : {}) }
  })
  return { inputs: { ids, parts, rows, inverseTemperatures }, places }
}

/** Branches that begin where a sequence ends. Each token sees those before it in its own branch. */
export function probeInputs ({ tokens: { length } }: EngineSequence, probes: readonly Probe[]): ProbeInputs {
  const places = probes.flatMap(({ tokens }, branch) => tokens.map((token, at) => ({ token, branch, at })))
  const sees = (one: typeof places[number], other: typeof places[number]): boolean =>
    one.branch === other.branch && one.at >= other.at
  return {
    ids: places.map(({ token }) => token),
    positions: places.map(({ at }) => length + at),
    branches: places.flatMap(one => places.map(other => sees(one, other) ? 0 : -Infinity)),
    length
  }
}
