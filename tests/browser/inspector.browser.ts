/** The inspector in a browser: what it shows of recorded runs, how it is reached, what it refuses. */
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { Locator, Page } from 'playwright-core'
import { linesOf } from '../../src/journal/wire.js'
import type { Entry } from '../../src/journal/entries.js'
import { tinyServer, type TinyServer } from '../helpers/tiny-server.js'
import { overflow, pages, skip, until, violations } from './browser.js'
import { beams, lanes } from './journals.js'

const open = pages()
let server: TinyServer
before(async () => { if (skip === false) server = await tinyServer() })
after(async () => { await server?.close() })

const hostile = [
  '<img', ' src=x', ' onerror="window.harmed=1">', '\u202E', ' </script>', '\uFFFD\u007F', '\0', '\u0085\u009F'
]
const answers = [hostile, ...Array.from({ length: 7 }, (_, at) => Array.from({ length: 6 + at }, (_, word) => ` word${at}${word}`))]

/** Gives the page a journal, as somebody who chooses a file. */
async function replay (page: Page, entries: readonly Entry[]): Promise<void> {
  await page.locator('input[type=file]').first().setInputFiles({
    name: 'run.fairlead.jsonl', mimeType: 'application/x-ndjson', buffer: Buffer.from(linesOf(entries))
  })
  await page.getByRole('tree', { name: 'Candidates' }).waitFor()
}

async function ready (page: Page, hash = '', address = server.address): Promise<void> {
  await page.goto(`${address}/inspect/${hash}`)
  await page.getByText('● ready').waitFor()
}

test('a recorded run is shown: lanes, tokens as text, cost; nothing leaves the server', { skip }, async () => {
  const { page, problems } = await open()
  const foreign: string[] = []
  page.on('request', request => { if (!request.url().startsWith(server.address)) foreign.push(request.url()) })
  await ready(page)
  await replay(page, lanes(answers))
  assert.equal(await page.getByRole('treeitem').count(), answers.length)
  await page.getByText('16 = 8 returned + 8 discarded').waitFor()
  await page.getByText('Candidate 0 chosen after').first().waitFor()
  const tokens = page.getByRole('group', { name: 'answer by token' })
  const shown = '<img src=x onerror="window.harmed=1">⟨U+202E⟩ </script>\uFFFD⟨U+007F⟩␀⟨U+0085⟩⟨U+009F⟩'
  assert.equal(await tokens.innerText(), shown)
  assert.equal(await page.locator('main img').count(), 0)
  assert.equal(await page.evaluate('window.harmed'), undefined)
  await page.locator('[data-token="5"]').click()
  await page.getByRole('dialog', { name: 'Token 5: \uFFFD⟨U+007F⟩' }).waitFor()
  assert.deepEqual([await violations(page), foreign, problems], [[], [], []])
})

test('a tree is walked by keys alone, up to a token and back', { skip }, async () => {
  const { page, problems } = await open()
  await ready(page)
  await replay(page, beams(6))
  assert.equal(await page.getByRole('button', { name: 'Tree', exact: true }).getAttribute('aria-pressed'), 'true')
  await page.getByRole('treeitem', { name: /^Candidate 0,/ }).focus()
  const isAt = (candidate: number): Promise<void> =>
    until(page, `document.activeElement.dataset.candidate === '${candidate}'`)
  await page.keyboard.press('ArrowDown')
  await isAt(6)
  await page.getByRole('treeitem', { name: /^Candidate 6, dropped at step 6/ }).waitFor()
  await page.keyboard.press('ArrowLeft')
  await isAt(0)
  await page.keyboard.press('Enter')
  await page.keyboard.press('ArrowRight')
  await page.keyboard.press('Enter')
  await page.getByRole('dialog', { name: /^Token 1/ }).waitFor()
  await page.keyboard.press('Escape')
  assert.equal(await page.evaluate('document.activeElement.textContent'), ' a2')
  assert.deepEqual(problems, [])
})

test('a replay moves with the slider and the keys', { skip }, async () => {
  const { page } = await open({ reducedMotion: 'reduce' })
  await ready(page)
  await replay(page, beams(6))
  const slider = page.getByRole('slider', { name: 'Time of the run' })
  await slider.fill('60')
  assert.equal(await page.getByRole('treeitem').count(), 3)
  await page.locator('main').focus()
  await page.keyboard.press('.')
  assert.equal(await slider.inputValue(), '100')
  await page.keyboard.press(',')
  assert.equal(await slider.inputValue(), '50')
})

