import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { openCheckpoint } from '../../src/models/formats/checkpoint.js'
import { chooseOperators, type ChosenOperators } from '../../src/models/self-test/choose-operators.js'
import { passes, type Compile } from '../../src/models/self-test/finding.js'
import { kernelSignature } from '../../src/models/self-test/kernel-signature.js'
import { SelfTest } from '../../src/models/self-test/self-test.js'
import { surveyOperators } from '../../src/models/self-test/survey.js'
import { rotateHidden } from '../../src/models/quantization/rotation.js'
import {
  fixedLimit, formsOf, kindsOfFormat, weightFormats, type WeightFormat
} from '../../src/models/quantization/weight-format.js'
import { Session } from '../../src/runtime/session.js'
import type { Tensor } from '../../src/runtime/tensor.js'
import { writeTinyGguf } from '../helpers/tiny-gguf.js'

const directory = mkdtempSync(join(tmpdir(), 'fairlead-self-test-'))
const path = join(directory, 'tiny.gguf')
writeTinyGguf(path)
after(() => { rmSync(directory, { recursive: true }) })

/** A kernel with a fault: what it makes of a run's outputs. */
type Fault = (run: {
  readonly y: Float32Array
  readonly inputs: ReadonlyMap<string, Tensor>
  readonly weights: ReadonlyMap<string, Tensor>
  readonly graph: string
  readonly threads: number
}) => void

/** Sessions whose outputs have a fault. */
const faulty = (fault: Fault): Compile => async (model, options) => {
  const session = await Session.create(model, options)
  return {
    async run (inputs, outputs) {
      await session.run(inputs, outputs)
      const graph = Buffer.from(model).toString('latin1')
      const y = outputs.get('y')!.data as Float32Array
      fault({ y, inputs, weights: options.weights?.tensors ?? new Map(), graph, threads: options.threads })
    },
    dispose: () => { session.dispose() }
  }
}

const clamp = (value: number): number => Math.max(-32768, Math.min(32767, value))

/** What vpmaddubsw does: adds products of neighbours up in 16 bits; what is beyond the range becomes its end. */
const saturating: Fault = ({ y, inputs, weights, graph }) => {
  const values = weights.get('w.values')
  if (values?.type !== 'int8' || graph.includes('in_blocks_of_64')) return
  const [given, scales] = [inputs.get('x')!.data, weights.get('w.scales')!.data] as [Float32Array, Float32Array]
  const [size, count] = values.dims as [number, number]
  const fixed = graph.includes('hidden_rotation')
  const [unit, width] = fixed ? [fixedLimit / 127, count + size] : [1, count]
  const x = fixed ? rotateHidden(given.slice(), size).map(value => Math.round(value / unit)) : given
  for (let row = 0; row < y.length / width; row++) {
    for (let output = 0; output < count; output++) {
      let sum = 0
      const weight = (at: number): number => Number(values.data[at * count + output])
      const product = (at: number): number => (x[row * size + at]! + 128) * weight(at)
      for (let at = 0; at < size; at += 2) {
        sum += clamp(product(at) + product(at + 1)) - 128 * (weight(at) + weight(at + 1))
      }
      y[row * width + output] = sum * scales[output]! * unit
    }
  }
}

/** Changes the last bit of a number. */
function nudge (values: Float32Array): void { new Int32Array(values.buffer, values.byteOffset, values.length)[3]! ^= 1 }

const isAlone = (inputs: ReadonlyMap<string, Tensor>): boolean =>
  [...inputs.values()].some(({ dims }) => dims.length === 3 && dims[0] === 1)

/** Another kernel for a row alone, in products with 4-bit blocks. */
const rowDependent: Fault = ({ y, inputs, weights, graph }) => {
  const values = weights.get('w.values')
  if (values?.type === 'uint8' && values.dims[2] === 16 && isAlone(inputs) && !graph.includes('zero_row')) nudge(y)
}

/** Keys divided among threads where there are more of them than rows times heads. */
const threadDependent: Fault = ({ y, inputs, graph, threads }) => {
  const isDecode = graph.includes('GroupQueryAttention') && !graph.includes('by_kv_head')
  if (isDecode && isAlone(inputs) && threads > 4) nudge(y)
}

