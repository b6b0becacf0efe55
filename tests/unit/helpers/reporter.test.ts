/** What the tests' own reporter prints of failures on large data. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

const failing = `
import assert from 'node:assert/strict'
import { test } from 'node:test'
const numbers = Array.from({ length: 300_000 }, (_, index) => index)
test('lists', () => assert.deepEqual(numbers, numbers.map(one => one + 1)))
test('texts', () => assert.match('a'.repeat(3e6), /b/))
test('inside', async t => { await t.test('thrown', () => { throw new Error('x'.repeat(3e6)) }) })
`

test('failures on large data are printed in a few kilobytes, and counted', () => {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-'))
  try {
    const file = join(folder, 'large.test.mjs')
    writeFileSync(file, failing)
    const reporter = `--test-reporter=${new URL('../../reporter.js', import.meta.url).href}`
    const { NODE_TEST_CONTEXT: _, ...env } = process.env
    const { status, stdout } = spawnSync(process.execPath, ['--test', reporter, file], { encoding: 'utf8', env })
    assert.equal(status, 1)
    assert.ok(stdout.length < 40_000, `${stdout.length} characters`)
    assert.match(stdout, /^not ok 1 - lists$/m)
    assert.match(stdout, /characters more\)/)
    assert.match(stdout, /^# fail 4$/m)
    assert.deepEqual([...stdout.slice(stdout.indexOf('# fail')).matchAll(/^# not ok: (\w+) \(.*large\.test\.mjs:\d+\)$/gm)]
      .map(([, name]) => name), ['lists', 'texts', 'thrown'])
  } finally {
    rmSync(folder, { recursive: true })
  }
})
