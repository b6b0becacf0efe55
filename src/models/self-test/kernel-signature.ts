/**
 * Tells apart processors that compute differently, by a digest of what ONNX Runtime's kernels make of a few numbers.
 * Two machines with the same digest round alike; a processor's name says nothing about that.
 */
import { createHash } from 'node:crypto'
import { GraphWriter } from '../../runtime/graph.js'
import { Session, SharedWeights } from '../../runtime/session.js'
import { Tensor } from '../../runtime/tensor.js'
import { MatrixProducts } from '../matrix-products.js'
import { kindsOfFormat } from '../weight-format.js'
import { exampleMatrix, inputs, outputs } from './example-matrix.js'
import { randomNumbers } from './finding.js'
import { operatorName } from './product-test.js'

const rows = 5

/** Every kind of product, by the name of its weights. */
const kinds = new Map(Object.values(kindsOfFormat).flat().map(kind => [operatorName(kind), kind]))

function graphOf (): Uint8Array {
  const graph = new GraphWriter()
  const products = new MatrixProducts(graph)
  const x = graph.input('x', 'float32', ['rows', 1, inputs])
  const from = ['one_from', 'one_to'].map((name, index) => graph.constant(name, 'int64', [1], [index]))
  const first = graph.node('Slice', [x, ...from], ['first'])
  const results = [...kinds].flatMap(([name, kind]) =>
    [x, first].map(value => products.multiply(value, name, kind, [outputs, inputs])))
  const joined = graph.node('Concat', results, ['joined'], { axis: 0 })
  const small = graph.node('Mul', [joined, graph.constant('scale', 'float32', [], [1e-3])], ['small'])
  const activated = [
    graph.node('Softmax', [small], ['probabilities'], { axis: -1 }), graph.node('Sigmoid', [small], ['gates'])
  ]
  graph.node('Concat', [joined, ...activated], ['y'], { axis: 0 })
  graph.output('y', 'float32', ['all', 1, outputs])
  return graph.finish()
}

async function measure (): Promise<string> {
  const random = randomNumbers(3)
  const matrices = [...kinds].flatMap(([name, kind]) => [...exampleMatrix(name, kind, random).weights])
  const weights = new SharedWeights(new Map(matrices))
  const session = await Session.create(graphOf(), { weights, threads: 1 })
  const count = 3 * (rows + 1) * kinds.size
  const values = Float32Array.from({ length: rows * inputs }, () => 2 * random() - 1)
  const x = Tensor.from('float32', [rows, 1, inputs], values)
  const y = Tensor.allocate('float32', [count, 1, outputs])
  try {
    await session.run(new Map([['x', x]]), new Map([['y', y]]))
    const bytes = new Uint8Array(y.data.buffer, y.data.byteOffset, y.sizeBytes)
    return createHash('sha256').update(bytes).digest('hex').slice(0, 16)
  } finally {
    session.dispose()
    weights.dispose()
    for (const tensor of [x, y]) tensor.dispose()
  }
}

let measured: Promise<string> | undefined

/** 16 hexadecimal digits, the same in every process of a machine. Measured once per process, in about 10 ms. */
export function kernelSignature (): Promise<string> {
  measured ??= measure()
  return measured
}
