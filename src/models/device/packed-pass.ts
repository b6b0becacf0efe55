/** What a packed run is fed: its checks, and its inputs by the graph's names. */
import { Tensor, type DataType, type TensorData } from '../../runtime/tensor.js'
import type { DeviceDecoder, PackedPass } from './device-decoder.js'

/** What a pass must fit. */
export type PassLimits = Pick<DeviceDecoder, 'layers' | 'numBlocks' | 'blockSize' | 'maxBlocksPerSequence'>

const isWithin = (values: Iterable<number>, size: number): boolean => {
  for (const value of values) if (!(value >= 0 && value < size)) return false
  return true
}

function checkSequences (
  { tokenIds, cumulativeLengths, pastLengths, blockTables, longestPart, longestSequence }: PackedPass,
  { numBlocks, maxBlocksPerSequence, blockSize }: PassLimits
): string | null {
  const count = pastLengths.length
  if (cumulativeLengths.length !== count + 1 || blockTables.length !== count * maxBlocksPerSequence) {
    return `lengths and block tables of ${count} sequences do not fit each other`
  }
  if (cumulativeLengths[0] !== 0 || cumulativeLengths[count] !== tokenIds.length) {
    return `cumulative lengths must go from 0 to ${tokenIds.length}`
  }
  if (!isWithin(blockTables, numBlocks)) return `block tables must hold numbers of the ${numBlocks} blocks`
  for (let sequence = 0; sequence < count; sequence++) {
    const part = cumulativeLengths[sequence + 1]! - cumulativeLengths[sequence]!
    const length = pastLengths[sequence]! + part
    if (part < 1 || pastLengths[sequence]! < 0) return `sequence ${sequence} has ${part} tokens to run`
    // Bounds that are too small give wrong numbers without an error.
    if (part > longestPart || length > longestSequence) return `sequence ${sequence} exceeds the bounds of attention`
    if (length > maxBlocksPerSequence * blockSize) return `sequence ${sequence} exceeds its block table`
  }
  return null
}

function checkRows (
  { tokenIds, rows, inverseTemperatures, logitRows, stateLayers, stateRows }: PackedPass, { layers }: PassLimits
): string | null {
  if (!isWithin(rows, tokenIds.length) || !isWithin(stateRows, tokenIds.length)) return 'rows must be tokens of the run'
  if (!isWithin(logitRows, rows.length)) return 'rows of logits must be rows of the run'
  if (inverseTemperatures.length !== rows.length) return 'every row needs a temperature'
  if (!isWithin(stateLayers, layers + 1)) return `layers are numbers from 0 to ${layers}`
  if ((stateLayers.length > 0) !== (stateRows.length > 0)) return 'layers need rows, and rows layers'
  return rows.length === 0 && stateLayers.length === 0 ? 'a run must give rows or hidden states' : null
}

/** @throws Error for a pass that the device would compute wrongly, or write into blocks of others for */
export function checkPass (pass: PackedPass, limits: PassLimits): void {
  const problem = checkSequences(pass, limits) ?? checkRows(pass, limits)
  if (problem !== null) throw new Error(`a packed run: ${problem}`)
}

/** Tensors of the host for a pass, by the names of the graph's inputs. The cache is not among them. */
export function passTensors (pass: PackedPass, { maxBlocksPerSequence }: PassLimits): Map<string, Tensor> {
  const tensors = new Map<string, Tensor>()
  const add = (name: string, type: DataType, dims: readonly number[], data: TensorData): void => {
    tensors.set(name, Tensor.from(type, dims, data))
  }
  const { tokenIds, cumulativeLengths, pastLengths, blockTables, rows, logitRows, stateRows } = pass
  add('input_ids', 'int32', [tokenIds.length], tokenIds)
  add('cumulative', 'int32', [cumulativeLengths.length], cumulativeLengths)
  add('past', 'int32', [pastLengths.length], pastLengths)
  add('block_table', 'int32', [pastLengths.length, maxBlocksPerSequence], blockTables)
  add('attention_metadata', 'int32', [2], Int32Array.of(pass.longestPart, pass.longestSequence))
  if (stateRows.length > 0) add('state_rows', 'int32', [stateRows.length], stateRows)
  if (rows.length > 0) {
    add('rows', 'int32', [rows.length], rows)
    add('inverse_temperature', 'float32', [rows.length, 1], pass.inverseTemperatures)
    if (logitRows.length > 0) add('logit_rows', 'int32', [logitRows.length], Int32Array.from(logitRows))
  }
  return tensors
}
