import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Progress } from '../../../src/reporting/progress.js'

test('progress is a bar on a terminal and a line every tenth elsewhere', () => {
  const written: string[] = []
  const log = new Progress({ write: text => written.push(text) })
  for (let done = 0; done <= 100; done++) log.tell('prompts', done, 100)
  assert.equal(written.length, 11)
  assert.equal(written[3], 'prompts 30/100\n')
  const drawn: string[] = []
  const bar = new Progress({ isTTY: true, write: text => drawn.push(text) })
  bar.tell('prompts', 1, 2)
  bar.tell('panel', 0, 1)
  assert.ok(drawn[0]!.includes('████████████░░░░░░░░░░░░ 1/2'))
  assert.equal(drawn[1], '\n')
})
