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
  readonly hidden: Readonly<Record<string, ReadonlyArray<{
    readonly position: number, readonly dims: readonly number[], readonly values: string
  }>>>
}

/** Written by scripts/expected-logits.py: transformers, float32, the same weights. */
const fixture = JSON.parse(gunzipSync(readFileSync(join(packageRoot, 'tests/fixtures/expected-logits.json.gz')))
  .toString()) as { ids: number[], chats: Chat[] }

function floats (base64: string): Float32Array {
  const bytes = Buffer.from(base64, 'base64')
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength))
}

let model: LoadedModel
let engine: Engine

before(async () => {
  const { cacheDir, threads } = loadConfig()
  model = await loadModel({ model: 'smollm2-135m', format: 'f32', threads, cacheDir, contextLength: 256 })
  engine = new Engine(model, {
    contextLength: 256,
    maxSequences: 4,
    kvCacheBytes: 2 ** 28,
    prefixCacheBytes: 0,
    prefillTokensPerStep: 128
  })
})
after(async () => {
  await engine.close()
  model.dispose()
})

type Look = (position: number, output: Awaited<ReturnType<ReturnType<Engine['open']>['output']>>) => void

/**
 * Calls back with the output after every position from `first` on: the prompt up to it runs in chunks, the rest alone.
 */
async function walk (tokens: readonly number[], first: number, layers: readonly number[], look: Look): Promise<void> {
  const sequence = engine.open(tokens.slice(0, first + 1), { layers })
  try {
    for (let position = first; position < tokens.length; position++) {
      if (position > first) sequence.append(tokens[position]!)
      look(position, await sequence.output())
    }
  } finally {
    sequence.close()
  }
}

/** Collects the largest difference to what a chat's fixture says. */
class Comparison {
  positions = 0
  worst = 0

  look ({ logits, logNormalizers }: Chat): Look {
    const [expected, normalizers] = [floats(logits), floats(logNormalizers)]
    return (position, { distribution }) => {
      this.positions++
      this.worst = Math.max(this.worst, Math.abs(distribution.logNormalizer - normalizers[position]!))
      for (const [index, id] of fixture.ids.entries()) {
        this.worst = Math.max(this.worst,
          Math.abs(distribution.logits[id]! - expected[position * fixture.ids.length + index]!))
      }
    }
  }

  check (minPositions: number): void {
    assert.ok(this.positions >= minPositions, `${this.positions} positions`)
    assert.ok(this.worst <= 1e-3, `the largest difference is ${this.worst}`)
    console.log(`# largest difference over ${this.positions} positions: ${this.worst.toExponential(2)}`)
  }
}

test('decoding gives the logits and log-normalisers of transformers to 1e-3, over real chats', async () => {
  const comparison = new Comparison()
  await Promise.all(fixture.chats.map(chat => walk(chat.tokens, 0, [], comparison.look(chat))))
  comparison.check(400)
})

test('prompts read in chunks give them too', async () => {
  const comparison = new Comparison()
  // Each sequence gives the end of one prompt.
  for (const chat of fixture.chats) {
    for (const end of [1, 2, 25, 40, 60, chat.tokens.length - 1]) {
      await walk(chat.tokens.slice(0, end + 1), end, [], comparison.look(chat))
    }
  }
  comparison.check(24)
})

test('layer k is transformers’ hidden_states[k]', async () => {
  const [chat] = fixture.chats
  const layers = Object.keys(chat!.hidden).map(Number)
  let compared = 0
  await walk(chat!.tokens, 0, layers, (position, output) => {
    for (const layer of layers) {
      const expected = chat!.hidden[layer]!.find(one => one.position === position)
      if (!expected) continue
      const values = floats(expected.values)
      // Some dimensions of the middle layers are tens of thousands: float32 keeps seven digits of them.
      const scale = Math.max(...values.map(Math.abs))
      for (const [index, value] of values.entries()) {
        compared++
        const given = output.hidden(layer)[expected.dims[index]!]!
        assert.ok(Math.abs(given - value) <= 1e-5 * scale + 1e-4 * Math.abs(value) + 1e-5,
          `layer ${layer}, position ${position}: ${given} for ${value}`)
      }
    }
  })
  assert.ok(compared >= layers.length * 3 * 8)
})
