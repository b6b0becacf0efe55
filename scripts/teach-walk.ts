/**
 * Walks Teach once, in the page, as a user would, on the default model: `npm run teach-walk`. A stated taste votes in
 * place of a person (`teach-taste.ts`). Rates 40 pairs, fits twice, steers, checks blind; writes what came of it to
 * docs/teach.md and beside it, whatever it shows. Needs chromium.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium, type Page } from 'playwright-core'
import { loadConfig } from '../src/config.js'
import type { RatingSet } from '../src/inspector/logic/ratings.js'
import { packageRoot } from '../src/package-root.js'
import { environmentOf } from '../src/reporting/environment.js'
import { startServer } from '../src/server.js'
import { prefer, rule, taste } from './teach-taste.js'
import { walkBlock, type Card, type Walk } from './teach-report.js'

const name = 'concrete-and-short'
const goal = { first: 20, second: 40 } as const
/** What the steered run is asked; nothing of the kind was rated. */
const asked = { prompt: 'What should I pack for a day at the beach?', seed: 1, maxTokens: 96 } as const
const at = (path: string): string => join(packageRoot, 'docs', path)
const keys = { left: '1', right: '2', same: '0' } as const

const button = (page: Page, label: string | RegExp) =>
  page.getByRole('button', { name: label, ...typeof label === 'string' ? { exact: true } : {} })

/** Waits until an expression is true in the page, ten minutes at most. Playwright's own wait draws every frame. */
const until = (page: Page, expression: string): Promise<void> => page.evaluate(`new Promise((resolve, reject) => {
  const end = performance.now() + 600_000
  const timer = setInterval(() => {
    const isLate = performance.now() > end
    if (!isLate && !(${expression})) return
    clearInterval(timer)
    if (isLate) reject(new Error('after ten minutes this does not hold: ' + ${JSON.stringify(expression)}))
    else resolve()
  }, 50)
})`)

/** Judges the pair that is shown and waits until it is gone. */
async function vote (page: Page): Promise<void> {
  await until(page, "document.querySelector('.pair-vote')")
  const [left, right] = await page.locator('.pair-vote .answer').allTextContents() as [string, string]
  await page.evaluate("void document.querySelector('.pair-vote').setAttribute('data-judged', '')")
  await page.keyboard.press(keys[prefer(left, right)])
  await until(page, "!document.querySelector('.pair-vote[data-judged]')")
}

/** Pairs that were decided so far, as the page counts them. */
async function pairs (page: Page): Promise<number> {
  const text = await page.locator('.set-head').innerText()
  return Number(/(\d+) pairs/.exec(text)![1])
}

async function rate (page: Page, until: number): Promise<void> {
  while (await pairs(page) < until) {
    await vote(page)
    console.log(`${await pairs(page)} of ${until} pairs`)
  }
}

/** Fits and reads the card. */
async function fit (page: Page, label: string, version: number): Promise<Card> {
  await button(page, label).click()
  await page.getByText(`${name} v${version} · fitted in`).waitFor()
  const rows = await page.locator('.accuracy tbody tr').evaluateAll((rows: any[]) =>
    rows.map(row => [row.cells[0].innerText, row.cells[1].innerText] as [string, string]))
  return {
    title: await page.getByText(`${name} v${version} · fitted in`).innerText(),
    verdict: await page.locator('.verdict').innerText(),
    notes: await page.locator('.reward-card .small').allInnerTexts(),
    rows
  }
}

/** The step that is shown with what is below it, without the page's head. */
async function picture (page: Page, path: string): Promise<void> {
  await page.evaluate('scrollTo(0, 0)')
  const steps = await page.locator('.stepper').boundingBox()
  const all = await page.locator('.teach').boundingBox()
  const top = steps!.y - 8
  await page.screenshot({
    path: at(path),
    fullPage: true,
    clip: { x: all!.x - 8, y: top, width: all!.width + 16, height: all!.y + all!.height - top + 8 }
  })
}

