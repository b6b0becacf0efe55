/** Commands on a device, as processes of their own. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { promisify } from 'node:util'
import { packageRoot } from '../../src/package-root.js'
import { writeTinyGguf } from '../helpers/tiny-gguf.js'

const folder = mkdtempSync(join(tmpdir(), 'fairlead-vulkan-cli-'))
after(() => { rmSync(folder, { recursive: true }) })
const model = join(folder, 'tiny.gguf')
writeTinyGguf(model)

const bench = (...args: readonly string[]): Promise<{ stdout: string }> =>
  promisify(execFile)(process.execPath, [join(packageRoot, 'dist/src/cli/main.js'), 'bench', '--model', model,
    '--cache-dir', folder, '--kv-cache-bytes', String(1 << 24), '--prefix-cache-bytes', String(1 << 20),
    '--scenario', 'decode,prefill,fan-out', '--batch', '2', '--context', '16', '--prompts', '40', '--candidates', '4',
    '--tokens', '2', '--repeat', '1', ...args])

test('bench measures a device, and names it', async () => {
  const { stdout } = await bench('--device', 'webgpu', '--format', 'f16', '--json')
  const { environment, rows } = JSON.parse(stdout) as {
    environment: Record<string, string>, rows: Array<{ scenario: string, unit: string, value: { median: number } }>
  }
  assert.match(environment['device']!, /^webgpu \(.+\)$/)
  assert.equal(environment['format'], 'f16: float16')
  assert.deepEqual([...new Set(rows.map(({ scenario }) => scenario))], ['decode', 'prefill', 'fan-out'])
  for (const { unit, value } of rows) assert.ok(unit === 'bytes' || value.median > 0)
})

test('what bench profiles on the processor alone is refused on a device', async () => {
  await assert.rejects(bench('--device', 'webgpu', '--operators'), /--operators profiles the processor/)
})
