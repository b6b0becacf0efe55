import assert from 'node:assert/strict'
import { test } from 'node:test'
import { drawTree, stepLine } from '../../../src/cli/search-tree.js'
import { oddities, run } from '../../helpers/run-strategy.js'

const report = (
  index: number, parent: number | null, text: string, prunedAt: number | null = null
): Parameters<typeof drawTree>[0][number] =>
  ({
    index,
    parent,
    text,
    tokens: text.length,
    finishReason: 'stop',
    prunedAt,
    score: { value: index / 2, rewards: {} },
    logprob: 0
  })

test('a tree shows who was forked from whom, what became of each, and the text that is its own', () => {
  const tree = drawTree([report(0, null, 'a film'), report(1, null, 'no', 1), report(2, 0, 'a fine\nday'),
    report(3, 2, 'a fine lie', 4)], [2])
  assert.deepEqual(tree.split('\n'), [
    'prompt',
    '├─ 0   0.00    6 tokens  a film',
    '│  └─ 2   1.00   10 tokens ◀ chosen  …ne day',
    '│     └─ 3   1.50   10 tokens pruned at 4  … lie',
    '└─ 1   0.50    2 tokens pruned at 1  no'
  ])
})

test('a step is one line', () => {
  assert.equal(stepLine({
    type: 'progress',
    step: 3,
    candidates: [{ index: 4, parent: 0, text: '', reward: 1.234, kept: true, finished: true }, {
      index: 0, parent: null, text: '', reward: null, kept: true, finished: false
    }, { index: 5, parent: 0, text: '', reward: -1, kept: false, finished: false }]
  }), 'step 3: kept 4. (1.23), 0 (–); pruned 5 (-1.00)')
})

test('every candidate of a search is in its tree once', async () => {
  for (const alignment of [{ strategy: 'beam_search', num_beams: 2, num_children: 3, step: { tokens: 1 } },
    { strategy: 'rebase', width: 5, step: { tokens: 1 } },
    { strategy: 'particle_filter', step: { tokens: 1 }, strength: 5 }]) {
    const { result } = await run(alignment, { scorer: oddities, seed: 2, sampling: { maxTokens: 6 } })
    const lines = drawTree(result.candidates, [result.choices[0]!.candidateIndex]).split('\n').slice(1)
    const shown = lines.map(line => Number(/(\d+) +-?\d/.exec(line)![1])).sort((a, b) => a - b)
    assert.deepEqual(shown, result.candidates.map(one => one.index), alignment.strategy)
    assert.equal(lines.filter(line => line.includes('◀ chosen')).length, 1)
  }
})
