/** What every operator does on this processor, without a model: what `fairlead doctor` prints. */
import type { AttentionHeads } from '../graph/shared-prefix-attention.js'
import { formsOf, kindsOfFormat, weightFormats, type WeightFormat } from '../quantization/weight-format.js'
import { passes, type Finding } from './finding.js'
import { operatorName } from './product-test.js'
import { SelfTest } from './self-test.js'

/** What one operator does, and how long it took to find out. */
export interface Surveyed extends Finding { readonly passed: boolean, readonly ms: number }

export interface Survey {
  /** Every form of every product, then attention. */
  readonly operators: readonly Surveyed[]
  /**
   * For each format, the operators that a model of it can need, in the forms that are used; null where one has no form
   * that passes.
   */
  readonly formats: Readonly<Record<WeightFormat, readonly string[] | null>>
  /** Whether decoding gives a row the same bits alone and among others. */
  readonly attentionPassed: boolean
}

/** @param heads whose attention is tested */
export async function surveyOperators (threads: number, heads: AttentionHeads): Promise<Survey> {
  const test = new SelfTest({ threads, cacheDir: null })
  const timed = async (find: () => Promise<Finding>): Promise<Surveyed> => {
    const started = performance.now()
    const finding = await find()
    return { ...finding, passed: passes(finding), ms: performance.now() - started }
  }
  const forms = new Map(Object.values(kindsOfFormat).flat().flatMap(formsOf).map(form => [operatorName(form), form]))
  const products = new Map<string, Surveyed>()
  for (const [name, form] of forms) products.set(name, await timed(() => test.product(form)))
  const usable = (format: WeightFormat): readonly string[] | null => {
    const used = kindsOfFormat[format].map(kind =>
      formsOf(kind).map(operatorName).find(name => products.get(name)!.passed))
    return used.every(name => name !== undefined) ? used : null
  }
  const attention = await timed(() => test.attention(heads))
  const shared = await timed(async () => (await test.sharedPrefix(heads))!)
  const ofFormats = weightFormats.map(format => [format, usable(format)])
  const formats = Object.fromEntries(ofFormats) as unknown as Survey['formats']
  return { operators: [...products.values(), attention, shared], formats, attentionPassed: attention.passed }
}
