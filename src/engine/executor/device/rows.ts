/** Rows of a packed run as sequences hold them. */
import type { PackedOutput } from '../../../models/device/device-decoder.js'
import type { HiddenState } from '../../hidden-states.js'
import { OutputRow } from '../output-row.js'

/**
 * One row of a run's output.
 * @param size of a row of logits; if all are listed, they need not come from the device
 */
export function rowOf (
  output: PackedOutput, row: number, size: number, states: ReadonlyMap<number, HiddenState>, pooledTokens: number
): OutputRow {
  const listed = output.topIds.length / output.logNormalizers.length
  const topIds = output.topIds.slice(row * listed, (row + 1) * listed)
  const topLogits = output.topLogits.slice(row * listed, (row + 1) * listed)
  return new OutputRow({
    size,
    topIds,
    topLogits,
    logNormalizer: output.logNormalizers[row]!,
    temperedLogNormalizer: output.temperedLogNormalizers[row]!,
    logits: output.logits.get(row) ?? (listed === size ? allListed(topIds, topLogits) : null)
  }, states, pooledTokens)
}

function allListed (ids: Int32Array, values: Float32Array): Float32Array {
  const logits = new Float32Array(values.length)
  for (const [rank, id] of ids.entries()) logits[id] = values[rank]!
  return logits
}
