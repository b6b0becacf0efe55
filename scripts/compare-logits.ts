/**
 * How far a model's logits are from those of the default model's weights in transformers: for the same weights in
 * another file, such as a folder that transformers wrote of the GGUF file (AutoModelForCausalLM.from_pretrained(DIR,
 * gguf_file=NAME), then save_pretrained).
 *
 *   node dist/scripts/compare-logits.js --model DIR
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { gunzipSync } from 'node:zlib'
import { loadConfig } from '../src/config.js'
import { Engine } from '../src/engine/engine.js'
import { loadModel } from '../src/models/model.js'
import { packageRoot } from '../src/package-root.js'

/** tests/fixtures/expected-logits.json.gz, written by expected-logits.py: numbers as base64 of float32. */
interface Expected {
  readonly ids: readonly number[],
  readonly chats: ReadonlyArray<{
    readonly tokens: readonly number[], readonly logNormalizers: string, readonly logits: string
  }>
}

function floats (base64: string): Float32Array {
  const bytes = Buffer.from(base64, 'base64')
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength))
}

const { values: { model: name } } = parseArgs({ options: { model: { type: 'string', default: 'smollm2-135m' } } })
const { ids, chats } = JSON.parse(gunzipSync(readFileSync(join(packageRoot, 'tests/fixtures/expected-logits.json.gz')))
  .toString()) as Expected
const { cacheDir, threads } = loadConfig()
const model = await loadModel({
  model: name, format: 'f32', threads, cacheDir, contextLength: 256, onProgress: message => { console.error(message) }
})
const engine = new Engine(model, {
  contextLength: 256,
  maxSequences: 4,
  kvCacheBytes: 2 ** 28,
  prefixCacheBytes: 0,
  prefillTokensPerStep: 128
})
let [positions, worst] = [0, 0]
for (const { tokens, logNormalizers, logits } of chats) {
  const [expected, normalizers] = [floats(logits), floats(logNormalizers)]
  const sequence = engine.open(tokens, {
    onPosition: (position, said) => {
      positions++
      worst = Math.max(worst, Math.abs(said.logNormalizer - normalizers[position]!),
        ...ids.map((id, index) => Math.abs(said.logits[id]! - expected[position * ids.length + index]!)))
    }
  })
  await sequence.output()
  sequence.close()
}
console.log(`${positions} positions, ${ids.length} logits and the log-normaliser of each: the largest difference is ` +
  `${worst.toExponential(2)}`)
await engine.close()
model.dispose()
