/**
 * How far a model's logits are from those of the default model's weights in transformers: for the same weights in
 * another file, such as a folder that transformers wrote of the GGUF file (AutoModelForCausalLM.from_pretrained(DIR,
 * gguf_file=NAME), then save_pretrained).
 *
 *   node dist/studies/compare-logits.js --model DIR
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { say } from '../src/cli/command.js'
import { loadConfig } from '../src/config.js'
import { packageRoot } from '../src/package-root.js'
import { runProgram } from '../tools/program.js'
import { studyOptions, withRuntime } from './setup.js'

/** tests/fixtures/expected-logits.json.gz, written by scripts/expected-logits.py: numbers as base64 of float32. */
interface Expected {
  readonly ids: readonly number[]
  readonly chats: ReadonlyArray<{
    readonly tokens: readonly number[], readonly logNormalizers: string, readonly logits: string
  }>
}

function floats (base64: string): Float32Array {
  const bytes = Buffer.from(base64, 'base64')
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength))
}

async function compare (model: string): Promise<void> {
  const { ids, chats } = JSON.parse(gunzipSync(readFileSync(join(packageRoot,
    'tests/fixtures/expected-logits.json.gz'))).toString()) as Expected
  const { cacheDir, threads } = loadConfig()
  let [positions, worst] = [0, 0]
  await withRuntime({ model, format: 'f32', threads, cacheDir, contextLength: 256, onProgress: say },
    { maxSequences: 4, kvCacheBytes: 2 ** 28, prefillTokensPerStep: 128 }, async ({ engine }) => {
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
    })
  console.log(`${positions} positions, ${ids.length} logits and the log-normaliser of each: the largest ` +
    'difference is ' +
    `${worst.toExponential(2)}`)
}

await runProgram({
  command: 'node dist/studies/compare-logits.js',
  summary: 'The largest difference of a model’s logits from those that transformers computes',
  options: { model: studyOptions['model']! },
  run: args => compare(args.text('model'))
})
