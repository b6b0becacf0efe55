/** What a packed run's tensors say, row by row: as the device sorted them, or all logits, sorted here. */
import type { PackedOutput } from './device-decoder.js'
import { samplingColumns } from './sampling-graph.js'

/** The distributions of a run's rows. */
export type Distributions = Omit<PackedOutput, 'hidden' | 'logits'>

const newDistributions = (rows: number, topK: number): Distributions => ({
  topIds: new Int32Array(rows * topK),
  topLogits: new Float32Array(rows * topK),
  logNormalizers: new Float32Array(rows),
  temperedLogNormalizers: new Float32Array(rows)
})

/** @param sampling the graph's output of that name, [R, 2K + 2] */
export function sampledRows (sampling: Float32Array, rows: number, topK: number): Distributions {
  const out = newDistributions(rows, topK)
  const width = samplingColumns(topK)
  for (let row = 0; row < rows; row++) {
    const from = row * width
    out.topLogits.set(sampling.subarray(from, from + topK), row * topK)
    out.topIds.set(sampling.subarray(from + topK, from + 2 * topK), row * topK)
    out.logNormalizers[row] = sampling[from + 2 * topK]!
    out.temperedLogNormalizers[row] = sampling[from + 2 * topK + 1]!
  }
  return out
}

/** The ids of the largest logits in descending order, ties by lower id. */
function largest (logits: Float32Array, count: number): number[] {
  const least = logits.slice().sort()[logits.length - count]!
  const [above, equal]: [number[], number[]] = [[], []]
  for (let id = 0; id < logits.length; id++) {
    if (logits[id]! > least) above.push(id)
    else if (logits[id] === least) equal.push(id)
  }
  above.sort((a, b) => logits[b]! - logits[a]! || a - b)
  return [...above, ...equal.slice(0, count - above.length)]
}

function logNormalizer (logits: Float32Array, peak: number, inverseTemperature: number): number {
  let sum = 0
  for (const logit of logits) sum += Math.exp((logit - peak) * inverseTemperature)
  return peak * inverseTemperature + Math.log(sum)
}

/** The same from all logits, [R, V]. */
export function sortedRows (logits: Float32Array, inverseTemperatures: Float32Array, topK: number): Distributions {
  const rows = inverseTemperatures.length
  const out = newDistributions(rows, topK)
  const size = logits.length / rows
  for (let row = 0; row < rows; row++) {
    const own = logits.subarray(row * size, (row + 1) * size)
    const ids = largest(own, topK)
    out.topIds.set(ids, row * topK)
    out.topLogits.set(ids.map(id => own[id]!), row * topK)
    out.logNormalizers[row] = logNormalizer(own, own[ids[0]!]!, 1)
    out.temperedLogNormalizers[row] = logNormalizer(own, own[ids[0]!]!, inverseTemperatures[row]!)
  }
  return out
}
