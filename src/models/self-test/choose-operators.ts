/**
 * Chooses the operators that a model runs with on this processor: those of its weight format, each in the first form
 * that passes the self-test; where none passes, those of another format; and no more threads than attention gives the
 * same bits with. Nothing is served on numbers that failed.
 */
import { RequestError } from '../../errors.js'
import type { DeviceFacts } from '../../runtime/device-facts.js'
import { describeInstructionSet } from '../../runtime/instruction-set.js'
import { loadOnnxRuntime } from '../../runtime/onnx-library.js'
import type { DecoderConfig } from '../decoder-config.js'
import { decoderMatrices } from '../graph/decoder-matrices.js'
import type { TensorFile } from '../formats/tensor-file.js'
import {
  formsOf, granularity, weightFormats, weightLayout, type DeviceFormat, type MatrixKind, type WeightFormat,
  type WeightLayout
} from '../quantization/weight-format.js'
import { passes, problemOf } from './finding.js'
import { kernelSignature } from './kernel-signature.js'
import { operatorName, operatorNames } from './product-test.js'
import type { SelfTest } from './self-test.js'

/** What a model is run with on this processor, for people to read. */
export interface OperatorReport {
  /** The format asked for, or another where that one's operators compute wrongly here. */
  readonly format: DeviceFormat
  /** Threads of a forward pass: as many as asked for, or fewer where its bits would depend on their number. */
  readonly threads: number
  /** Names of the operators that its matrices are multiplied with. */
  readonly operators: readonly string[]
  /** Whether candidates share their prompt's KV where it pays: only where a row's bits do not depend on the others. */
  readonly sharesPrompts: boolean
  /** What it runs on in place of the processor; null: the processor. */
  readonly device: DeviceFacts | null
  /** Version of ONNX Runtime. */
  readonly onnxruntime: string
  /** The processor's features among those that kernels are chosen by. */
  readonly instructionSet: string
  /** Tells apart kernels that round differently. */
  readonly kernels: string
  /** What the self-test found wrong, and what is used instead. */
  readonly notes: readonly string[]
}

export interface ChosenOperators {
  readonly report: OperatorReport
  /** With the operators that passed. */
  readonly layout: WeightLayout
}

export interface OperatorsWanted {
  readonly config: DecoderConfig
  readonly tensors: TensorFile['tensors']
  readonly format: WeightFormat
  readonly threads: number
  /** Whether candidates may share their prompt's KV, where the model can. */
  readonly sharesPrompts: boolean
  /** The self-test at a thread count. */
  readonly selfTest: (threads: number) => SelfTest
}

/** A layout with each kind in the first form that passes; null where a kind has none. Adds what fails to `notes`. */
async function layoutThatPasses (
  layout: WeightLayout, test: SelfTest, notes: string[]
): Promise<WeightLayout | null> {
  const forms = new Map<string, MatrixKind>()
  const [problems, replacements]: [string[], string[]] = [[], []]
  const firstThatPasses = async (kind: MatrixKind): Promise<MatrixKind | null> => {
    for (const form of formsOf(kind)) {
      const finding = await test.product(form)
      if (passes(finding)) return form
      problems.push(problemOf(finding)!)
    }
    return null
  }
  for (const kind of layout.matrices.values()) {
    if (forms.has(operatorName(kind))) continue
    const form = await firstThatPasses(kind)
    if (!form) {
      notes.push(...problems)
      return null
    }
    forms.set(operatorName(kind), form)
    if (form !== kind) replacements.push(operatorName(form))
  }
  if (replacements.length > 0) notes.push(`${problems.join('; ')}; using ${replacements.join(', ')} instead`)
  const adapt = (kind: MatrixKind): MatrixKind => {
    const form = forms.get(operatorName(kind))!
    return kind.operator === 'blocks' && form.operator === 'blocks' ? { ...kind, paddingRow: form.paddingRow } : form
  }
  return { ...layout, matrices: new Map([...layout.matrices].map(([name, kind]) => [name, adapt(kind)])) }
}

/** The most threads, up to those wanted, with which attention passes. @throws RequestError where even one fails */
async function threadsThatPass ({ config, threads, selfTest }: OperatorsWanted, notes: string[]): Promise<number> {
  for (const count of new Set([threads, Math.min(threads, config.queryHeads), 1])) {
    const finding = await selfTest(count).attention(config)
    if (passes(finding)) {
      if (count < threads) notes.push(`using ${count} instead of ${threads} threads`)
      return count
    }
    notes.push(`with ${count} threads, ${problemOf(finding)!}`)
  }
  throw new RequestError('internal_error', `this processor fails the self-test: ${notes.join('; ')}`)
}

async function sharedPromptsPass (config: DecoderConfig, test: SelfTest, notes: string[]): Promise<boolean> {
  const finding = await test.sharedPrefix(config)
  if (finding === null || passes(finding)) return finding !== null
  notes.push(`${problemOf(finding)!}; prompts are not shared`)
  return false
}

/** Whether a layout's operators can take all of a model's matrices. */
const holds = (layout: WeightLayout, config: DecoderConfig): boolean =>
  [...decoderMatrices(config)].every(([name, [, columns]]) => columns % granularity(layout.matrices.get(name)!) === 0)

/** @throws RequestError where no operators compute correctly here */
export async function chooseOperators (wanted: OperatorsWanted): Promise<ChosenOperators> {
  const { config, tensors, format: asked, selfTest } = wanted
  const notes: string[] = []
  const threads = await threadsThatPass(wanted, notes)
  const test = selfTest(threads)
  // Not q4: rounding to 4 bits only on request.
  for (const format of new Set([asked, ...weightFormats.filter(one => one !== 'q4')])) {
    const plain = weightLayout(config, format, tensors)
    if (format !== asked && !holds(plain, config)) continue
    const layout = await layoutThatPasses(plain, test, notes)
    if (!layout) continue
    if (format !== asked) notes.push(`using format ${format} instead of ${asked}`)
    const shares = wanted.sharesPrompts && await sharedPromptsPass(config, test, notes)
    const [{ version: onnxruntime }, instructionSet] = [loadOnnxRuntime(), describeInstructionSet()]
    const here = { onnxruntime, instructionSet, kernels: await kernelSignature() }
    const operators = operatorNames(layout)
    return { layout, report: { format, threads, operators, sharesPrompts: shares, device: null, ...here, notes } }
  }
  const problems = notes.join('; ')
  throw new RequestError('internal_error', `this processor fails the self-test in every weight format: ${problems}`)
}
