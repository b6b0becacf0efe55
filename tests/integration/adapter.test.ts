/**
 * Adapters on tiny models: scores equal peft's, whatever the base's file; a reward uses one; what cannot be merged is
 * refused.
 */
import assert from 'node:assert/strict'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test, type TestContext } from 'node:test'
import { Engine } from '../../src/engine/engine.js'
import { RequestError } from '../../src/errors.js'
import type { Variant } from '../../src/models/formats/adapted-model.js'
import { loadModel, type LoadedModel } from '../../src/models/model.js'
import type { WeightFormat } from '../../src/models/quantization/weight-format.js'
import { packageRoot } from '../../src/package-root.js'
import { parseRewardFamily } from '../../src/rewards/descriptor.js'
import { asGguf } from '../helpers/checkpoint-as-gguf.js'
import { closedAfter } from '../helpers/closed-after.js'
import { answerOf, openReward, promptOf } from '../helpers/open-reward.js'
import { safetensors, tinyCheckpoints, writeTinyCheckpoint } from '../helpers/tiny-checkpoint.js'
import { noise } from '../helpers/tiny-vocabulary.js'

const folder = mkdtempSync(join(tmpdir(), 'fairlead-adapter-'))
after(() => { rmSync(folder, { recursive: true }) })
const base = join(folder, 'llama')
writeTinyCheckpoint(base, tinyCheckpoints['llama']!)
/** Written by scripts/expected-adapter.py, like what peft computes with it: one layer of the base, two labels. */
const adapter = join(packageRoot, 'tests/fixtures/tiny-adapter')
const { tokens, scores } = JSON.parse(readFileSync(join(adapter, 'expected.json'),
  'utf8')) as { tokens: number[], scores: number[][] }

/** A model that is given back when the test ends. */
async function load (
  t: TestContext, model: string, variant: Variant, format: WeightFormat = 'f32'
): Promise<LoadedModel> {
  return closedAfter(t, await loadModel({ model, variant, format, threads: 1, cacheDir: folder, contextLength: 0 }))
}

const room = { contextLength: 512, maxSequences: 4, kvCacheBytes: 2 ** 26, prefixCacheBytes: 0 }

/** Scores after every position. */
async function scoresOf (t: TestContext, model: LoadedModel): Promise<number[][]> {
  const engine = closedAfter(t, new Engine(model, { ...room, prefillTokensPerStep: 7 }))
  const rows: number[][] = []
  const sequence = engine.open(tokens.slice(0, -9),
    { onPosition: (position, { logits }) => { rows[position] = [...logits] } })
  await sequence.output()
  for (const token of tokens.slice(-9)) {
    sequence.append(token)
    rows.push([...(await sequence.output()).distribution.logits])
  }
  return rows
}

const largestDifference = (given: readonly number[][], expected: readonly number[][]): number =>
  Math.max(...expected.flatMap((row, at) => row.map((value, label) => Math.abs(value - given[at]![label]!))))

test('an adapter on the first layer of a checkpoint scores as in peft: ranks and scales by module, ' +
  'rank-stabilised', async t => {
  const given = await scoresOf(t, await load(t, base, { layers: 1, adapter }))
  assert.equal(given.length, scores.length)
  const difference = largestDifference(given, scores)
  assert.ok(difference <= 1e-4, `the largest difference is ${difference}`)
  assert.ok(new Set(scores.map(([score]) => score!.toFixed(3))).size > 20, 'scores differ')
})

test('so it does on the same weights in a GGUF file, where rows of queries and keys stand in pairs', async t => {
  const model = await load(t, await asGguf(base), { layers: 1, adapter })
  const difference = largestDifference(await scoresOf(t, model), scores)
  assert.ok(difference <= 1e-4, `the largest difference is ${difference}`)
})

test('matrices of queries and keys that the adapter replaces whole compute in a GGUF file what they do in a ' +
  'checkpoint', async t => {
  const whole = join(folder, 'whole')
  mkdirSync(whole)
  writeFileSync(join(whole, 'adapter_config.json'),
    JSON.stringify({ peft_type: 'LORA', r: 1, lora_alpha: 1, modules_to_save: ['q_proj', 'k_proj', 'score'] }))
  const random = noise(5)
  const tensors = ([['model.layers.0.self_attn.q_proj', 64], ['model.layers.0.self_attn.k_proj', 32],
    ['score', 2]] as const).map(([module, rows]) => ({
    name: `base_model.model.${module}.weight`,
    shape: [rows, 64],
    dtype: 'F32',
    data: Buffer.from(Float32Array.from({ length: rows * 64 }, random).buffer)
  }))
  writeFileSync(join(whole, 'adapter_model.safetensors'), safetensors(tensors))
  const expected = await scoresOf(t, await load(t, base, { layers: 1, adapter: whole }))
  assert.ok(largestDifference(expected, scores) > 0.1, 'another adapter scores otherwise')
  const given = await load(t, await asGguf(base), { layers: 1, adapter: whole })
  const difference = largestDifference(await scoresOf(t, given), expected)
  assert.ok(difference <= 1e-4, `the largest difference is ${difference}`)
})

