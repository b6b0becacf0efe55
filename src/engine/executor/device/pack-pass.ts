/**
 * One pass as a device takes it. It is filled up, so that a row has the same bits in any company: to at least as many
 * tokens as its attention kernel is chosen from, and to four tokens and four rows of logits, from which on matrix
 * products are computed one way. Fillers are written to a block of nobody's.
 */
import type { PackedPass } from '../../../models/device/device-decoder.js'
import { decodeRun, prefillRun, shortRun } from '../../kv/history.js'

/** The block that fillers are written to. */
export const fillerBlock = 0

/** Products of matrices in blocks of 32 have another kernel for fewer rows. */
const minRows = 4

/** By the way that positions are run the fewest tokens of a sequence that its kernel is said to be for. */
const leastPart: ReadonlyMap<number, number> = new Map([[decodeRun, 1], [shortRun, 4], [prefillRun, 32]])

/** The fewest tokens of a pass. */
const minTokens = (run: number): number => Math.max(minRows, leastPart.get(run)!)

/** The next tokens of one sequence. */
export interface PackedPart {
  readonly tokens: readonly number[]
  /** Positions before them. */
  readonly past: number
  readonly blocks: readonly number[]
  /** First of these tokens after which distributions are wanted, up to the last; their number for none. */
  readonly firstRow: number
  /** Whether all logits of these rows are wanted. */
  readonly wantsLogits: boolean
  readonly inverseTemperature: number
  /** First of these tokens whose hidden states are wanted, up to the last; their number for none. */
  readonly firstState: number
}

/** Where the rows of a part are in the output of its pass. */
export interface Place { readonly row: number, readonly state: number }

export interface Packed {
  readonly pass: PackedPass
  /** As the parts. */
  readonly places: readonly Place[]
  /** Tokens that nobody asked for. */
  readonly numFillers: number
}

/** Fillers that make so many tokens: sequences of one token where all of a pass have one, else a single one. */
function fillers (count: number, run: number): PackedPart[] {
  if (count <= 0) return []
  const length = run === decodeRun ? 1 : count
  const filler: PackedPart = {
    tokens: new Array<number>(length).fill(0),
    past: 0,
    blocks: [fillerBlock],
    firstRow: length,
    wantsLogits: false,
    inverseTemperature: 1,
    firstState: length
  }
  return new Array<PackedPart>(count / length).fill(filler)
}

/** Sums before each number, and after the last. */
function sums (counts: readonly number[]): number[] {
  const all = [0]
  for (const count of counts) all.push(all.at(-1)! + count)
  return all
}

/** Numbers from `first` to `end`. */
const range = (first: number, end: number): number[] => Array.from({ length: end - first }, (_, index) => first + index)

/**
 * @param run how all parts are run
 * @param layers whose hidden states are wanted, ascending
 * @param tableWidth blocks of a row of block tables
 */
export function packPass (
  wanted: readonly PackedPart[], run: number, layers: readonly number[], tableWidth: number
): Packed {
  const numTokens = wanted.reduce((sum, { tokens }) => sum + tokens.length, 0)
  const numFillers = Math.max(0, minTokens(run) - numTokens)
  const parts = [...wanted, ...fillers(numFillers, run)]
  const starts = sums(parts.map(({ tokens }) => tokens.length))
  const rowsOf = parts.map(({ firstRow }, part) => range(starts[part]! + firstRow, starts[part + 1]!))
  const rows = rowsOf.flat()
  const rowStarts = sums(rowsOf.map(own => own.length))
  const states = parts.map(({ firstState }, part) => range(starts[part]! + firstState, starts[part + 1]!))
  const stateStarts = sums(states.map(own => own.length))
  const logitRows = parts.flatMap(({ wantsLogits }, part) =>
    wantsLogits ? range(rowStarts[part]!, rowStarts[part + 1]!) : [])
  const temperatures = parts.flatMap(({ inverseTemperature }, part) => rowsOf[part]!.map(() => inverseTemperature))
  // A row that is asked for twice is two rows.
  while (rows.length > 0 && rows.length < minRows) {
    rows.push(rows[0]!)
    temperatures.push(1)
  }
  const pass: PackedPass = {
    tokenIds: Int32Array.from(parts.flatMap(({ tokens }) => tokens)),
    cumulativeLengths: Int32Array.from(starts),
    pastLengths: Int32Array.from(parts, ({ past }) => past),
    blockTables: blockTables(parts, tableWidth),
    longestPart: Math.max(leastPart.get(run)!, ...parts.map(({ tokens }) => tokens.length)),
    longestSequence: Math.max(...parts.map(({ tokens, past }) => past + tokens.length)),
    rows: Int32Array.from(rows),
    inverseTemperatures: Float32Array.from(temperatures),
    logitRows,
    stateLayers: layers,
    stateRows: Int32Array.from(layers.length > 0 ? states.flat() : [])
  }
  return { pass, numFillers, places: wanted.map((_, part) => ({ row: rowStarts[part]!, state: stateStarts[part]! })) }
}

function blockTables (parts: readonly PackedPart[], width: number): Int32Array {
  const tables = new Int32Array(parts.length * width).fill(fillerBlock)
  for (const [index, { blocks }] of parts.entries()) tables.set(blocks, index * width)
  return tables
}