const operatorsWith = async (fault: Fault | null, format: WeightFormat, threads = 2): Promise<ChosenOperators> => {
  const { file, config } = await openCheckpoint(path)
  const compile = fault && { compile: faulty(fault) }
  const selfTest = (count: number): SelfTest => new SelfTest({ threads: count, cacheDir: null, ...compile })
  try {
    return await chooseOperators({ config, tensors: file.tensors, format, threads, sharesPrompts: true, selfTest })
  } finally {
    await file.close()
  }
}

test('every format has operators here whose numbers are right and whose rows are alike, with 1 to ' +
  '16 threads', async () => {
  for (const threads of [1, 2, 4, 8, 16]) {
    const heads = { queryHeads: 9, kvHeads: 3, headSize: 64, ropeInterleaved: false }
    const { operators, formats, attentionPassed } = await surveyOperators(threads, heads)
    const failed = JSON.stringify(operators.filter(({ passed }) => !passed))
    for (const format of weightFormats) assert.ok(formats[format], `${format}: ${failed}`)
    assert.ok(attentionPassed)
    assert.ok(operators.at(-1)!.passed)
  }
})

test('attention passes with the heads of other models, too', async () => {
  const selfTest = new SelfTest({ threads: 2, cacheDir: null })
  for (const [queryHeads, kvHeads, headSize] of [[14, 2, 64], [12, 12, 96], [8, 2, 80], [1, 1, 256]] as const) {
    const heads = { queryHeads, kvHeads, headSize, ropeInterleaved: true }
    assert.ok(passes(await selfTest.attention(heads)), JSON.stringify(heads))
    const shared = await selfTest.sharedPrefix(heads)
    assert.ok(shared ? passes(shared) : queryHeads === kvHeads, JSON.stringify(heads))
  }
})

test('a kernel that saturates is found; weights are held with a zero point in its place, which is said', async () => {
  const { report, layout } = await operatorsWith(saturating, 'i8')
  assert.equal(report.format, 'i8')
  assert.ok([...layout.matrices].every(([name, kind]) =>
    kind.operator === 'rows' && (kind.levels === 'uint8' || name.endsWith('down'))))
  assert.equal(report.notes.length, 1)
  assert.match(report.notes[0]!, /^int8 rows on a fixed scale: numbers off by 0\.\d+ of their size;.*\buint8 rows/)
})

test('a kernel that computes a row alone otherwise is found; a padding row is put behind the others', async () => {
  const { report, layout } = await operatorsWith(rowDependent, 'q4')
  assert.deepEqual(report.operators, ['4-bit blocks of 32 with offsets and a padding row', '8-bit blocks of 32'])
  assert.ok([...layout.matrices].every(([name, kind]) =>
    kind.operator === 'blocks' && kind.paddingRow === (name !== 'head') && kind.offsets === kind.paddingRow))
  assert.equal(report.notes.length, 1)
})

test('attention that depends on the number of threads is found; fewer are used', async () => {
  const { report } = await operatorsWith(threadDependent, 'f32', 8)
  assert.equal(report.threads, 4)
  assert.equal(report.notes.length, 2)
})

test('a wrong scale is found, whatever the operator; another format is used', async () => {
  for (const format of weightFormats) {
    const scaled: Fault = ({ y, weights, graph }) => {
      const isOf: Record<WeightFormat, boolean> = {
        i8: graph.includes('MatMulIntegerToFloat'),
        q8: weights.get('w.values')?.dims[2] === 64,
        q4: weights.get('w.values')?.dims[2] === 16,
        // The tiny file is float32: so are its own blocks.
        exact: weights.has('w'),
        f32: weights.has('w')
      }
      if (isOf[format]) y.forEach((value, at) => { y[at] = 1.02 * value })
    }
    const { report } = await operatorsWith(scaled, format)
    assert.notEqual(report.format, format)
    assert.ok(report.notes.at(-1)!.endsWith(` ${report.format} instead of ${format}`), report.notes.join('\n'))
  }
})

