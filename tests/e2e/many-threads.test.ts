import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadConfig } from '../../src/config.js'
import { Engine } from '../../src/engine/engine.js'
import { loadModel } from '../../src/models/model.js'
import { closedAfter } from '../helpers/closed-after.js'
import { trace } from '../helpers/engine-traces.js'
import { sameBits } from '../helpers/same-bits.js'

/** More than the model has query heads (9): attention of a row alone could be divided among threads. */
const threads = 16

const tokens = (length: number, seed: number): number[] =>
  Array.from({ length }, (_, at) => 100 + (at * 7919 + seed * 131) % 40000)

test('with 16 threads a request of the default model has the same bits alone and among 31 others, behind ' +
  '1,100 tokens', async t => {
  const { cacheDir } = loadConfig()
  const loaded = await loadModel({ model: 'smollm2-135m', format: 'i8', threads, cacheDir, contextLength: 2048 })
  const model = closedAfter(t, loaded)
  assert.equal(model.operators.threads, threads)
  const engine = closedAfter(t, new Engine(model, {
    contextLength: 2048,
    maxSequences: 32,
    kvCacheBytes: 2 ** 32,
    prefixCacheBytes: 0,
    prefillTokensPerStep: 256
  }))
  const alone = await trace(engine, tokens(1100, 1), 3)
  const others = Array.from({ length: 31 }, (_, index) => trace(engine, tokens(2 + 3 * index, 2 + index), 8))
  const [crowded] = await Promise.all([trace(engine, tokens(1100, 1), 3), ...others])
  sameBits(crowded, alone)
})
