/**
 * Adapters of a language model's embedding and head, where both are one tensor of the base and where they are two: the
 * logits are peft's.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test, type TestContext } from 'node:test'
import { Engine } from '../../src/engine/engine.js'
import { RequestError } from '../../src/errors.js'
import { loadModel, type LoadedModel } from '../../src/models/model.js'
import { packageRoot } from '../../src/package-root.js'
import { asGguf } from '../helpers/checkpoint-as-gguf.js'
import { closedAfter } from '../helpers/closed-after.js'
import { tinyAdapters, writeTinyAdapter, writeTinyBases } from '../helpers/tiny-adapters.js'

const folder = mkdtempSync(join(tmpdir(), 'fairlead-tied-'))
after(() => { rmSync(folder, { recursive: true }) })
writeTinyBases(folder)
for (const name of Object.keys(tinyAdapters)) writeTinyAdapter(join(folder, 'adapters', name), name)
/** Written by scripts/expected-adapter.py: what peft computes after every fifth position. */
const { ids, tokens, logits } = JSON.parse(readFileSync(join(packageRoot, 'tests/fixtures/expected-adapters.json'),
  'utf8')) as { ids: number[], tokens: number[], logits: Record<string, number[][]> }

async function load (t: TestContext, model: string, adapter: string): Promise<LoadedModel> {
  return closedAfter(t, await loadModel({
    model, variant: { adapter }, format: 'f32', threads: 1, cacheDir: folder, contextLength: 0
  }))
}

async function logitsOf (t: TestContext, model: LoadedModel): Promise<number[][]> {
  const room = { contextLength: 512, maxSequences: 4, kvCacheBytes: 2 ** 26, prefixCacheBytes: 0 }
  const engine = closedAfter(t, new Engine(model, { ...room, prefillTokensPerStep: 64 }))
  const rows: number[][] = []
  const sequence = engine.open(tokens,
    { onPosition: (position, { logits: all }) => { rows[position] = ids.map(id => all[id]!) } })
  const { distribution } = await sequence.output()
  rows[tokens.length - 1] = ids.map(id => distribution.logits[id]!)
  return rows.filter((_, position) => position % 5 === 0)
}

function near (given: readonly number[][], expected: readonly number[][]): void {
  assert.equal(given.length, expected.length)
  const difference = Math.max(...expected.flatMap((row, at) =>
    row.map((value, column) => Math.abs(value - given[at]![column]!))))
  assert.ok(difference <= 1e-4, `the largest difference is ${difference}`)
}

for (const [name, expected] of Object.entries(logits)) {
  const [base, adapter] = name.split(' ') as [string, string]
  test(`${adapter} on a base whose head and embedding are ${base}: peft's logits`, async t => {
    near(await logitsOf(t, await load(t, join(folder, base), join(folder, 'adapters', adapter))), expected)
  })
}

test('on the same weights in a GGUF file an adapter of the embedding computes the same', async t => {
  const path = await asGguf(join(folder, 'tied'))
  for (const adapter of ['embedding-saved', 'head-lora', 'embedding-loaded']) {
    near(await logitsOf(t, await load(t, path, join(folder, 'adapters', adapter))), logits[`tied ${adapter}`]!)
  }
})

test('fields that would change what an adapter computes, known or not, are refused by name', async t => {
  const refused = async (adapter: string, config: object, reason: RegExp): Promise<void> => {
    const changed = join(folder, `refused-${Object.keys(config)[0]}`)
    writeTinyAdapter(changed, adapter, config)
    await assert.rejects(load(t, join(folder, 'tied'), changed), (error: unknown) =>
      error instanceof RequestError && error.param === 'model' && reason.test(error.message), String(reason))
  }
  await refused('patterns', { use_new_method: true }, /adapter_config.json: use_new_method = true is not supported/)
  await refused('patterns', { target_parameters: ['x'] }, /target_parameters = \["x"\] is not supported/)
  await refused('patterns', { bias: 'all' }, /bias = "all" is not supported/)
  await refused('patterns', { fan_in_fan_out: true }, /fan_in_fan_out = true is not supported/)
  await refused('patterns', { monteclora_config: {} }, /monteclora_config/)
  await refused('embedding-saved', { ensure_weight_tying: true }, /ensure_weight_tying = true is not supported/)
})
