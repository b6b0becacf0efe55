/** Weights in a device's memory that are larger than what the process has of its own. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GraphWriter } from '../../src/runtime/graph.js'
import { Tensor } from '../../src/runtime/tensor.js'
import { openTestDevice } from '../helpers/device-model.js'

test('weights of 128 MB are shared by sessions, also after one was disposed', async t => {
  const { device } = await openTestDevice()
  t.after(() => device.close())
  const [columns, outputs] = [1024, 1 << 15]
  const graph = new GraphWriter()
  graph.input('x', 'float32', ['rows', columns])
  graph.node('MatMul', ['x', graph.external('w', 'float32', [columns, outputs])], ['y'])
  graph.output('y', 'float32', ['rows', outputs])
  // Devices clear what they hand out.
  const weights = new Map([['w', await device.allocate('float32', [columns, outputs])]])
  for (let turn = 0; turn < 2; turn++) {
    const session = await device.compile(graph.finish(), weights)
    const x = Tensor.from('float32', [1, columns], new Float32Array(columns).fill(1))
    const y = Tensor.from('float32', [1, outputs], new Float32Array(outputs).fill(1))
    await device.run(session, new Map([['x', x]]), new Map([['y', y]]))
    assert.ok((y.data as Float32Array).every(value => value === 0))
    for (const tensor of [x, y]) tensor.dispose()
    await device.dispose([session])
  }
  await device.free(weights.values())
})
