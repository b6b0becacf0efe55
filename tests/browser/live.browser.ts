/** Runs asked for in the browser: followed while they grow, gone on from, refused, stopped, cut off with the server. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Page } from 'playwright-core'
import { tokenText } from '../../src/inspector/logic/formats.js'
import { tinyServer, type TinyServer } from '../helpers/tiny-server.js'
import { pages, skip, until, violations } from './browser.js'
import { lanes } from './journals.js'

const open = pages()
let server: TinyServer
before(async () => { if (skip === false) server = await tinyServer() })
after(async () => { await server?.close() })

const field = (page: Page, name: string) => page.locator(`[data-field="${name}"]`)

async function ready (page: Page, address = server.address): Promise<void> {
  await page.goto(`${address}/inspect/`)
  await page.getByText('● ready').waitFor()
  await field(page, 'seed').fill('1')
}

const start = (page: Page) =>
  page.getByRole('form', { name: 'Ask' }).getByRole('button', { name: /^Run/ }).click()
const ended = (page: Page) => page.getByRole('heading', { name: 'Cost' }).waitFor()

test('every strategy runs from its form, and ends with a chosen answer and its cost', { skip }, async () => {
  const { page, problems } = await open()
  await ready(page)
  await field(page, 'max_tokens').fill('8')
  await field(page, 'reward').selectOption('length')
  const strategies = await field(page, 'strategy').locator('option').evaluateAll(
    options => options.map(option => (option as unknown as { value: string }).value))
  assert.ok(strategies.length >= 9, strategies.join())
  const runs = new Set<string | null>()
  for (const strategy of strategies) {
    await field(page, 'strategy').selectOption(strategy)
    await start(page)
    const done = page.locator(`.doing.done${[...runs].map(run => `:not([data-run="${run}"])`).join('')}`)
    runs.add(await done.getAttribute('data-run'))
    await ended(page)
    assert.match(await page.locator('.doing').innerText(), /^Candidate [\d, ]+ chosen after/, strategy)
    assert.match(await page.locator('.cost').innerText(), /generated\s+\d+ = \d+ returned \+ \d+ discarded/, strategy)
  }
  await page.goto(`${server.address}/inspect/#/runs`)
  await until(page, `document.querySelectorAll('tbody tr').length === ${strategies.length}`)
  assert.deepEqual([await violations(page), problems], [[], []])
})

test('a run goes on from a token that was not taken', { skip }, async () => {
  const { page, problems } = await open()
  await ready(page)
  await field(page, 'strategy').selectOption('token_guidance')
  await field(page, 'max_tokens').fill('8')
  await field(page, 'reward').selectOption('length')
  await start(page)
  await ended(page)
  await page.locator('[data-token]').nth(2).click()
  const alternative = page.getByRole('button', { name: /^Continue from/ }).first()
  const word = /“([\s\S]*)”/.exec(await alternative.getAttribute('aria-label') ?? '')![1]!
  const before = await page.locator('[data-token]').evaluateAll(
    tokens => tokens.slice(0, 2).map(token => (token as unknown as { textContent: string }).textContent).join(''))
  await alternative.click()
  await field(page, 'beginning').waitFor()
  const beginning = await field(page, 'beginning').inputValue()
  // A text field makes line breaks of carriage returns; parts of characters become characters; ∅ is a token without
  // text.
  const seen = (text: string): string =>
    tokenText(text.replaceAll('↵\n', '\n')).replaceAll('␍', '↵').replaceAll('∅', '')
  assert.ok(seen(beginning).endsWith(seen(word)), JSON.stringify([beginning, word]))
  if (!/bytes:/.test(before)) assert.ok(seen(beginning).startsWith(seen(before)), JSON.stringify([beginning, before]))
  await ended(page)
  assert.deepEqual(problems, [])
})

test('a refused field has its message below it, and the focus', { skip }, async () => {
  const { page } = await open()
  await ready(page)
  await field(page, 'num_candidates').fill('1000')
  await field(page, 'num_candidates').press('Tab')
  await start(page)
  await page.getByText('num_candidates must be an integer from 1 to 128; got 1000').first().waitFor()
  await until(page, "document.activeElement.dataset.field === 'num_candidates'")
  assert.deepEqual(await violations(page), [])
})

test('a run that waits says for how long; one that draws, how fast', { skip }, async () => {
  const { page, problems } = await open()
  // The answer comes as the test lets it.
  await page.addInitScript(`{
    const asked = fetch
    globalThis.fetch = (...given) => String(given[0]).endsWith('/v1/chat/completions')
      ? Promise.resolve(new Response(new ReadableStream({ start (to) {
        globalThis.feed = journal => {
          to.enqueue(new TextEncoder().encode('data: ' + JSON.stringify({ journal }) + '\\n\\n'))
        }
      } }), { headers: { 'content-type': 'text/event-stream' } }))
      : asked(...given)
  }`)
  await ready(page)
  await start(page)
  const doing = page.locator('.doing')
  const [head, , started, opened, ...rest] = lanes([[' a', ' b'], [' c', ' d']])
  const feed = (...entries: unknown[]): Promise<unknown> => page.evaluate(`feed(${JSON.stringify(entries)})`)
  await feed(head, { t: 0, queued: 2 })
  await doing.getByText(/^Waiting behind 2 requests: \d+\.\d s$/).waitFor()
  const seconds = async (): Promise<number> => Number(/([\d.]+) s$/.exec(await doing.innerText())![1])
  const before = await seconds()
  await until(page, `parseFloat(document.querySelector('.doing').textContent.split(': ')[1]) > ${before}`)
  await feed({ ...started, t: 900 }, { ...opened, t: 900 }, { ...rest[0], t: 1000 }, { ...rest[1], t: 1200 })
  await doing.getByText(/^0 of 2 answers finished · \d+ tokens\/s$/).waitFor()
  // Nothing more comes: in two seconds the rate falls to nothing.
  await doing.getByText(/· 0 tokens\/s$/).waitFor()
  assert.deepEqual([await violations(page), problems], [[], []])
})

test('a run is stopped by hand; what was drawn stays', { skip }, async () => {
  const { page } = await open()
  await ready(page)
  await field(page, 'max_tokens').fill('400')
  await field(page, 'num_candidates').fill('32')
  await field(page, 'num_candidates').press('Tab')
  await start(page)
  await page.getByRole('treeitem').first().waitFor()
  await page.locator('main').focus()
  await page.keyboard.press('Escape')
  await page.getByText(/Stopped by you after [\d,]+ token/).first().waitFor()
  assert.equal(await page.getByRole('treeitem').count(), 32)
})

test('a server that goes away in mid-run is told, what had arrived stays', { skip }, async () => {
  const mortal = await tinyServer({ drainTimeoutMs: '0' })
  const { page } = await open()
  await ready(page, mortal.address)
  await field(page, 'max_tokens').fill('400')
  await field(page, 'num_candidates').fill('32')
  await field(page, 'num_candidates').press('Tab')
  await start(page)
  await page.getByRole('treeitem').first().waitFor()
  await mortal.close()
  await page.getByText(/What (had arrived|was drawn) is kept/).first().waitFor()
  await page.getByText(/disconnected, retrying in/).waitFor()
  assert.equal(await page.getByRole('treeitem').count(), 32)
  assert.deepEqual(await violations(page), [])
})

test('runs of other programs are listed and opened where the server keeps them', { skip }, async () => {
  const keeping = await tinyServer({ keptRuns: '5' })
  try {
    const { page, problems } = await open()
    await ready(page, keeping.address)
    const models = await (await fetch(`${keeping.address}/v1/models`)).json() as { data: Array<{ id: string }> }
    await keeping.post('/v1/chat/completions', {
      model: models.data[0]!.id,
      messages: [{ role: 'user', content: 'x' }],
      max_tokens: 4,
      alignment: { reward: 'length', num_candidates: 3 }
    })
    await page.goto(`${keeping.address}/inspect/#/runs`)
    await page.getByRole('button', { name: /^(Open|Watch) run_/ }).click()
    await ended(page)
    assert.equal(await page.getByRole('treeitem').count(), 3)
    await page.goto(`${keeping.address}/inspect/#/runs`)
    await page.getByRole('button', { name: /^Delete run_.* from the server$/ }).click()
    await page.getByText('There are none.').waitFor()
    assert.deepEqual(problems, [])
  } finally {
    await keeping.close()
  }
})
