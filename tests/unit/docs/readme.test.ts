/** What the README shows is what was recorded. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readJournal } from '../../../src/journal/read.js'
import { runSvg } from '../../../src/journal/svg.js'
import { page } from '../../helpers/docs.js'

test('the picture of a run is drawn from the kept journal', () => {
  const { entries } = readJournal(page('docs/pictures/beam.fairlead.jsonl'))
  assert.equal(page('docs/pictures/beam.svg'), runSvg(entries))
})

test('the answers of the README have their rewards and times', () => {
  const [, table = ''] = /<!-- answers -->\n([^]*)<!-- \/answers -->/.exec(page('README.md')) ?? []
  const rewards = [...table.matchAll(/^\| (?:plain|best of 16).*\| ([+−]\d\.\d\d) \| \d+\.\d\d s \|$/gm)]
    .map(([, reward]) => Number(reward!.replace('−', '-')))
  assert.equal(rewards.length, 3)
  const [plain, approving, critical] = rewards as [number, number, number]
  assert.ok(approving > plain && plain > critical, table)
})
