/** Rows of a run: sorted by the host as by the device's graph, which runs on the processor here. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sampledRows, sortedRows } from '../../../../src/models/device/pass-output.js'
import { samplingColumns, writeSampling } from '../../../../src/models/device/sampling-graph.js'
import { GraphWriter } from '../../../../src/runtime/graph.js'
import { Session } from '../../../../src/runtime/session.js'
import { Tensor } from '../../../../src/runtime/tensor.js'
import { randomNumbers } from '../../../../src/models/self-test/finding.js'

/** Logits on a coarse grid, so that many are equal, also across the parts that are sorted apart. */
function logitsOf (rows: number, size: number): Float32Array {
  const random = randomNumbers(5)
  return Float32Array.from({ length: rows * size }, () => Math.round(40 * random() ** 3) / 2)
}

async function onGraph (logits: Float32Array, temperatures: Float32Array, topK: number): Promise<Float32Array> {
  const rows = temperatures.length
  const size = logits.length / rows
  const graph = new GraphWriter()
  graph.input('x', 'float32', ['rows', size])
  graph.input('inverse_temperature', 'float32', ['rows', 1])
  graph.node('Identity', ['x'], ['logits'])
  writeSampling(graph, size, topK)
  const session = await Session.create(graph.finish(), { threads: 1 })
  const sampling = Tensor.allocate('float32', [rows, samplingColumns(topK)])
  await session.run(new Map([['x', Tensor.from('float32', [rows, size], logits)],
    ['inverse_temperature', Tensor.from('float32', [rows, 1], temperatures)]]), new Map([['sampling', sampling]]))
  session.dispose()
  return (sampling.data as Float32Array).slice()
}

for (const [size, topK] of [[3, 3], [128, 128], [300, 128], [2048, 128], [2049, 128], [5000, 128], [49_152, 128]]) {
  test(`${topK} of ${size} logits: order, ties and normalisers as by the definition`, async () => {
    const inverseTemperatures = Float32Array.of(1, 0.5, 2)
    const logits = logitsOf(3, size!)
    const host = sortedRows(logits, inverseTemperatures, topK!)
    for (const [row, inverseTemperature] of inverseTemperatures.entries()) {
      const own = [...logits.subarray(row * size!, (row + 1) * size!)]
      const ids = own.map((_, id) => id).sort((a, b) => own[b]! - own[a]! || a - b).slice(0, topK)
      assert.deepEqual([...host.topIds.subarray(row * topK!, (row + 1) * topK!)], ids)
      assert.deepEqual([...host.topLogits.subarray(row * topK!, (row + 1) * topK!)], ids.map(id => own[id]))
      const sum = (by: number): number => Math.log(own.reduce((total, logit) => total + Math.exp(by * logit), 0))
      assert.ok(Math.abs(host.logNormalizers[row]! - sum(1)) < 1e-5)
      assert.ok(Math.abs(host.temperedLogNormalizers[row]! - sum(inverseTemperature)) < 1e-5)
    }
    const device = sampledRows(await onGraph(logits, inverseTemperatures, topK!), 3, topK!)
    assert.deepEqual([device.topIds, device.topLogits], [host.topIds, host.topLogits])
    for (const kind of ['logNormalizers', 'temperedLogNormalizers'] as const) {
      for (const [row, value] of device[kind].entries()) assert.ok(Math.abs(value - host[kind][row]!) < 1e-4, kind)
    }
  })
}
