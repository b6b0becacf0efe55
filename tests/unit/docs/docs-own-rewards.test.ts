import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseRewardFamily } from '../../../src/rewards/descriptor.js'
import type { Rule } from '../../../src/rewards/kinds/rules/rule.js'
import { rules } from '../../../src/rewards/kinds/rules/rules.js'
import { examples, page } from '../../helpers/docs.js'

const path = 'docs/own-rewards.md'

test('the descriptors that the docs show are valid', () => {
  const shown = examples(path, 'json').map(text =>
    parseRewardFamily(text, path, { origins: ['http://127.0.0.1:8001'], secret: () => null }))
  assert.deepEqual(shown.map(({ name }) => name),
    ['asks_back', 'brief_list', 'preference', 'tone', 'sound_steps', 'like_a_sailor', 'certain', 'calm', 'judge'])
})

test('the docs’ table holds every rule with its fields, and whether it judges prefixes', () => {
  const rows = [...page(path).matchAll(/^\| `(\w+)` \| (.*?) \| .* \| (yes|no)(?:: .*)? \|$/gm)]
    .map(([, rule, fields, prefixes]) => [rule, fields!.replaceAll('`', ''), prefixes])
  assert.deepEqual(rows.sort(), Object.entries(rules as Record<string, Rule>).map(([name, { fields, members }]) =>
    [name, Object.keys(fields).join(', ') || 'members', members.includes('prefix') ? 'yes' : 'no']).sort())
})
