import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pagesWithTables, withTables } from '../../../scripts/docs-tables.js'
import { page } from '../../helpers/docs.js'

test('the docs’ tables are those of the schemas; `node dist/scripts/docs-tables.js` writes them', () => {
  for (const path of pagesWithTables) assert.equal(page(path), withTables(path, page(path)), path)
  assert.match(page('docs/strategies.md'), /\| `num_candidates` \| an integer from 1 to 128 \| `8` \|/)
  assert.match(page('docs/operations.md'), /FAIRLEAD_MAX_SEQUENCES/)
  assert.match(page('docs/errors.md'), /\| `rate_limit_exceeded` \| 429 \| `rate_limit_error` \|/)
  assert.match(page('docs/api.md'), /\| `messages` \| chat \|/)
})
