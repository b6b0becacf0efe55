import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { Engine } from '../../src/engine/engine.js'
import { loadModel, type LoadedModel } from '../../src/models/model.js'
import { weightFormats } from '../../src/models/quantization/weight-format.js'
import { closedAfter } from '../helpers/closed-after.js'
import { follow, promptOf, rowOf, trace, turn } from '../helpers/engine-traces.js'
import { sameBits } from '../helpers/same-bits.js'
import { writeTinyGguf } from '../helpers/tiny-gguf.js'

// More threads than this machine may have cores, than the model has heads (4, and 2 for keys), and contexts beyond one
// piece of a sum.
const threadCounts = [1, 2, 4, 8, 16]
const directory = mkdtempSync(join(tmpdir(), 'fairlead-threads-'))
const path = join(directory, 'tiny.gguf')
const kindOf = (name: string): 'Q4_0' | 'Q4_1' => name.includes('attn_output') ? 'Q4_0' : 'Q4_1'
writeTinyGguf(path, { encode: name => name.startsWith('token_embd') ? 'Q8_0' : kindOf(name) })
after(() => { rmSync(directory, { recursive: true }) })

const fingerprints = new Set<string>()
const options = {
  contextLength: 512,
  maxSequences: 64,
  kvCacheBytes: 2 ** 28,
  prefixCacheBytes: 0,
  prefillTokensPerStep: 64
}

for (const format of weightFormats) {
  for (const threads of threadCounts) {
    describe(`${format} with ${threads} threads`, () => {
      let model: LoadedModel
      let engine: Engine
      before(async () => {
        model = await loadModel({ model: path, format, threads, cacheDir: directory, contextLength: 0 })
        engine = new Engine(model, options)
      })
      after(async () => {
        await engine.close()
        model.dispose()
      })

      test('runs in the format and with the threads asked for, and shares prompts', () => {
        assert.equal(model.operators.format, format)
        assert.equal(model.operators.threads, threads)
        assert.ok(engine.sharesPrompt(16, 320))
        assert.ok(!fingerprints.has(model.fingerprint))
        fingerprints.add(model.fingerprint)
      })

      test('a long context has the same bits alone and among others', async () => {
        const alone = await trace(engine, promptOf(320), 6)
        const others = Array.from({ length: 7 }, async (_, index) => {
          for (let turns = 0; turns < index % 5; turns++) await turn()
          return trace(engine, promptOf(2 + 45 * index, 100 + index), 4 + index)
        })
        const [crowded] = await Promise.all([trace(engine, promptOf(320), 6), ...others])
        sameBits(crowded, alone)
      })

      test('a long prompt has the same bits however it is cut into chunks, and read alone or with others', async t => {
        const prompt = promptOf(320)
        const whole = await trace(engine, prompt, 2)
        for (const prefillTokensPerStep of [33, 512]) {
          const cut = closedAfter(t, new Engine(model, { ...options, prefillTokensPerStep, joinsChunks: true }))
          const others = Array.from({ length: 3 }, (_, index) => trace(cut, promptOf(40 + 9 * index, index), 2))
          const [crowded] = await Promise.all([trace(cut, prompt, 2), ...others])
          sameBits(crowded, whole, `${prefillTokensPerStep} tokens a step`)
        }
      })

      test('a shared prompt takes its room once, for one candidate and for 16', async () => {
        assert.ok(model.operators.sharesPrompts)
        const family = { fanOut: 16, salt: 'counted' }
        const root = engine.open(promptOf(320, 5), family)
        const first = rowOf(await root.output())
        const { kvTokens: before } = engine.stats()
        assert.equal(before, 320)
        const forks = Array.from({ length: 15 }, () => root.fork())
        await Promise.all(forks.map(fork => { fork.append(9); return fork.output() }))
        assert.equal(engine.stats().kvTokens, 320 + 15)
        for (const sequence of [root, ...forks]) sequence.close()
        // The prompt itself is read as one that is not shared.
        sameBits(first, (await trace(engine, promptOf(320, 5), 0))[0])
      })

      test('a candidate of a long shared prompt has the same bits alone and among its siblings', async () => {
        const family = { fanOut: 16 }
        const alone = await trace(engine, promptOf(320, 2), 8, family)
        const root = engine.open(promptOf(320, 2), family)
        await root.output()
        const siblings = Array.from({ length: 15 }, () => root.fork())
        try {
          const [crowded] = await Promise.all([
            follow(root, 8),
            ...siblings.map((sibling, index) => follow(sibling, 3 + index % 4)),
            trace(engine, promptOf(40, 3), 6)
          ])
          sameBits(crowded, alone)
        } finally {
          for (const sequence of [root, ...siblings]) sequence.close()
        }
      })
    })
  }
}

test('a long answer to a long shared prompt: sums over its own positions, too, have the same bits alone and ' +
  'among others', async () => {
  const model = await loadModel({ model: path, format: 'f32', threads: 16, cacheDir: directory, contextLength: 0 })
  const engine = new Engine(model, options)
  try {
    const alone = await trace(engine, promptOf(160, 4), 300, { fanOut: 32 })
    const root = engine.open(promptOf(160, 4), { fanOut: 32 })
    await root.output()
    const siblings = Array.from({ length: 5 }, () => root.fork())
    const [crowded] = await Promise.all([
      follow(root, 300), ...siblings.map((sibling, index) => follow(sibling, 290 - 7 * index))
    ])
    sameBits(crowded, alone)
  } finally {
    await engine.close()
    model.dispose()
  }
})
