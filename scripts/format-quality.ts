/**
 * What a weight format costs in quality: mean KL per token of the float32 model to the format's, and how often both find the same token most
 * probable, over the answers of helpfulness_pairs.test, in the chat template: prompts read in chunks, answers run as decoding runs them.
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
import { encodeChat } from '../src/models/chat-template.js'
import { loadModel, type LoadedModel } from '../src/models/model.js'

const { values: options } = parseArgs({ options: { data: { type: 'string' }, positions: { type: 'string', default: '1600' } } })
if (options.data === undefined) throw new Error('--data DIR must name the folder of helpfulness_pairs.test.jsonl.gz')

const abreast = 16
/** Positions of each answer. */
const length = Math.ceil(Number(options.positions) / abreast)
if (!(length >= 1)) throw new Error(`--positions must be a number of at least 1; got ${options.positions}`)
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
const chats = [...new Map(rows.map(row => [row.prompt, row])).values()].map(({ prompt, chosen }) => ({
  prompt: encodeChat(exact.model.chatTemplate, tokenizer, [{ role: 'user', content: prompt }]).tokens,
  answer: tokenizer.encode(chosen)
})).filter(({ prompt, answer }) => prompt.length < 512 && answer.length >= length).slice(0, abreast)
if (chats.length < abreast) throw new Error(`only ${chats.length} of the answers have ${length} tokens; ask for fewer positions`)
const openAll = (engine: Engine): Sequence[] => chats.map(({ prompt }) => engine.open(prompt))
const [left, right] = [openAll(exact.engine), openAll(tested.engine)]
let [positions, kl, same, largest] = [0, 0, 0, 0]
for (let position = 0; position < length; position++) {
  if (position > 0) for (const sequences of [left, right]) for (const [index, sequence] of sequences.entries()) sequence.append(chats[index]!.answer[position - 1]!)
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
console.log(`q8 against f32 over ${positions} positions of ${chats.length} answers: mean KL ${(kl / positions).toFixed(4)} nats per token (largest ${largest.toFixed(3)}), equal most probable token ${(100 * same / positions).toFixed(1)} %`)
for (const { engine, model } of [exact, tested]) {
  await engine.close()
  model.dispose()
}
