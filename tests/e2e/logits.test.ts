import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { loadConfig } from '../../src/config.js'
import { Engine } from '../../src/engine/engine.js'
import { loadModel, type LoadedModel } from '../../src/models/model.js'
import { packageRoot } from '../../src/package-root.js'

interface Chat {
  readonly tokens: readonly number[]
  readonly logNormalizers: string
  readonly logits: string
  readonly hidden: Readonly<Record<string, ReadonlyArray<{ readonly position: number, readonly values: string }>>>
}

/** Written by scripts/expected-logits.py: transformers, float32, the same weights. */
const fixture = JSON.parse(gunzipSync(readFileSync(join(packageRoot, 'tests/fixtures/expected-logits.json.gz'))).toString()) as { ids: number[], chats: Chat[] }

function floats (base64: string): Float32Array {
  const bytes = Buffer.from(base64, 'base64')
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength))
}

let model: LoadedModel
let engine: Engine

before(async () => {
  const { cacheDir, threads } = loadConfig()
  model = await loadModel({ model: 'smollm2-135m', format: 'f32', threads, cacheDir, contextLength: 256 })
  engine = new Engine(model, { contextLength: 256, maxSequences: 4, maxKvTokens: 1024, prefixCacheTokens: 0, prefillTokensPerStep: 128, maxQueued: 0 })
})
after(async () => {
  await engine.close()
  model.dispose()
})

/** Calls back with the output after every position, each fed alone after the first two. */
async function walk (tokens: readonly number[], layers: readonly number[], look: (position: number, output: Awaited<ReturnType<ReturnType<Engine['open']>['output']>>) => void): Promise<void> {
  const sequence = engine.open(tokens.slice(0, 1), { layers })
  for (let position = 0; position < tokens.length; position++) {
    if (position > 0) sequence.append(tokens[position]!)
    look(position, await sequence.output())
  }
  sequence.close()
}

test('logits and log-normalisers of real chats are those of transformers to 1e-3', async () => {
  let positions = 0
  let worst = 0
  await Promise.all(fixture.chats.map(async chat => {
    const [logits, normalizers] = [floats(chat.logits), floats(chat.logNormalizers)]
    await walk(chat.tokens, [], (position, { distribution }) => {
      positions++
      worst = Math.max(worst, Math.abs(distribution.logNormalizer - normalizers[position]!))
      for (const [index, id] of fixture.ids.entries()) worst = Math.max(worst, Math.abs(distribution.logits[id]! - logits[position * fixture.ids.length + index]!))
    })
  }))
  assert.ok(positions >= 200, `${positions} positions`)
  assert.ok(worst <= 1e-3, `the largest difference is ${worst}`)
  console.log(`# largest difference over ${positions} positions: ${worst.toExponential(2)}`)
})

test('layer k is transformers’ hidden_states[k]', async () => {
  const [chat] = fixture.chats
  const layers = Object.keys(chat!.hidden).map(Number)
  await walk(chat!.tokens, layers, (position, output) => {
    for (const layer of layers) {
      const expected = chat!.hidden[layer]!.find(one => one.position === position)
      if (!expected) continue
      const values = floats(expected.values)
      const scale = Math.max(...values.map(Math.abs))
      for (const [index, value] of values.entries()) assert.ok(Math.abs(output.hidden(layer)[index]! - value) <= 1e-4 * scale + 1e-5, `layer ${layer}, position ${position}, ${output.hidden(layer)[index]} for ${value}`)
    }
  })
})
