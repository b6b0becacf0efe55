/** Tiny random checkpoints of every family on a device, against what transformers computes with them. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { packageRoot } from '../../src/package-root.js'
import { loadOnDevice, openDecoder, openTestDevice, passOf } from '../helpers/device-model.js'
import { tinyCheckpoints, writeTinyCheckpoint } from '../helpers/tiny-checkpoint.js'

/** Written by scripts/expected-families.py. */
const { ids, tokens, checkpoints } =
  JSON.parse(readFileSync(join(packageRoot, 'tests/fixtures/expected-families.json'), 'utf8')) as {
    ids: number[], tokens: number[], checkpoints: Record<string, { logits?: number[][], scores?: number[][] }>
  }
const folder = mkdtempSync(join(tmpdir(), 'fairlead-vulkan-families-'))
after(() => { rmSync(folder, { recursive: true }) })
/** Of 16-bit keys and values, where logits are as large as these models'. */
const tolerance = 0.04

for (const sorts of ['device', 'host'] as const) {
  const opening = openTestDevice(sorts)
  after(async () => { await (await opening).device.close() })
  for (const [name, { logits, scores }] of Object.entries(checkpoints)) {
    test(`${name}, sorted by the ${sorts}: transformers' ${logits ? 'logits' : 'scores'} after every position`, async t => {
      writeTinyCheckpoint(join(folder, name), tinyCheckpoints[name]!)
      const decoder = await openDecoder(t, await loadOnDevice(t, await opening, join(folder, name)))
      const part = { tokens, past: 0, blocks: Array.from({ length: 3 }, (_, at) => 7 - 2 * at) }
      const out = await decoder.run(passOf(decoder, [part], { every: true }))
      const expected = (logits ?? scores)!
      for (const [position, values] of expected.entries()) {
        const row = out.logits.get(position)!
        const given = logits ? [out.logNormalizers[position]!, ...ids.map(id => row[id]!)] : [...row]
        assert.equal(given.length, values.length)
        const difference = Math.max(...values.map((value, at) => Math.abs(value - given[at]!)))
        assert.ok(difference <= tolerance, `position ${position}: ${difference}`)
        const top = out.topIds.subarray(position * decoder.topK, (position + 1) * decoder.topK)
        const order = [...row.keys()].sort((a, b) => row[b]! - row[a]! || a - b).slice(0, decoder.topK)
        assert.deepEqual([...top], order)
      }
    })
  }
}
