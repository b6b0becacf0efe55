import assert from 'node:assert/strict'
import { test } from 'node:test'
import { drawPlot } from '../../../src/reporting/plot.js'

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
