import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { packageRoot } from '../../src/package-root.js'
import { parseRewardFamily } from '../../src/rewards/descriptor.js'
import type { Rule } from '../../src/rewards/rules/rule.js'
import { rules } from '../../src/rewards/rules/rules.js'

const readme = readFileSync(join(packageRoot, 'models/rewards/README.md'), 'utf8')

test('the descriptors that the rewards’ readme shows are valid', () => {
  const examples = [...readme.matchAll(/```json\n(.*?)```/gs)].map(match => parseRewardFamily(match[1]!, 'README.md', { origins: ['http://127.0.0.1:8001'], secret: () => null }))
  assert.deepEqual(examples.map(({ name }) => name), ['asks_back', 'brief_list', 'preference', 'sound_steps', 'like_a_sailor', 'certain', 'calm', 'judge'])
})

test('its table holds every rule with its fields, and whether it judges prefixes', () => {
  const rows = [...readme.matchAll(/^\| `(\w+)` \| (.*?) \| .* \| (yes|no)(?:: .*)? \|$/gm)].map(([, rule, fields, prefixes]) => [rule, fields!.replaceAll('`', ''), prefixes])
  assert.deepEqual(rows.sort(), Object.entries(rules as Record<string, Rule>).map(([name, { fields, members }]) => [name, Object.keys(fields).join(', ') || 'members', members.includes('prefix') ? 'yes' : 'no']).sort())
})
