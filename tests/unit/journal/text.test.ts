import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Entry } from '../../../src/journal/entries.js'
import { fold } from '../../../src/journal/fold.js'
import { runText, stepLine, treeText } from '../../../src/journal/text.js'

/** Four candidates, two of them forks, one dropped. */
const entries: readonly Entry[] = [
  { t: 0, open: [[0, null, 0, 0], [1, null, 0, 0]] },
  { t: 1, grow: [[0, 3, 'a film'], [1, 1, 'no']] },
  { t: 1, score: [[0, 0, []], [1, 0.5, []]] },
  { t: 1, step: { n: 1, kept: [0], dropped: [1] } },
  { t: 1, end: [[1, 'dropped', -1, 1]] },
  { t: 2, open: [[2, 0, 2, 4]] },
  { t: 3, grow: [[0, 1, 's'], [2, 4, 'ne\nday']] },
  { t: 3, end: [[2, 'stop', -2]] },
  { t: 3, score: [[2, 1.234, []]] },
  { t: 3, step: { n: 2, kept: [2, 0], dropped: [] } },
  { t: 4, select: { chosen: [2], rule: 'argmax' } },
  { t: 4, commit: [[0, 10, 2]] }
]

test('a tree shows who was forked from whom, and where, what became of each, and the text that is its own', () => {
  assert.deepEqual(treeText(fold(entries)).split('\n'), [
    'prompt',
    '├─ 0   0.00    4 tokens  a films',
    '│  └─ 2   1.23    6 tokens ◀ chosen  …[2] ne day',
    '└─ 1   0.50    1 tokens pruned at 1  no'
  ])
})

test('a step is one line', () => {
  const run = fold(entries)
  assert.deepEqual(run.steps.map(step => stepLine(run, step)),
    ['step 1: kept 0 (0.00); pruned 1 (0.50)', 'step 2: kept 2. (1.23), 0 (0.00)'])
})

test('a run shows its answer, and no control character of it reaches the terminal', () => {
  const shown = runText(fold([...entries.slice(0, -2), { t: 4, grow: [[2, 1, '\u001B[2J']] }, ...entries.slice(-2, -1),
    { t: 5, commit: [[0, 14, 2]] }, { t: 6, fail: { code: 'deadline', message: 'too late', param: null } }]))
  assert.match(shown, /a fine\nday\\u001b\[2J/)
  assert.match(shown, /failed: too late \(deadline\)\ntook 0\.01 s/)
  assert.ok(!shown.includes('\u001B'))
})
