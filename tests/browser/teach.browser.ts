/** The whole Teach loop in a browser, on a tiny model: twenty votes, a fit, its card, steering, a blind check. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Page } from 'playwright-core'
import { tinyServer, type TinyServer } from '../helpers/tiny-server.js'
import { pages, skip, violations } from './browser.js'

const open = pages()
let server: TinyServer
before(async () => { if (skip === false) server = await tinyServer() })
after(async () => { await server?.close() })

/** Votes by a stated taste: the shorter answer. Returns once the page has counted the vote. */
async function vote (page: Page, counted: string | RegExp): Promise<void> {
  const cards = page.locator('.two .answer')
  await cards.nth(1).waitFor()
  const [left, right] = await cards.allInnerTexts() as [string, string]
  await page.keyboard.press(left.length < right.length ? '1' : '2')
  await page.getByText(counted).waitFor()
}

test('ratings become a reward that steers and is checked blind', { skip }, async () => {
  const { page, problems } = await open()
  await page.goto(`${server.address}/inspect/#/teach/short-ones`)
  await page.getByText('● ready').waitFor()
  await page.getByRole('button', { name: 'Add 40 instructions' }).click()
  await page.getByText('40 prompts.').waitFor()
  await page.getByRole('button', { name: 'Rate answers →' }).click()
  assert.equal(await page.getByRole('button', { name: 'Fit a reward →' }).isDisabled(), true)
  for (let votes = 1; votes <= 20; votes++) await vote(page, `${votes} pairs · 20 = can fit`)
  assert.deepEqual(await violations(page), [])
  await page.keyboard.press('u')
  await page.getByText('19 pairs · 20 = can fit').waitFor()
  await vote(page, '20 pairs · 20 = can fit')

  const [download] = await Promise.all([page.waitForEvent('download'),
    page.getByRole('button', { name: 'Export the pairs' }).click()])
  assert.equal(download.suggestedFilename(), 'short-ones.pairs.jsonl')

  await page.getByRole('button', { name: 'Fit a reward →' }).click()
  await page.getByRole('button', { name: 'Fit', exact: true }).click()
  await page.getByText('short-ones v1 · fitted in').waitFor()
  await page.getByText('held-out examples are too few').waitFor()
  await page.getByText('control: length alone').waitFor()
  assert.deepEqual(await violations(page), [])

  await page.getByRole('button', { name: 'Keep rating' }).click()
  await vote(page, 'v1 told')

  await page.getByRole('button', { name: '4 Steer' }).click()
  await page.getByRole('button', { name: /^Check blind/ }).click()
  await page.getByRole('button', { name: 'Compare 10 pairs' }).click()
  for (let votes = 1; votes < 10; votes++) await vote(page, `${votes} of 10 compared`)
  await vote(page, /You preferred steered in \d+ of 10/)
  assert.deepEqual([await violations(page), problems], [[], []])

  // The reward is one of the server's, and steers any program.
  const models = await (await fetch(`${server.address}/v1/models`)).json() as { data: Array<{ id: string }> }
  const { status, json } = await server.post('/v1/chat/completions', {
    model: models.data[0]!.id,
    messages: [{ role: 'user', content: 'x' }],
    max_tokens: 4,
    alignment: { reward: 'short-ones', num_candidates: 2 }
  })
  assert.equal(status, 200)
  assert.equal(json['alignment'].rewards_used[0].name, 'short-ones')

  // What was rated is still there after the page was left.
  await page.reload()
  await page.getByText(/21 pairs · \d+ prompts rated/).waitFor()
})
