/**
 * Tells apart processors that compute differently, by a digest of what ONNX Runtime's kernels make of a few numbers.
 * Two machines with the same digest round alike; a processor's name says nothing about that.
 */
import { createHash } from 'node:crypto'
import { GraphWriter } from '../../runtime/graph.js'
import { Session, SharedWeights } from '../../runtime/session.js'
import { Tensor } from '../../runtime/tensor.js'
import { MatrixProducts } from '../graph/matrix-products.js'
import { kindsOfFormat } from '../quantization/weight-format.js'
import { exampleMatrix, inputs, outputs } from './example-matrix.js'
import { randomNumbers } from './finding.js'
import { operatorName } from './product-test.js'

const rows = 5

/** Every kind of product, by the name of its weights. */
const kinds = new Map(Object.values(kindsOfFormat).flat().map(kind => [operatorName(kind), kind]))

/**
 * Products of two values, as in attention: of many rows and of one.
 * @param first where the first row begins and ends
 */
function unpackedProducts (graph: GraphWriter, x: string, first: readonly string[]): string[] {
  const flat = graph.node('Reshape', [x, graph.constant('flat', 'int64', [2], [-1, outputs])], ['flat_x'])
  const turned = graph.node('Transpose', [flat], ['turned'], { perm: [1, 0] })
  const apart = graph.constant('apart', 'int64', [3], [-1, 1, outputs])
  return [turned, graph.node('Slice', [turned, ...first], ['turned_first'])].map((rows, index) =>
    graph.node('Reshape', [graph.node('MatMul', [rows, flat], [`product_${index}`]), apart], [`unpacked_${index}`]))
}

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
  const ones = graph.constant('ones', 'float32', [outputs], new Array<number>(outputs).fill(1))
  const others = [
    graph.node('Softmax', [small], ['probabilities'], { axis: -1 }),
    graph.node('Sigmoid', [small], ['gates']),
    graph.node('SimplifiedLayerNormalization', [small, ones], ['norms'], { axis: -1, epsilon: { float: 1e-5 } }),
    ...unpackedProducts(graph, small, from)
  ]
  graph.node('Concat', [joined, ...others], ['y'], { axis: 0 })
  graph.output('y', 'float32', ['all', 1, outputs])
  return graph.finish()
}

async function measure (): Promise<string> {
  const random = randomNumbers(3)
  const matrices = [...kinds].flatMap(([name, kind]) => [...exampleMatrix(name, kind, random).weights])
  const weights = new SharedWeights(new Map(matrices))
  const session = await Session.create(graphOf(), { weights, threads: 1 })
  const count = 4 * (rows + 1) * kinds.size + outputs + 1
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

/** 16 hexadecimal digits, the same in every process of a machine. Measured once per process, in about 50 ms. */
export function kernelSignature (): Promise<string> {
  measured ??= measure()
  return measured
}
