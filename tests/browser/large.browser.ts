/** A run of 128 candidates of 1,024 tokens each, which must not weigh the page down. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Page } from 'playwright-core'
import { pages, skip, until } from './browser.js'
import { wide } from './journals.js'
import { savedPage } from './saved-page.js'

const open = pages()

const elements = (page: Page): Promise<number> => page.evaluate("document.querySelectorAll('*').length")

test('a large run takes at most 1,500 elements, and every candidate and token can be reached', { skip }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-large-'))
  try {
    const { page, problems } = await open({ offline: true })
    await page.goto(savedPage(folder, wide(128, 1024)))
    await page.getByRole('treeitem', { name: /^Candidate 0,/ }).focus()
    assert.ok(await elements(page) <= 1500, String(await elements(page)))
    await page.keyboard.press('End')
    await until(page, "document.activeElement.dataset.candidate === '127'")
    await page.keyboard.press('Enter')
    await until(page, "document.activeElement.dataset.token === '0'")
    await page.keyboard.press('End')
    await until(page, "document.activeElement.dataset.token === '1023'")
    const text = await page.getByRole('group', { name: 'answer by token' }).innerText()
    const last = wide(128, 1024).flatMap(entry => 'grow' in entry ? entry.grow[127]![1] as string[] : [])
    assert.equal(text, last.join(''))
    assert.ok(await elements(page) <= 1500, String(await elements(page)))
    const slider = page.getByRole('slider', { name: 'Time of the run' })
    for (const at of ['3000', '20000', '1000']) {
      await slider.fill(at)
      assert.ok(await elements(page) <= 1500, `at ${at}: ${await elements(page)}`)
    }
    assert.deepEqual(problems, [])
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('a click on the chart selects the line that is nearest', { skip }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-large-'))
  try {
    const { page } = await open({ offline: true })
    await page.goto(savedPage(folder, wide(3, 64)))
    // Rewards at the end: sin(48 / 64 + index), of which the second candidate's is the largest.
    await page.locator('.chart svg').click({ position: { x: 640, y: 10 } })
    await page.getByRole('heading', { name: /Candidate 1/ }).waitFor()
  } finally {
    rmSync(folder, { recursive: true })
  }
})
