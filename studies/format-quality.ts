/**
 * What weight formats cost in quality: mean KL per token of the float32 model to each, and how often both find the same
 * token most probable, over the first tokens of answers of helpfulness_pairs.test in the chat template, run as decoding
 * runs them. With --whole the positions begin with the template's first token, prompts included, which is harder: the
 * first few tokens of a text cost most.
 *
 *   node dist/studies/format-quality.js --data DIR [--formats i8,q8,q4,exact] [--positions 1600] [--whole]
 */
import { namesOption, type Options } from '../src/cli/options.js'
import { loadConfig } from '../src/config.js'
import type { ModelFacts } from '../src/models/model.js'
import { weightFormats, type WeightFormat } from '../src/models/quantization/weight-format.js'
import { encodeChat } from '../src/models/tokenizer/chat-template.js'
import { percentage } from '../src/reporting/estimate.js'
import { runProgram, type Arguments } from '../tools/program.js'
import type { PairRow } from './rewards/data.js'
import { readRows, studyOptions, withRuntime } from './setup.js'

const options: Options = {
  data: studyOptions['data']!,
  formats: { type: 'string', help: `comma-separated list of ${weightFormats.join(', ')}`, default: 'i8,q8,q4,exact' },
  positions: { type: 'string', help: 'positions that are compared', default: '1600' },
  whole: { type: 'boolean', help: 'compare from the first token of the template on' }
}

const concurrent = 16

interface Text { readonly given: readonly number[], readonly measured: readonly number[] }
/** Log probabilities over the vocabulary, and the most probable token. */
interface Position { readonly row: Float32Array, readonly top: number }

/** The first texts that are long enough. */
function textsOf ({ chatTemplate, tokenizer }: ModelFacts, rows: readonly PairRow[], length: number, whole: boolean) {
  const texts = [...new Map(rows.map(row => [row.prompt, row])).values()].map(({ prompt, chosen }): Text => {
    const before = encodeChat(chatTemplate, tokenizer, [{ role: 'user', content: prompt }]).tokens
    const after = tokenizer.encode(chosen)
    if (!whole) return { given: before, measured: after }
    const all = [...before, ...after]
    return { given: all.slice(0, 1), measured: all.slice(1) }
  }).filter(({ given, measured }) => given.length < 512 && measured.length >= length).slice(0, concurrent)
  if (texts.length < concurrent) {
    throw new Error(`only ${texts.length} of the texts have ${length} tokens; ask for fewer positions`)
  }
  return texts
}

/** @param onPosition called with every position under a format: position by position, all texts of each */
async function distributions (
  format: WeightFormat, rows: readonly PairRow[], length: number, whole: boolean, onPosition: (one: Position) => void
): Promise<void> {
  const { cacheDir, threads } = loadConfig()
  await withRuntime({ model: 'smollm2-135m', format, threads, cacheDir },
    { maxSequences: concurrent, kvCacheBytes: 2 ** 32, prefillTokensPerStep: 128 }, async ({ engine, model }) => {
      console.log(`${format}: ${model.operators.operators.join(', ')}; kernels ${model.operators.kernels}`)
      const texts = textsOf(model, rows, length, whole)
      const sequences = texts.map(({ given }) => engine.open(given))
      for (let position = 0; position < length; position++) {
        if (position > 0) {
          for (const [index, sequence] of sequences.entries()) sequence.append(texts[index]!.measured[position - 1]!)
        }
        for (const { distribution } of await Promise.all(sequences.map(sequence => sequence.output()))) {
          const { logits, logNormalizer, topIds } = distribution
          onPosition({ row: logits.map(logit => logit - logNormalizer), top: topIds[0]! })
        }
      }
    })
}

/** KL of p to q, nats. */
const klOf = (p: Float32Array, q: Float32Array): number =>
  p.reduce((sum, logP, token) => sum + Math.exp(logP) * (logP - q[token]!), 0)

async function compare (args: Arguments): Promise<void> {
  const formats = namesOption({ formats: args.text('formats') }, 'formats', weightFormats)
  const [length, whole] = [Math.ceil(args.integer('positions') / concurrent), args.flag('whole')]
  const rows = await readRows<PairRow>(args.text('data'), 'helpfulness_pairs.test')
  const exact: Position[] = []
  await distributions('f32', rows, length, whole, one => { exact.push(one) })
  console.log(`against f32, ${exact.length} positions of ${concurrent} ${whole ? 'whole chats' : 'answers'}`)
  for (const format of formats) {
    let [position, kl, same, largest] = [0, 0, 0, 0]
    await distributions(format, rows, length, whole, ({ row, top }) => {
      const reference = exact[position++]!
      const step = klOf(reference.row, row)
      kl += step
      largest = Math.max(largest, step)
      if (reference.top === top) same++
    })
    console.log(`${format}: mean KL ${(kl / position).toFixed(4)} nats per token (largest ${largest.toFixed(3)}), ` +
      `equal most probable token ${percentage(same / position)}`)
  }
}

await runProgram({
  command: 'node dist/studies/format-quality.js',
  usage: '--data DIR [OPTIONS]',
  summary: 'What weight formats cost in quality, against float32',
  options,
  run: compare
})
