import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { GraphWriter } from '../../../src/runtime/graph.js'
import { Session, SharedWeights } from '../../../src/runtime/session.js'
import { Tensor } from '../../../src/runtime/tensor.js'

const threads = 1

/** y = x · w, with w [2, 2] outside the graph. */
function matrixProduct (): Uint8Array {
  const graph = new GraphWriter()
  graph.input('x', 'float32', ['rows', 2])
  graph.output('y', 'float32', ['rows', 2])
  graph.node('MatMul', ['x', graph.external('w', 'float32', [2, 2])], ['y'])
  return graph.finish()
}

const floats = (dims: readonly number[], ...values: number[]): Tensor =>
  Tensor.from('float32', dims, Float32Array.from(values))

test('two sessions share external weights and write into the tensors they are given', async () => {
  const weights = new SharedWeights(new Map([['w', floats([2, 2], 1, 2, 3, 4)]]))
  const sessions = await Promise.all([1, 2].map(() => Session.create(matrixProduct(), { weights, threads })))
  for (const session of sessions) {
    assert.deepEqual(session.inputNames, ['x'])
    assert.deepEqual(session.outputNames, ['y'])
    const y = Tensor.allocate('float32', [1, 2])
    await session.run(new Map([['x', floats([1, 2], 1, 10)]]), new Map([['y', y]]))
    assert.deepEqual([...y.data], [31, 42])
    y.dispose()
  }
  for (const session of sessions) session.dispose()
  weights.dispose()
})

test('a tensor that is input and output is changed in place', async () => {
  const graph = new GraphWriter()
  graph.input('x', 'float32', ['n'])
  graph.output('y', 'float32', ['n'])
  graph.node('Add', ['x', graph.constant('one', 'float32', [1], [1])], ['y'])
  const session = await Session.create(graph.finish(), { threads })
  const x = floats([3], 1, 2, 3)
  for (let turn = 0; turn < 2; turn++) await session.run(new Map([['x', x]]), new Map([['y', x]]))
  assert.deepEqual([...x.data], [3, 4, 5])
  session.dispose()
})

test('runs in flight finish before their session is released', async () => {
  const weights = new SharedWeights(new Map([['w', floats([2, 2], 1, 0, 0, 1)]]))
  const session = await Session.create(matrixProduct(), { weights, threads })
  const outputs = [floats([1, 2], 0, 0), floats([1, 2], 0, 0)]
  const runs = outputs.map((y, index) => session.run(new Map([['x', floats([1, 2], index, 5)]]), new Map([['y', y]])))
  session.dispose()
  session.dispose()
  await Promise.all(runs)
  assert.deepEqual(outputs.map(y => [...y.data]), [[0, 5], [1, 5]])
  await assert.rejects(session.run(new Map(), new Map()), /disposed/)
})

test('ONNX Runtime’s message reaches the caller, for a bad graph, a bad shape and an unknown name', async () => {
  await assert.rejects(Session.create(Buffer.from('not a model'), { threads }), /ONNX Runtime: .*protobuf/i)
  const weights = new SharedWeights(new Map([['w', floats([2, 2], 1, 0, 0, 1)]]))
  const session = await Session.create(matrixProduct(), { weights, threads })
  await assert.rejects(session.run(new Map([['x', floats([1, 3], 1, 2, 3)]]), new Map([['y', floats([1, 2], 0, 0)]])),
    /ONNX Runtime: .*dimension/i)
  assert.throws(() => session.run(new Map([['z', floats([1], 1)]]), new Map()), /no input or output "z"/)
  session.dispose()
})

test('a view writes into its parent, and a shape that does not fit is refused', () => {
  const parent = Tensor.allocate('int32', [2, 3])
  parent.data.fill(0 as never)
  parent.view(3, [3]).data.set([7, 8, 9] as never)
  assert.deepEqual([...parent.data], [0, 0, 0, 7, 8, 9])
  assert.throws(() => Tensor.from('float32', [2], new Float32Array(3)), /shape \[2\].*2 elements; got 3/)
  parent.dispose()
  parent.dispose()
  assert.throws(() => parent.address, /disposed/)
})

test('a large allocation takes no pages until it is written', () => {
  const before = process.memoryUsage.rss()
  const large = Tensor.allocate('float32', [1 << 28])
  assert.equal(large.sizeBytes, 2 ** 30)
  assert.ok(process.memoryUsage.rss() - before < 2 ** 27)
  ;(large.data as Float32Array)[(1 << 28) - 1] = 1
  large.dispose()
})

test('profiling writes a file of operator times', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'fairlead-profile-'))
  const weights = new SharedWeights(new Map([['w', floats([2, 2], 1, 0, 0, 1)]]))
  const session = await Session.create(matrixProduct(), { weights, threads, profilePrefix: join(directory, 'run') })
  await session.run(new Map([['x', floats([1, 2], 1, 2)]]), new Map([['y', floats([1, 2], 0, 0)]]))
  assert.match(readFileSync(session.endProfiling(), 'utf8'), /MatMul/)
  session.dispose()
  rmSync(directory, { recursive: true })
})

test('the library loads in a Worker beside the main thread', async () => {
  const library = new URL('../../../src/runtime/onnx-library.js', import.meta.url).href
  const worker = new Worker(`const { parentPort } = require('node:worker_threads'); import('${library}').then(({ ` +
    'loadOnnxRuntime }) => parentPort.postMessage(loadOnnxRuntime().version))', { eval: true })
  const version =
    await new Promise((resolve, reject) => { worker.once('message', resolve); worker.once('error', reject) })
  assert.equal(version, '1.30.0')
  await worker.terminate()
})

test('a graph that others wrote has exact products of integers, also where the processor would add them up ' +
  'in 16 bits', async () => {
  const [inputs, outputs] = [64, 32]
  const weights = Int8Array.from({ length: inputs * outputs }, (_, at) => at % 3 === 0 ? -127 : 127)
  const graph = new GraphWriter()
  graph.input('x', 'float32', ['rows', inputs])
  graph.output('y', 'int32', ['rows', outputs])
  // As ONNX Runtime's tool for dynamic quantisation writes it.
  graph.node('DynamicQuantizeLinear', ['x'], ['levels', 'scale', 'zero'])
  graph.node('MatMulInteger', ['levels', graph.external('w', 'int8', [inputs, outputs]), 'zero'], ['y'])
  const shared = new SharedWeights(new Map([['w', Tensor.from('int8', [inputs, outputs], weights)]]))
  const session = await Session.create(graph.finish(), { weights: shared, threads: 1, foreignIntegers: true })
  // Levels of 0 and 255 around the zero point 128, as the largest of x is 127 / 128 of the least.
  const levels = Array.from({ length: inputs }, (_, at) => at % 4 === 0 ? -128 : 127)
  const y = Tensor.allocate('int32', [1, outputs])
  const x = Tensor.from('float32', [1, inputs], Float32Array.from(levels))
  await session.run(new Map([['x', x]]), new Map([['y', y]]))
  const exact = Array.from({ length: outputs }, (_, output) =>
    levels.reduce((sum, level, input) => sum + level * weights[input * outputs + output]!, 0))
  assert.deepEqual([...y.data], exact)
  session.dispose()
  shared.dispose()
  y.dispose()
})
