/**
 * What a weight format costs in quality: mean KL per token of the float32 model to the format's, and how often both find the same token most
 * probable, over real chat text (the answers of helpfulness_pairs.test, in the chat template), each position run as decoding runs it.
 *
 *   node dist/scripts/format-quality.js --data DIR [--positions 1600]
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { gunzipSync } from 'node:zlib'
import { loadConfig } from '../src/config.js'
import { Engine } from '../src/engine/engine.js'
import type { Distribution, Sequence } from '../src/engine/sequence.js'
import { loadModel, type LoadedModel } from '../src/models/model.js'

const { values: options } = parseArgs({ options: { data: { type: 'string' }, positions: { type: 'string', default: '1600' } } })
if (options.data === undefined) throw new Error('--data DIR must name the folder of helpfulness_pairs.test.jsonl.gz')

const abreast = 16
const length = Math.ceil(Number(options.positions) / abreast)
const { cacheDir, threads } = loadConfig()

async function open (format: 'f32' | 'q8'): Promise<{ model: LoadedModel, engine: Engine }> {
  const model = await loadModel({ model: 'smollm2-135m', format, threads, cacheDir, contextLength: 1024 })
  return { model, engine: new Engine(model, { contextLength: 1024, maxSequences: abreast, maxKvTokens: 1 << 20, prefixCacheTokens: 0, prefillTokensPerStep: 128, maxQueued: 0 }) }
}

/** KL of p to q, nats, over the whole vocabulary. */
function klOf (p: Distribution, q: Distribution): number {
  let sum = 0
  for (let token = 0; token < p.size; token++) {
    const logP = p.logits[token]! - p.logNormalizer
    sum += Math.exp(logP) * (logP - (q.logits[token]! - q.logNormalizer))
  }
  return sum
}

const exact = await open('f32')
const tested = await open('q8')
const { tokenizer } = exact.model
const rows = gunzipSync(readFileSync(join(options.data, 'helpfulness_pairs.test.jsonl.gz'))).toString().split('\n').filter(Boolean).map(line => JSON.parse(line) as { prompt: string, chosen: string })
const texts = [...new Map(rows.map(row => [row.prompt, row])).values()]
  .map(({ prompt, chosen }) => tokenizer.encodeTemplate([{ text: exact.model.chatTemplate.render([{ role: 'user', content: prompt }]), trusted: true }, { text: chosen, trusted: false }]))
  .filter(tokens => tokens.length >= length)
  .slice(0, abreast)
const open1 = (engine: Engine): Sequence[] => texts.map(tokens => engine.open(tokens.slice(0, 1)))
const [left, right] = [open1(exact.engine), open1(tested.engine)]
let [positions, kl, same, largest] = [0, 0, 0, 0]
for (let position = 0; position < length; position++) {
  if (position > 0) for (const sequences of [left, right]) for (const [index, sequence] of sequences.entries()) sequence.append(texts[index]![position]!)
  const [a, b] = [await Promise.all(left.map(one => one.output())), await Promise.all(right.map(one => one.output()))]
  for (const [index, output] of a.entries()) {
    const [p, q] = [output.distribution, b[index]!.distribution]
    const step = klOf(p, q)
    positions++
    kl += step
    largest = Math.max(largest, step)
    if (p.topIds[0] === q.topIds[0]) same++
  }
}
console.log(`q8 against f32 over ${positions} positions of ${texts.length} chats: mean KL ${(kl / positions).toFixed(4)} nats per token (largest ${largest.toFixed(3)}), equal most probable token ${(100 * same / positions).toFixed(1)} %`)
for (const { engine, model } of [exact, tested]) {
  await engine.close()
  model.dispose()
}
