import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { journalCost } from '../../../src/cli/bench-journal.js'
import { packageRoot } from '../../../src/package-root.js'

test('the journal of the best of 64 answers of 512 tokens has at most 250 kB', () => {
  const chats = readFileSync(join(packageRoot, 'models', 'calibration', 'chats.json'), 'utf8')
  const source = (JSON.parse(chats) as string[][]).flat().join(' ').replaceAll(/\s+/g, ' ')
  // A pass of 64 rows of the default model takes some 60 ms on two cores.
  const { bytes } = journalCost(64, 512, source, 60)
  assert.ok(bytes > 64 * 512 * 4 && bytes <= 250_000, String(bytes))
})
