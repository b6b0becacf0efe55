/**
 * Takes the pictures of docs/inspector.md again, on the default model with fixed seeds: `npm run pictures`. Needs
 * chromium.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium, type Browser, type Page } from 'playwright-core'
import { loadConfig } from '../src/config.js'
import { packageRoot } from '../src/package-root.js'
import { startServer } from '../src/server.js'

const folder = join(packageRoot, 'docs/pictures')
const dataDir = mkdtempSync(join(tmpdir(), 'fairlead-pictures-'))

const field = (page: Page, name: string) => page.locator(`[data-field="${name}"]`)

async function open (browser: Browser, address: string, view: string, scheme: 'light' | 'dark'): Promise<Page> {
  const page = await browser.newPage({ viewport: { width: 1440, height: 900 }, colorScheme: scheme })
  page.setDefaultTimeout(300_000)
  await page.goto(`${address}/inspect/#/${view}`)
  await page.getByText('● ready').waitFor()
  return page
}

const save = async (page: Page, name: string): Promise<void> => {
  await page.screenshot({ path: join(folder, `${name}.png`) })
  await page.close()
}

/** A run with a fixed seed, to its end. */
async function run (page: Page, strategy: string, seed: number): Promise<void> {
  await field(page, 'strategy').selectOption(strategy)
  await field(page, 'reward').selectOption('positive')
  await field(page, 'max_tokens').fill('48')
  await field(page, 'seed').fill(String(seed))
  if (strategy === 'token_guidance') {
    await page.getByText(/^more \(/).click()
    await field(page, 'method').selectOption('q_head')
  }
  await page.getByRole('form', { name: 'Ask' }).getByRole('button', { name: /^Run/ }).click()
  await page.getByRole('heading', { name: 'Cost' }).waitFor()
}

async function runs (browser: Browser, address: string): Promise<void> {
  const tree = await open(browser, address, 'run', 'light')
  await run(tree, 'beam_search', 7)
  await save(tree, 'run-tree')
  const tokens = await open(browser, address, 'run', 'dark')
  await run(tokens, 'token_guidance', 7)
  await tokens.getByLabel('token value').click()
  await tokens.locator('[data-token]').nth(4).click()
  await save(tokens, 'run-tokens')
}

async function compare (browser: Browser, address: string): Promise<void> {
  const page = await open(browser, address, 'compare', 'light')
  await page.getByLabel('seeds').selectOption('4')
  await page.getByLabel('max tokens').fill('48')
  await page.getByRole('button', { name: /^Run all/ }).click()
  await page.getByText('n = 4').waitFor()
  await save(page, 'compare')
}

async function card (browser: Browser, address: string): Promise<void> {
  const page = await open(browser, address, 'rewards/positive', 'light')
  await page.getByLabel('Answer', { exact: true })
    .fill('A fine film, warm and well acted, though its last act drags on for too long.')
  await page.getByRole('button', { name: 'Score' }).click()
  await page.getByRole('group', { name: 'answer by token' }).waitFor()
  await save(page, 'reward-card')
}

async function teach (browser: Browser, address: string): Promise<void> {
  const page = await open(browser, address, 'teach/to-the-point', 'light')
  await page.getByRole('button', { name: 'Add 40 instructions' }).click()
  await page.getByRole('button', { name: 'Rate answers →' }).click()
  await page.locator('.two .answer').nth(1).waitFor()
  await save(page, 'teach')
}

const server = await startServer(loadConfig({ port: '0', dataDir, logLevel: 'silent' }, {}), () => {})
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu'] })
try {
  await server.ready
  for (const take of [runs, card, compare, teach]) await take(browser, server.address)
} finally {
  await browser.close()
  await server.close()
  rmSync(dataDir, { recursive: true })
}