/** What the page has kept of the set. */
const kept = (page: Page): Promise<RatingSet> => page.evaluate(`new Promise((resolve, reject) => {
  const request = indexedDB.open('fairlead-inspector')
  request.onerror = () => { reject(request.error) }
  request.onsuccess = () => {
    const got = request.result.transaction('sets').objectStore('sets').get('${name}')
    got.onsuccess = () => { resolve(got.result) }
  }
})`)

/** Saves what a click downloads. */
async function download (page: Page, label: string | RegExp, path: string): Promise<void> {
  const [saved] = await Promise.all([page.waitForEvent('download'), button(page, label).click()])
  await saved.saveAs(at(path))
}

/** One steered run in Run, kept as a journal. */
async function steer (page: Page): Promise<void> {
  await button(page, /^4 Steer/).click()
  await button(page, /^Best of 8 in Run/).click()
  for (const [field, value] of [['messages', asked.prompt], ['max_tokens', asked.maxTokens], ['seed', asked.seed]]) {
    await page.locator(`[data-field="${field}"]`).fill(String(value))
  }
  await button(page, /^Run/).click()
  await page.getByRole('heading', { name: 'Cost' }).waitFor()
  await button(page, 'Save…').click()
  await download(page, /^Journal/, 'teach/steered.fairlead.jsonl')
  await page.keyboard.press('Escape')
}

async function check (page: Page): Promise<string[]> {
  await button(page, /^5 Check/).click()
  await button(page, 'Compare 10 pairs').click()
  for (let votes = 0; votes < 10; votes++) {
    await vote(page)
    console.log(`${votes + 1} of 10 compared`)
  }
  return await page.locator('.result p').allInnerTexts()
}

async function walk (page: Page, address: string): Promise<Walk> {
  const environment = environmentOf('npm run teach-walk', [])
  await page.goto(`${address}/inspect/#/teach/${name}`)
  await page.getByText('● ready').waitFor()
  await page.getByLabel('What I like').fill(taste)
  await page.getByLabel('What I like').blur()
  await button(page, 'Add 40 instructions').click()
  await page.getByText('40 prompts.').waitFor()
  await button(page, 'Rate answers →').click()
  const started = performance.now()
  await rate(page, goal.first)
  await button(page, 'Fit a reward →').click()
  const first = await fit(page, 'Fit', 1)
  console.log(first)
  await button(page, 'Keep rating').click()
  await rate(page, goal.second)
  await download(page, 'Export the pairs', `teach/${name}.pairs.jsonl`)
  await button(page, 'Fit a reward →').click()
  const second = await fit(page, 'Fit again', 2)
  console.log(second)
  const agreement = await page.locator('.agreement p').allInnerTexts()
  await picture(page, 'pictures/teach-card.png')
  await steer(page)
  await page.goto(`${address}/inspect/#/teach/${name}`)
  const result = await check(page)
  await picture(page, 'pictures/teach-check.png')
  const set = await kept(page)
  return {
    environment,
    minutes: (performance.now() - started) / 60_000,
    loadAtEnd: loadavg()[0]!,
    cards: [first, second],
    agreement,
    result,
    ties: set.ratings.filter(({ verdict }) => verdict === 'same').length,
    votes: set.votes
  }
}

const dataDir = mkdtempSync(join(tmpdir(), 'fairlead-teach-'))
const server = await startServer(loadConfig({ port: '0', dataDir, logLevel: 'silent' }, {}), () => {})
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu'] })
try {
  await server.ready
  const page = await browser.newPage({ viewport: { width: 1200, height: 900 }, colorScheme: 'light' })
  page.setDefaultTimeout(300_000)
  const walked = await walk(page, server.address)
  writeFileSync(at(`teach/${name}.checks.jsonl`), walked.votes.map(one => `${JSON.stringify(one)}\n`).join(''))
  const doc = readFileSync(at('teach.md'), 'utf8')
  writeFileSync(at('teach.md'), doc.replace(/(<!-- walk -->\n)[^]*(\n<!-- \/walk -->)/,
    (_all, begin: string, end: string) => begin + walkBlock(walked, rule) + end))
} finally {
  await browser.close()
  await server.close()
  rmSync(dataDir, { recursive: true })
}
