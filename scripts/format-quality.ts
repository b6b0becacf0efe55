/**
 * What weight formats cost in quality: mean KL per token of the float32 model to each, and how often both find the same
 * token most probable, over the first tokens of answers of helpfulness_pairs.test in the chat template, run as decoding
 * runs them. With --whole the positions begin with the template's first token, prompts included, which is harder: the
 * first few tokens of a text cost most.
 *
 *   node dist/scripts/format-quality.js --data DIR [--formats i8,q8,q4,exact] [--positions 1600] [--whole]
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { gunzipSync } from 'node:zlib'
import { loadConfig } from '../src/config.js'
import { Engine } from '../src/engine/engine.js'
import { encodeChat } from '../src/models/tokenizer/chat-template.js'
import { loadModel } from '../src/models/model.js'
import { weightFormats, type WeightFormat } from '../src/models/quantization/weight-format.js'

const { values: options } = parseArgs({
  options: {
    data: { type: 'string' },
    formats: { type: 'string', default: 'i8,q8,q4,exact' },
    positions: { type: 'string', default: '1600' },
    whole: { type: 'boolean', default: false }
  }
})
if (options.data === undefined) throw new Error('--data DIR must name the folder of helpfulness_pairs.test.jsonl.gz')
const formats = options.formats.split(',').map(name => {
  if (!weightFormats.includes(name as WeightFormat)) {
    throw new Error(`--formats must be some of ${weightFormats.join(', ')}; got ${name}`)
  }
  return name as WeightFormat
})

const abreast = 16
/** Positions of each text. */
const length = Math.ceil(Number(options.positions) / abreast)
if (!(length >= 1)) throw new Error(`--positions must be a number of at least 1; got ${options.positions}`)
const { cacheDir, threads } = loadConfig()

interface Text { readonly given: readonly number[], readonly measured: readonly number[] }
/** Log probabilities over the vocabulary. */
type Row = Float32Array

/** The first texts that are long enough. */
function readTexts (encode: (prompt: string, answer: string) => [number[], number[]], data: string): Text[] {
  const rows = gunzipSync(readFileSync(join(data, 'helpfulness_pairs.test.jsonl.gz'))).toString().split('\n')
    .filter(Boolean).map(line => JSON.parse(line) as { prompt: string, chosen: string })
  const texts = [...new Map(rows.map(row => [row.prompt, row])).values()].map(({ prompt, chosen }): Text => {
    const [before, after] = encode(prompt, chosen)
    if (!options.whole) return { given: before, measured: after }
    const all = [...before, ...after]
    return { given: all.slice(0, 1), measured: all.slice(1) }
  }).filter(({ given, measured }) => given.length < 512 && measured.length >= length).slice(0, abreast)
  if (texts.length < abreast) {
    throw new Error(`only ${texts.length} of the texts have ${length} tokens; ask for fewer positions`)
  }
  return texts
}

/**
 * Every position's distribution under a format, and its most probable token: position by position, all texts of each.
 */
async function * distributions (format: WeightFormat): AsyncGenerator<{ row: Row, top: number }> {
  const model = await loadModel({ model: 'smollm2-135m', format, threads, cacheDir, contextLength: 1024 })
  console.log(`${format}: ${model.operators.operators.join(', ')}; kernels ${model.operators.kernels}`)
  const engine = new Engine(model, {
    contextLength: 1024,
    maxSequences: abreast,
    kvCacheBytes: 2 ** 32,
    prefixCacheBytes: 0,
    prefillTokensPerStep: 128
  })
  const texts = readTexts((prompt, answer) => [encodeChat(model.chatTemplate, model.tokenizer,
    [{ role: 'user', content: prompt }]).tokens, model.tokenizer.encode(answer)], options.data!)
  const sequences = texts.map(({ given }) => engine.open(given))
  for (let position = 0; position < length; position++) {
    if (position > 0) {
      for (const [index, sequence] of sequences.entries()) sequence.append(texts[index]!.measured[position - 1]!)
    }
    for (const { distribution } of await Promise.all(sequences.map(sequence => sequence.output()))) {
      yield { row: distribution.logits.map(logit => logit - distribution.logNormalizer), top: distribution.topIds[0]! }
    }
  }
  await engine.close()
  model.dispose()
}

/** KL of p to q, nats. */
const klOf = (p: Row, q: Row): number => p.reduce((sum, logP, token) => sum + Math.exp(logP) * (logP - q[token]!), 0)

const exact: Array<{ row: Row, top: number }> = []
for await (const one of distributions('f32')) exact.push(one)
console.log(`against f32, ${exact.length} positions of ${abreast} ${options.whole ? 'whole chats' : 'answers'}`)
for (const format of formats) {
  let [position, kl, same, largest] = [0, 0, 0, 0]
  for await (const { row, top } of distributions(format)) {
    const reference = exact[position++]!
    const step = klOf(reference.row, row)
    kl += step
    largest = Math.max(largest, step)
    if (reference.top === top) same++
  }
  console.log(`${format}: mean KL ${(kl / position).toFixed(4)} nats per token (largest ${largest.toFixed(3)}), ` +
    `equal most probable token ${(100 * same / position).toFixed(1)} %`)
}
