/**
 * Debian's chromium for tests of the inspector. Without one they are skipped, except in CI, where that is a failure.
 */
import { existsSync, readFileSync } from 'node:fs'
import { after, before } from 'node:test'
import { chromium, type Browser, type BrowserContextOptions, type Page } from 'playwright-core'
import { packageRoot } from '../../src/package-root.js'

const path = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync)
if (path === undefined && process.env['CI'] === 'true') {
  throw new Error('there is no chromium: apt-get install chromium')
}

/** Why tests of the page are skipped; false where they are not. */
export const skip = path === undefined ? 'there is no chromium (apt-get install chromium)' : false

/** Launches the browser that is there. */
export const launch = (): Promise<Browser> => chromium.launch({
  executablePath: path!,
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync']
})

let browser: Browser | null = null

/** Math.random of a page (mulberry32), so that each run of the tests draws the same prompts, sides and seeds. */
const seededRandom = `{
  let state = ${Number(process.env['BROWSER_TEST_SEED'] ?? 1)}
  Math.random = () => {
    state = state + 0x6D2B79F5 | 0
    let mixed = Math.imul(state ^ state >>> 15, 1 | state)
    mixed = mixed + Math.imul(mixed ^ mixed >>> 7, 61 | mixed) ^ mixed
    return ((mixed ^ mixed >>> 14) >>> 0) / 2 ** 32
  }
}`

/** To be called once in a file: one browser for its tests. @returns what opens a page of its own, errors listed */
export function pages (): (options?: BrowserContextOptions) => Promise<{ page: Page, problems: string[] }> {
  before(async () => { if (skip === false) browser = await launch() })
  after(async () => { await browser?.close() })
  return async options => {
    const context = await browser!.newContext({ viewport: { width: 1440, height: 900 }, ...options })
    await context.addInitScript(seededRandom)
    const page = await context.newPage()
    page.setDefaultTimeout(60_000)
    const problems: string[] = []
    page.on('pageerror', error => { problems.push(error.message) })
    page.on('console', message => {
      // What the network says is the page's to show: a refused key, a server that is gone.
      if (message.type() === 'error' && !/Failed to load resource/.test(message.text())) problems.push(message.text())
    })
    return { page, problems }
  }
}

const axe = readFileSync(`${packageRoot}/node_modules/axe-core/axe.min.js`, 'utf8')

/** What axe-core finds that is serious or critical, one line each. */
export async function violations (page: Page): Promise<string[]> {
  await page.evaluate(axe)
  return await page.evaluate(`axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) =>
    violations.filter(({ impact }) => impact === 'serious' || impact === 'critical')
      .map(({ id, nodes }) => id + ': ' + nodes.slice(0, 3).map(({ html }) => html.slice(0, 160)).join(' | ')))`)
}

/** By how many pixels the page is wider than its window. */
export const overflow = (page: Page): Promise<number> =>
  page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth')

/**
 * Waits until an expression is true in the page, frame by frame, for a minute at most. Playwright's own wait would
 * compile it there, which the page's policy forbids.
 */
export const until = async (page: Page, expression: string): Promise<void> => {
  const holds = await page.evaluate(`new Promise(resolve => {
    const end = performance.now() + 60_000
    const look = () => {
      if (${expression}) resolve(true)
      else if (performance.now() > end) resolve(false)
      else requestAnimationFrame(look)
    }
    look()
  })`)
  if (holds !== true) throw new Error(`after a minute this does not hold: ${expression}`)
}