test('bad files are refused with their line; the page stays', { skip }, async () => {
  const { page } = await open()
  await ready(page)
  const file = (text: string) => page.locator('input[type=file]').first()
    .setInputFiles({ name: 'x.jsonl', mimeType: 'text/plain', buffer: Buffer.from(text) })
  await file('{"a": 1}\n')
  await page.getByText('x.jsonl: this is no Fairlead journal: line 1').waitFor()
  await file('{"journal": 9}\n')
  await page.getByText('x.jsonl: made by a newer Fairlead: journal 9, this one reads 1').waitFor()
})

test('a saved run opens from a disk without a network', { skip }, async () => {
  const { page } = await open()
  await ready(page)
  await replay(page, lanes(answers))
  await page.getByRole('button', { name: 'Save…' }).click()
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: /^HTML/ }).click()])
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-saved-'))
  try {
    const path = join(folder, 'run.html')
    await download.saveAs(path)
    const { page: alone, problems } = await open({ offline: true, viewport: { width: 320, height: 700 } })
    await alone.goto(`file://${path}`)
    await alone.getByRole('tree', { name: 'Candidates' }).waitFor()
    assert.equal(await alone.getByRole('treeitem').count(), answers.length)
    assert.equal(await alone.evaluate('window.harmed'), undefined)
    assert.equal(await overflow(alone), 0)
    assert.deepEqual([await violations(alone), problems], [[], []])
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('every view passes axe, in both schemes, and fits 320 pixels', { skip }, async () => {
  for (const colorScheme of ['light', 'dark'] as const) {
    const { page, problems } = await open({ colorScheme })
    for (const view of ['run', 'compare', 'teach', 'rewards', 'runs']) {
      await ready(page, `#/${view}`)
      await page.locator('main .card').first().waitFor()
      assert.deepEqual(await violations(page), [], `${view}, ${colorScheme}`)
      await page.setViewportSize({ width: 320, height: 800 })
      assert.equal(await overflow(page), 0, `${view} at 320 px`)
      await page.setViewportSize({ width: 1440, height: 900 })
    }
    await page.goto(`${server.address}/inspect/#/run`)
    const tabs = [[lanes(answers), 'Lanes'], [beams(6), 'Tree'], [beams(6), 'Steps'], [beams(6), 'Outline']] as const
    for (const [entries, tab] of tabs) {
      await page.reload()
      await page.getByText('● ready').waitFor()
      await replay(page, entries)
      await page.getByRole('button', { name: tab, exact: true }).click()
      assert.deepEqual(await violations(page), [], `${tab}, ${colorScheme}`)
      await page.setViewportSize({ width: 320, height: 800 })
      assert.equal(await overflow(page), 0, `${tab} at 320 px`)
      await page.setViewportSize({ width: 1440, height: 900 })
    }
    assert.deepEqual(problems, [])
  }
})

test('columns are as wide as their dividers are put, by key and by hand, the next time too', { skip }, async () => {
  const { page, problems } = await open({ viewport: { width: 1800, height: 900 } })
  await ready(page)
  await replay(page, lanes(answers))
  const widths = async (): Promise<number[]> =>
    [(await page.locator('#ask').boundingBox())!.width, (await page.locator('#detail').boundingBox())!.width]
  assert.deepEqual(await widths(), [320, 372])
  const [left, right] = ['Width of the request', 'Width of the candidate’s details']
    .map(name => page.getByRole('separator', { name })) as [Locator, Locator]
  await left.focus()
  await page.keyboard.press('ArrowRight')
  await page.keyboard.press('ArrowRight')
  await right.focus()
  await page.keyboard.press('ArrowRight')
  assert.deepEqual(await widths(), [352, 356])
  assert.equal(await left.getAttribute('aria-valuenow'), '352')
  const { x, width } = (await right.boundingBox())!
  await page.mouse.move(x + width / 2, 400)
  await page.mouse.down()
  await page.mouse.move(x + width / 2 - 60, 420)
  await page.mouse.up()
  await page.mouse.move(x - 300, 400)
  assert.deepEqual(await widths(), [352, 416])
  await page.reload()
  await replay(page, lanes(answers))
  assert.deepEqual(await widths(), [352, 416])
  await left.focus()
  await page.keyboard.press('Home')
  assert.deepEqual(await widths(), [240, 416])
  await page.keyboard.press('Enter')
  assert.deepEqual(await widths(), [320, 416])
  assert.deepEqual([await violations(page), problems], [[], []])
  await page.setViewportSize({ width: 1000, height: 800 })
  assert.equal(await page.getByRole('separator').count(), 0)
  assert.equal(await overflow(page), 0)
})

test('on a small screen the form makes room for a run, and comes back', { skip }, async () => {
  const { page } = await open({ viewport: { width: 320, height: 800 } })
  await ready(page)
  const prompt = page.getByLabel('Prompt', { exact: true })
  assert.equal(await prompt.isVisible(), true)
  await replay(page, lanes(answers))
  assert.equal(await prompt.isVisible(), false)
  assert.equal(await page.getByRole('button', { name: /^Run/ }).first().isVisible(), true)
  await page.getByRole('button', { name: 'The request: ✎ Say something.' }).click()
  assert.equal(await prompt.isVisible(), true)
  await page.setViewportSize({ width: 1440, height: 900 })
  assert.equal(await page.getByRole('button', { name: /^The request/ }).count(), 0)
})

test('a chart wider than the window, not measured anew yet, widens no page', { skip }, async () => {
  const { page } = await open({ viewport: { width: 320, height: 800 } })
  await page.addInitScript('ResizeObserver = class { observe () {} disconnect () {} }')
  await ready(page)
  await replay(page, beams(6))
  for (const tab of ['Lanes', 'Tree']) {
    await page.getByRole('button', { name: tab, exact: true }).click()
    await page.locator('.candidates svg[width="600"], .candidates svg[width="640"]').first().waitFor()
    assert.equal(await overflow(page), 0, tab)
  }
})

test('a key is asked for, refused, taken; it is in no address', { skip }, async () => {
  const guarded = await tinyServer({ apiKeys: 'the-right-key-of-a-test' })
  try {
    const { page } = await open()
    await page.goto(`${guarded.address}/inspect/`)
    const dialog = page.getByRole('dialog', { name: 'This server needs an API key' })
    await dialog.waitFor()
    assert.deepEqual(await violations(page), [])
    await dialog.getByLabel('API key').fill('a-wrong-key-of-a-test')
    await dialog.getByRole('button', { name: 'Use this key' }).click()
    await dialog.getByText('That key was not accepted.').waitFor()
    await dialog.getByLabel('API key').fill('the-right-key-of-a-test')
    await dialog.getByRole('button', { name: 'Use this key' }).click()
    await page.getByText('● ready').waitFor()
    assert.ok(!page.url().includes('right'))
    assert.equal(await page.evaluate('localStorage.getItem("fairlead-key")'), null)
  } finally {
    await guarded.close()
  }
})

test('an address starts nothing, and pages of other origins cannot', { skip }, async () => {
  const { page } = await open()
  const posts: string[] = []
  page.on('request', request => { if (request.method() === 'POST') posts.push(request.url()) })
  await ready(page, '#/run?prompt=hello&start=1')
  assert.deepEqual(posts, [])
  const body = JSON.stringify({ model: 'tiny', messages: [{ role: 'user', content: 'x' }] })
  const other = createServer((_, response) => { response.setHeader('content-type', 'text/html').end('<p>other</p>') })
  await new Promise<void>(resolve => { other.listen(0, '127.0.0.1', resolve) })
  try {
    await page.goto(`http://127.0.0.1:${(other.address() as AddressInfo).port}/`)
    const attempt = (contentType: string): Promise<string> => page.evaluate(
      `fetch('${server.address}/v1/chat/completions', { method: 'POST', headers: { 'content-type': '${contentType}' },
        body: ${JSON.stringify(body)}, mode: '${contentType === 'text/plain' ? 'no-cors' : 'cors'}' })
        .then(response => response.type + response.status, error => 'refused')`)
    assert.equal(await attempt('application/json'), 'refused')
    // Sent without a preflight, but never read as a request: 415, which the page cannot even see.
    assert.equal(await attempt('text/plain'), 'opaque0')
    const metrics = await (await fetch(`${server.address}/metrics`)).text()
    assert.ok(!/fairlead_generated_tokens_total\{[^}]*\} [1-9]/.test(metrics), metrics)
  } finally {
    other.close()
  }
})
