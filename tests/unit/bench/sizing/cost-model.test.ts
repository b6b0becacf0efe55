import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gpuEngine, gpus, uncachedTokens, workSeconds, type EngineCost } from '../../../../bench/sizing/cost-model.js'

/**
 * SmolLM2-135M in float32 on a vLLM 0.32.0 for CPU, two cores, blocks of 32, busy with others (docs/sizing.md). From
 * two measurements, best of 16 × 160 tokens in one go with the prefix cache (31.5 s) and without (73.9 s):
 * (73.9 − 31.5) / (15 × 500) seconds for a prompt token, and the rest for rounds.
 */
const prefillToken = (73.9 - 31.5) / (15 * 500)
const call = 0.002
const round = (31.5 - 500 * prefillToken - 16 * call) / 160
const measured: EngineCost = { round: () => round, prefillToken, call, blockTokens: 32, kvTokens: Infinity }

/** Seconds of 16 tokens more for 16 candidates of some length. */
const step = (length: number, prefill = uncachedTokens(length, measured)): number =>
  workSeconds(measured, { sequences: 16, tokens: 16, context: 0, prefill: 16 * prefill, calls: 16 })
const firstTokens =
  workSeconds(measured, { sequences: 16, tokens: 32, context: 0, prefill: 500 + 15 * (500 % 32), calls: 16 })
const lengths = Array.from({ length: 8 }, (_, index) => 532 + 16 * index)

/** [what, by the model, least and most that was measured, seconds] */
const figures: ReadonlyArray<readonly [string, number, readonly [number, number]]> = [
  ['a step with 4 tokens of each uncached', step(548), [3.1, 3.5]],
  ['a step with 20 tokens of each uncached', step(532), [4.2, 5.4]],
  ['a step without the prefix cache', step(596, 596), [57, 61]],
  ['the first 32 tokens', firstTokens, [9, 9]],
  ['all steps, in parts of one go',
    (firstTokens + lengths.reduce((sum, length) => sum + step(length), 0)) / 31.5, [1.05, 1.33]]
]

for (const [what, modelled, [least, most]] of figures) {
  test(`the cost model is within 15 % of what was measured: ${what}`, t => {
    t.diagnostic(`${modelled.toFixed(2)}, measured ${least}–${most}`)
    assert.ok(modelled > 0.85 * least && modelled < 1.15 * most, String(modelled))
  })
}

const qwen = { parameters: 7.6e9, bytesPerParameter: 2, kvBytesPerToken: 57344 }

test('on a GPU few sequences take as long as the weights, many as long as their operations', () => {
  const shares = { bandwidth: 1, operations: 1, memory: 1, roundSeconds: 0 }
  const engine = gpuEngine(gpus['h100']!, qwen, shares)
  assert.equal(engine.round(1, 0), 15.2e9 / 3.35e12)
  assert.equal(engine.round(1, 1e6), (15.2e9 + 57344e6) / 3.35e12)
  assert.equal(engine.round(1000, 0), 1000 * 15.2e9 / 989e12)
  assert.equal(engine.kvTokens, Math.floor((80e9 - 15.2e9) / 57344))
  assert.throws(() => gpuEngine(gpus['l4']!, { ...qwen, parameters: 70e9 }), /the model has 140000000000 bytes/)
})
