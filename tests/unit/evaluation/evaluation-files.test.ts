import assert from 'node:assert/strict'
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { loadPrompts, promptSetNames } from '../../../src/evaluation/prompt-sets.js'
import { flipped, noisyPairs } from '../../../src/evaluation/panel.js'
import { Records } from '../../../src/evaluation/records.js'
import { drawPlot } from '../../../src/reporting/plot.js'
import { Progress } from '../../../src/reporting/progress.js'

const folder = mkdtempSync(join(tmpdir(), 'fairlead-evaluation-'))
after(() => { rmSync(folder, { recursive: true }) })

test('records are kept, a line that was cut short is dropped, other conditions are refused by name', () => {
  const file = join(folder, 'records.jsonl')
  Records.open<{ a: number }>(file, { model: 'm', maxTokens: 8 }).append({ a: 1 })
  appendFileSync(file, '{"a": 2')
  const again = Records.open<{ a: number }>(file, { model: 'm', maxTokens: 8 })
  assert.deepEqual(again.rows, [{ a: 1 }])
  again.append({ a: 3 })
  assert.deepEqual(Records.open(file, { model: 'm', maxTokens: 8 }).rows, [{ a: 1 }, { a: 3 }])
  assert.throws(() => Records.open(file, { model: 'm', maxTokens: 16 }), /another maxTokens: 8, now 16/)
  assert.equal(readFileSync(file, 'utf8').split('\n').length, 4)
})

test('prompt sets in the box have 200 prompts; files are read in three forms and refused by entry', () => {
  for (const name of promptSetNames) assert.equal(loadPrompts(name).length, 200, name)
  const file = join(folder, 'prompts')
  for (const text of ['["a", "b"]', '"a"\n\n"b"\n', '{"prompt": "a", "id": 1}\n{"prompt": "b"}']) {
    writeFileSync(file, text)
    assert.deepEqual(loadPrompts(file), ['a', 'b'])
  }
  writeFileSync(file, '"a"\n{"question": "b"}')
  assert.throws(() => loadPrompts(file), /prompts:2 must be a prompt.*got.*question/)
  writeFileSync(file, '"a"\n"a"')
  assert.throws(() => loadPrompts(file), /each prompt once; got "a"/)
  assert.throws(() => loadPrompts('reviewz'),
    /--prompts must be one of instructions, reviews, or a file; got "reviewz"/)
})

test('pairs for small fits follow the judge, but for a quarter', () => {
  const answers = [0, 1, 2, 3].map(index => ({ text: `answer ${index}`, tokens: 2, logprob: -1 }))
  const draws = Array.from({ length: 500 }, (_, index) => ({
    prompt: String(index),
    seed: 0,
    answers,
    generatedTokens: 8,
    forwardPasses: 2,
    kl: { value: null, kind: null },
    ms: 1
  }))
  const pairs = noisyPairs(draws, draws.map(() => [1, 0, 5, 5]))
  // Equal scores make no pair.
  assert.equal(pairs.length, 500)
  const wrong = pairs.filter(({ chosen }) => chosen === 'answer 1').length
  assert.ok(Math.abs(wrong / 500 - flipped) < 0.06)
})

test('a plot is SVG with its labels, series and intervals', async () => {
  const svg = await drawPlot({
    title: 'A title',
    x: { label: 'how many', scale: 'log' },
    y: { label: 'how good' },
    series: [{ name: 'one', kind: 'line', points: [{ x: 1, y: 2, low: 1, high: 3 }, { x: 4, y: 3 }] },
      { name: 'two', kind: 'points', points: [{ x: 2, y: 1 }] }, { name: 'nothing', kind: 'line', points: [] }]
  })
  for (const text of ['A title', 'how many', 'how good', '>one<', '>two<']) assert.ok(svg.includes(text), text)
  assert.ok(svg.startsWith('<svg'))
  assert.ok(!svg.includes('nothing'))
})

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