test('in every format an adapted model computes about what float32 does', async t => {
  const spread = Math.max(...scores.flat()) - Math.min(...scores.flat())
  for (const format of ['i8', 'q8', 'exact'] as const) {
    const model = await load(t, base, { layers: 1, adapter }, format)
    const difference = largestDifference(await scoresOf(t, model), scores)
    assert.ok(difference <= 0.1 * spread, `${format}: ${difference} of ${spread}`)
  }
})

test('an adapted model is another model than its base, with another number of layers another again', async t => {
  const variants: Variant[] = [{}, { layers: 1 }, { adapter }, { layers: 1, adapter }]
  const models = await Promise.all(variants.map(variant => load(t, base, variant)))
  assert.equal(new Set(models.map(({ sha256 }) => sha256)).size, 4)
  assert.equal(models[3]!.id, 'llama + 1 layers + tiny-adapter')
})

const normalization = { mean: 0, std: 1, pool: 'none' }
const descriptor = {
  kind: 'classifier',
  model: 'llama',
  layers: 1,
  adapter,
  label: 1,
  format: 'f32',
  template: '{% for message in messages %}{{ message[\'content\'] }}{% endfor %}',
  members: { outcome: { normalization }, prefix: { normalization } }
}
const open = (more: object = {}): ReturnType<typeof openReward> =>
  openReward(join(folder, 'reward.json'), { ...descriptor, ...more }, 'prefix')

test('a reward reads through an adapted model: a growing answer scores as it does read anew', async () => {
  const text = 'then in the end 🙂 the wind 数字 rests… naïve, in 1789'
  const prefixes = Array.from({ length: 8 }, (_, step) => answerOf([...text].slice(0, (step + 1) * 5).join(''), false))
  const reward = await open()
  const grown: number[] = []
  for (const prefix of prefixes) grown.push(...await reward.score(promptOf('the sea'), [prefix]))
  await reward.end()
  for (const [index, prefix] of prefixes.entries()) {
    const fresh = await open()
    const [expected] = await fresh.score(promptOf('the sea'), [prefix])
    await fresh.end()
    assert.ok(Math.abs(grown[index]! - expected!) <= 1e-4, `${prefix.text}: ${grown[index]}, anew ${expected}`)
  }
  assert.ok(new Set(grown.map(score => score.toFixed(3))).size > 5, 'scores differ')
})

test('a reward may pin its model’s SHA-256: its version then does not wait for the model', async t => {
  await assert.rejects(open({ sha256: '0'.repeat(64) }),
    /model llama \+ 1 layers \+ tiny-adapter: .*0{64}.*[0-9a-f]{64}/)
  const { sha256 } = await load(t, base, { layers: 1, adapter })
  const pinned = { ...descriptor, sha256 }
  const unloaded =
    parseRewardFamily(JSON.stringify({ name: 'judge', description: 'x', ...pinned }), join(folder, 'reward.json'))
  const reward = await open({ sha256 })
  assert.equal(reward.resolved.scorer.used[0]!.version, unloaded.version)
  await reward.end()
})

/** A copy of the adapter with fields of its configuration changed. */
function changed (fields: object): string {
  const copy = mkdtempSync(join(folder, 'changed-'))
  cpSync(adapter, copy, { recursive: true })
  const file = join(copy, 'adapter_config.json')
  writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')) as object, ...fields }))
  return copy
}

test('what cannot be merged is refused with the adapter’s folder and the reason', async t => {
  const refused = async (variant: Variant, reason: RegExp, model = base): Promise<void> => {
    const isExpected = (error: unknown): boolean => error instanceof RequestError && reason.test(error.message)
    await assert.rejects(load(t, model, variant), isExpected, String(reason))
  }
  await refused({ layers: 3 }, /layers must be at most the 2 of .*llama; got 3/)
  await refused({ adapter: join(folder, 'nowhere') }, /nowhere/)
  await refused({ adapter: changed({ use_dora: true }) }, /changed-.*use_dora = true is not supported/)
  await refused({ adapter: changed({ init_lora_weights: 'pissa_niter_16' }) },
    /init_lora_weights = "pissa_niter_16" is not supported/)
  await refused({ adapter: changed({ peft_type: 'IA3' }) }, /peft_type = "IA3" is not supported/)
  await refused({ adapter: changed({ r: 3 }) },
    /lora_A.*adapter_config\.json; got \[\d+, \d+\]/)
  await refused({ adapter: changed({ lora_alpha: 0 }) }, /lora_alpha must be a positive number; got 0/)
  await refused({ adapter: changed({ alpha_pattern: { '(': 1 } }) }, /adapter_config\.json: "\("/)
  const broken = changed({})
  writeFileSync(join(broken, 'adapter_model.safetensors'), 'no')
  await refused({ adapter: broken }, /not a usable safetensors file/)
  writeTinyCheckpoint(join(folder, 'wide'), { family: 'qwen3' })
  await refused({ adapter }, /its difference for blk\.0\.attn_[qkvo].* has shape/, join(folder, 'wide'))
})
