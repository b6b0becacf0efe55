/**
 * How long the page is busy at a time while it replays a large run: `npm run bench:inspector`. Prints figures, asserts
 * nothing: they are the machine's.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { readJournal } from '../../src/journal/read.js'
import { linesOf } from '../../src/journal/wire.js'
import { launch } from './browser.js'
import { wide } from './journals.js'
import { savedPage } from './saved-page.js'

/** Collects tasks of more than 50 ms, which is what browsers tell of, and the number of elements. */
const observed = `window.tasks = []
new PerformanceObserver(list => { for (const { duration } of list.getEntries()) tasks.push(Math.round(duration)) })
  .observe({ type: 'longtask' })
window.most = 0
const count = () => {
  most = Math.max(most, document.querySelectorAll('*').length)
  requestAnimationFrame(count)
}
count()`

interface TraceEvent {
  readonly name: string,
  readonly pid: number,
  readonly tid: number,
  readonly tdur?: number
  readonly args: { readonly name?: string }
}

/** Processor time, ms, of the longest task of the page's main thread: as long as it takes where nothing else runs. */
function longestTask (trace: Buffer): number {
  const { traceEvents } = JSON.parse(trace.toString()) as { traceEvents: readonly TraceEvent[] }
  const main = traceEvents.filter(({ name, args }) => name === 'thread_name' && args.name === 'CrRendererMain')
  return traceEvents.reduce((most, { name, pid, tid, tdur = 0 }) =>
    name === 'RunTask' && main.some(one => one.pid === pid && one.tid === tid) ? Math.max(most, tdur / 1000) : most, 0)
}

async function measured (page: Page, what: string, work: () => Promise<void>): Promise<void> {
  await browser.startTracing(page, { categories: ['disabled-by-default-devtools.timeline', 'toplevel'] })
  await page.evaluate('tasks = []')
  await work()
  const { tasks, most } = await page.evaluate('({ tasks, most })') as { tasks: number[], most: number }
  const processor = longestTask(await browser.stopTracing())
  console.log(`${what}: the longest task ${processor.toFixed(0)} ms of processor time; by the clock ${tasks.length} ` +
    `above 50 ms, the longest ${Math.max(0, ...tasks)} ms; ${most} elements at most`)
}

async function replayed (page: Page, speed: 1 | 4): Promise<void> {
  await page.getByRole('button', { name: `${speed}×`, exact: true }).click()
  await page.getByRole('button', { name: 'Play' }).click()
  await page.getByRole('button', { name: 'Play' }).waitFor({ timeout: 300_000 })
}

/** The slider drawn from the end to the begin and back, as far as a hand moves it. */
async function scrubbed (page: Page): Promise<void> {
  const slider = page.getByRole('slider', { name: 'Time of the run' })
  const end = Number(await slider.getAttribute('max'))
  for (let at = 0; at <= 60; at++) await slider.fill(String(Math.round(end * Math.abs(1 - at / 30))))
}

function foldTime (lines: string): void {
  const times = Array.from({ length: 20 }, () => {
    const began = performance.now()
    readJournal(lines)
    return performance.now() - began
  }).sort((a, b) => a - b)
  console.log(`read and fold ${(lines.length / 1000).toFixed(0)} kB in Node: ` +
    `median ${times[10]!.toFixed(1)} ms, longest ${times[19]!.toFixed(1)} ms`)
}

const folder = mkdtempSync(join(tmpdir(), 'fairlead-replay-'))
const browser = await launch()
try {
  foldTime(linesOf(wide(32, 1024)))
  const entries = wide(128, 1024)
  console.log(`128 candidates × 1,024 tokens, ${entries.length} entries, ${(linesOf(entries).length / 1e6).toFixed(1)} MB`)
  const page = await browser.newPage({ viewport: { width: 1440, height: 900 } })
  await page.addInitScript(observed)
  await page.goto(savedPage(folder, entries))
  await page.getByRole('tree', { name: 'Candidates' }).waitFor()
  await measured(page, 'replayed at 4×', () => replayed(page, 4))
  await measured(page, 'slider drawn to the begin and back', () => scrubbed(page))
} finally {
  await browser.close()
  rmSync(folder, { recursive: true })
}