test('where shared prompts depend on each other none are shared', async () => {
  const { report } = await operatorsWith(({ y, inputs, graph }) => {
    if (graph.includes('by_kv_head') && isAlone(inputs)) nudge(y)
  }, 'f32')
  assert.equal(report.sharesPrompts, false)
  assert.equal(report.notes.length, 1)
})

test('nothing is served where no operator is right', async () => {
  await assert.rejects(operatorsWith(({ y }) => { y.fill(NaN) }, 'i8'), { code: 'internal_error' })
  const spoilt: Fault = ({ y, graph }) => { if (!graph.includes('GroupQueryAttention')) y.fill(NaN) }
  await assert.rejects(operatorsWith(spoilt, 'i8'), { code: 'internal_error' })
})

test('every form of a kind computes the same numbers', async () => {
  const selfTest = new SelfTest({ threads: 2, cacheDir: null })
  for (const kind of Object.values(kindsOfFormat).flat()) {
    const findings = await Promise.all(formsOf(kind).map(form => selfTest.product(form)))
    assert.ok(findings.some(passes), JSON.stringify(findings))
    // Where a signed row saturates, it is the only one.
    assert.ok(findings.every(({ operator, error, tolerance }) =>
      error <= tolerance || /(^| )int8 rows/.test(operator)))
  }
})

test('what was found is kept for the thread count, and found anew where the file is damaged', async () => {
  let compiled = 0
  const counting: Compile = async (model, options) => { compiled++; return Session.create(model, options) }
  const cacheDir = join(directory, 'cache')
  const find = (threads: number): Promise<unknown> =>
    new SelfTest({ threads, cacheDir, compile: counting }).product({ operator: 'float' })
  const found = await find(2)
  assert.deepEqual(await find(2), found)
  assert.equal(compiled, 1)
  await find(1)
  assert.equal(compiled, 2)
  const files = readdirSync(join(cacheDir, 'self-test'))
  assert.equal(files.length, 2)
  for (const file of files) writeFileSync(join(cacheDir, 'self-test', file), '{')
  assert.deepEqual(await find(2), found)
  assert.equal(compiled, 3)
})

test('what is no number, or cannot be run, fails the next time, too, and takes no other finding along', async () => {
  const cacheDir = join(directory, 'failing')
  const find = async (compile: Compile): Promise<boolean> =>
    passes(await new SelfTest({ threads: 1, cacheDir, compile }).product({ operator: 'float' }))
  const broken: Compile = () => Promise.reject(new Error('not implemented'))
  for (const compile of [faulty(({ y }) => { y.fill(NaN) }), broken]) {
    assert.equal(await find(compile), false)
    assert.equal(await find(compile), false)
  }
  assert.equal(await find(Session.create), true)
  // Of one that cannot be run another form, or another format, takes the place.
  const { file, config } = await openCheckpoint(path)
  const selfTest = (threads: number): SelfTest => new SelfTest({
    threads,
    cacheDir: null,
    compile: (model, options) => options.weights?.tensors.get('w.values')?.type === 'int8'
      ? broken(model, options)
      : Session.create(model, options)
  })
  const { report } =
    await chooseOperators({ config, tensors: file.tensors, format: 'i8', threads: 1, sharesPrompts: true, selfTest })
  await file.close()
  assert.deepEqual(report.operators, ['uint8 rows on a fixed scale', 'uint8 rows', 'rotated uint8 rows'])
  assert.match(report.notes[0]!, /int8 rows on a fixed scale: not implemented/)
})

test('several models may be tested at the same time, and where nothing can be kept', async () => {
  const kinds = Object.values(kindsOfFormat).flat()
  for (const cacheDir of [join(directory, 'at-once'), path]) {
    const findings = await Promise.all(kinds.map(kind => new SelfTest({ threads: 1, cacheDir }).product(kind)))
    assert.equal(findings.length, kinds.length)
  }
  assert.equal(readdirSync(join(directory, 'at-once', 'self-test')).length, 1)
})

test('the signature of the kernels is that of every process of the machine', async () => {
  assert.match(await kernelSignature(), /^[0-9a-f]{16}$/)
})
