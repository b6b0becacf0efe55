import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { readmePath, withTables } from '../../scripts/readme-tables.js'

test('the README’s tables are those of the schemas; `node dist/scripts/readme-tables.js` writes them', () => {
  const readme = readFileSync(readmePath, 'utf8')
  assert.equal(readme, withTables(readme))
  assert.match(readme, /\| `num_candidates` \| an integer from 1 to 128 \| `8` \|/)
  assert.match(readme, /FAIRLEAD_MAX_SEQUENCES/)
})
