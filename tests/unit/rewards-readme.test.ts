import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { packageRoot } from '../../src/package-root.js'
import { parseRewardFamily } from '../../src/rewards/descriptor.js'

test('the regex that the rewards’ readme shows is a valid descriptor', () => {
  const readme = readFileSync(join(packageRoot, 'models/rewards/README.md'), 'utf8')
  const example = /```json\n(.*?)```/s.exec(readme)![1]!
  assert.equal(parseRewardFamily(example, 'README.md').name, 'asks_back')
})
