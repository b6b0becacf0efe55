/**
 * Tests the arithmetic of a device against exact numbers: products with every kind of a model's matrices, and attention
 * with the model's heads through each of its kernels.
 */
import { floatsToHalves, halvesToFloats } from '../../runtime/float16.js'
import type { Device, DeviceTensor } from '../../runtime/device.js'
import { GraphWriter } from '../../runtime/graph.js'
import { Tensor, type Value } from '../../runtime/tensor.js'
import type { AttentionHeads } from '../graph/shared-prefix-attention.js'
import { exactHead } from '../self-test/attention-test.js'
import { problemOf, randomNumbers, relativeError, type Compile, type Finding } from '../self-test/finding.js'
import { onDevice, operatorName, testProduct } from '../self-test/product-test.js'
import type { MatrixKind } from '../quantization/weight-format.js'
import { blockSizeOn } from './packed-model.js'

/** Of attention in 16-bit floats. */
const attentionTolerance = 5e-3

/** Sessions on a device with weights of their own, for the tests that the processor has, too. */
export const compileOn = (device: Device): Compile => async (model, { weights }) => {
  const sent = new Map<string, DeviceTensor>()
  for (const [name, tensor] of weights?.tensors ?? []) {
    sent.set(name, await device.upload(tensor.type, tensor.dims, tensor.data))
  }
  const session = await device.compile(model, sent)
  return {
    run: (inputs, outputs) => device.run(session, inputs, outputs),
    dispose: () => {
      // In this order in the device's queue; nobody waits for it.
      Promise.all([device.dispose([session]), device.free([...sent.values()])]).catch(() => {})
    }
  }
}

/** Lengths of the parts that one sequence is run in: one for each of attention's kernels. */
const kernelParts = [40, 5, 2, 1] as const

function attentionGraph (
  { queryHeads, kvHeads, headSize }: AttentionHeads, blockSize: number, width: number
): Uint8Array {
  const graph = new GraphWriter()
  const [columns, cache] = [(queryHeads + 2 * kvHeads) * headSize, ['blocks', blockSize, kvHeads, headSize]]
  graph.input('qkv', 'float16', ['tokens', columns])
  for (const name of ['keys', 'values']) graph.input(name, 'float16', cache)
  graph.input('cumulative', 'int32', ['sequences_and_one'])
  graph.input('past', 'int32', ['sequences'])
  graph.input('block_table', 'int32', ['sequences', width])
  graph.input('attention_metadata', 'int32', [2])
  const inputs = ['qkv', '', '', 'keys', 'values', 'cumulative', 'past', 'block_table',
    '', '', '', '', '', '', '', '', 'attention_metadata']
  graph.node('PagedAttention', inputs, ['y'], { num_heads: queryHeads, kv_num_heads: kvHeads }, 'com.microsoft')
  graph.output('y', 'float16', ['tokens', queryHeads * headSize])
  return graph.finish()
}

/** One sequence of random queries, keys and values, run part by part. */
async function testAttention (device: Device, heads: AttentionHeads): Promise<Finding> {
  const { queryHeads, kvHeads, headSize } = heads
  const operator = `paged attention of ${queryHeads} heads, ${kvHeads} key heads, ${headSize} channels`
  const blockSize = blockSizeOn(device.provider.name, headSize)
  const total = kernelParts.reduce<number>((sum, part) => sum + part, 0)
  const width = Math.ceil(total / blockSize)
  const random = randomNumbers(11)
  const columns = (queryHeads + 2 * kvHeads) * headSize
  const bits = floatsToHalves(Float32Array.from({ length: total * columns }, () => 2 * random() - 1))
  const at = (position: number, first: number): Float32Array =>
    halvesToFloats(bits.subarray(position * columns + first, position * columns + first + headSize))
  const session = await device.compile(attentionGraph(heads, blockSize, width))
  const cacheDims = [width, blockSize, kvHeads, headSize]
  const empty = new Uint16Array(cacheDims.reduce((product, dim) => product * dim, 1))
  const caches = [await device.upload('float16', cacheDims, empty), await device.upload('float16', cacheDims, empty)]
  const ints = (...values: number[]): Tensor => Tensor.from('int32', [values.length], Int32Array.from(values))
  const table = Tensor.from('int32', [1, width], Int32Array.from({ length: width }, (_, index) => width - 1 - index))
  let [past, error] = [0, 0]
  try {
    for (const part of kernelParts) {
      const y = Tensor.from('float16', [part, queryHeads * headSize], new Uint16Array(part * queryHeads * headSize))
      const qkv = Tensor.from('float16', [part, columns], bits.slice(past * columns, (past + part) * columns))
      const inputs = new Map<string, Value>([['qkv', qkv], ['keys', caches[0]!], ['values', caches[1]!],
        ['cumulative', ints(0, part)], ['past', ints(past)], ['block_table', table],
        ['attention_metadata', ints(part, past + part)]])
      await device.run(session, inputs, new Map([['y', y]]))
      past += part
      const query = bits.subarray((past - 1) * columns, (past - 1) * columns + queryHeads * headSize)
      for (let head = 0; head < queryHeads; head++) {
        const exact = exactHead(heads, halvesToFloats(query), head, past, (kind, kvHead, position) =>
          at(position, (queryHeads + (kind === 'key' ? 0 : kvHeads) + kvHead) * headSize))
        const from = ((part - 1) * queryHeads + head) * headSize
        const given = halvesToFloats((y.data as Uint16Array).subarray(from, from + headSize))
        error = Math.max(error, relativeError(given, exact))
      }
      for (const tensor of [...inputs.values(), y]) if (tensor instanceof Tensor && tensor !== table) tensor.dispose()
    }
    return { operator, error, tolerance: attentionTolerance, rowsAlike: true }
  } finally {
    table.dispose()
    await device.dispose([session])
    await device.free(caches)
  }
}

/**
 * @param kinds of matrices that are multiplied with
 * @returns what is wrong with a device's numbers
 */
export async function testArithmetic (
  device: Device, heads: AttentionHeads, kinds: Iterable<MatrixKind>
): Promise<readonly string[]> {
  const findings = [await testAttention(device, heads)]
  const byName = new Map([...kinds].map(kind => [operatorName(kind), kind]))
  for (const kind of byName.values()) {
    findings.push(await testProduct(kind, 1, compileOn(device), onDevice))
  }
  // What rows depend on is tested on the whole model.
  return findings.flatMap(finding => problemOf({ ...finding, rowsAlike: true }) ?? [])
}
