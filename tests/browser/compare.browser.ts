/** Compare in a browser: columns set up by a preset, answered, on one scale. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { tinyServer, type TinyServer } from '../helpers/tiny-server.js'
import { linesOf } from '../../src/journal/wire.js'
import { overflow, pages, skip, until, violations } from './browser.js'
import { lanes } from './journals.js'

const open = pages()
let server: TinyServer
before(async () => {
  if (skip !== false) return
  server = await tinyServer({ config: 'FOLDER/profiles.yaml' }, {
    'profiles.yaml': `
profiles:
  short-2: {alignment: {strategy: best_of_n, num_candidates: 2, reward: length}}
  short-3: {alignment: {strategy: best_of_n, num_candidates: 3, reward: length}, overridable: []}
`
  })
})
after(async () => { await server?.close() })

test('presets set up columns: half of what was asked for, and profiles beside plain answers', { skip }, async () => {
  const { page, problems } = await open()
  const asked: Array<Record<string, unknown>> = []
  page.on('request', request => {
    if (request.url().endsWith('/v1/chat/completions')) asked.push(request.postDataJSON() as Record<string, unknown>)
  })
  await page.goto(`${server.address}/inspect/#/compare`)
  await page.getByText('● ready').waitFor()
  const presets = page.getByRole('group', { name: 'Presets' })
  await presets.getByRole('button', { name: 'Run’s form vs half its num_candidates (8 → 4)' }).click()
  const halved = page.getByRole('article', { name: /^B: best_of_n 4, / })
  await halved.waitFor()
  await presets.getByRole('button', { name: 'plain vs profiles short-2, short-3' }).focus()
  await page.keyboard.press('Enter')
  assert.deepEqual([await halved.count(), asked], [0, []])
  await page.getByLabel('max tokens').fill('6')
  await page.getByLabel('judge by').selectOption('length')
  assert.deepEqual(await violations(page), [])
  await page.getByRole('button', { name: /^Run all/ }).click()
  await page.getByRole('rowheader', { name: 'C profile short-3' }).waitFor()
  assert.deepEqual(asked.map(({ model, alignment }) => [String(model).split(':')[1], alignment]),
    [[undefined, undefined], ['short-2', undefined], ['short-3', undefined]])
  const figures = await page.getByRole('region', { name: 'Figures' }).getByRole('row').allInnerTexts()
  assert.match(figures[2]!, /^B profile short-2\s.*\(\d\.\d×\)/)
  // A column can be made another profile's.
  const last = page.getByRole('article', { name: 'C: profile short-3' })
  await last.getByText('Settings').click()
  await last.getByLabel('Profile').selectOption({ label: 'short-2' })
  await page.getByRole('article', { name: 'C: profile short-2' }).waitFor()
  await page.setViewportSize({ width: 320, height: 800 })
  assert.equal(await overflow(page), 0)
  assert.deepEqual([await violations(page), problems], [[], []])
})

test('answers are pinned by key and by menu, and read again in Compare', { skip }, async () => {
  const { page, problems } = await open()
  await page.goto(`${server.address}/inspect/`)
  await page.getByText('● ready').waitFor()
  await page.locator('input[type=file]').first().setInputFiles({
    name: 'run.fairlead.jsonl',
    mimeType: 'application/x-ndjson',
    buffer: Buffer.from(linesOf(lanes([[' one', ' two'], [' three'], [' four', ' five', ' six']])))
  })
  const row = (candidate: number) => page.getByRole('treeitem', { name: new RegExp(`^Candidate ${candidate},`) })
  const isAt = (candidate: number): Promise<void> =>
    until(page, `document.activeElement.dataset.candidate === '${candidate}'`)
  await row(1).click()
  await page.keyboard.press('ArrowDown')
  await isAt(2)
  await page.keyboard.press('Space')
  await page.getByRole('treeitem', { name: /^Candidate 2,.*, pinned$/ }).waitFor()
  await page.getByRole('status').getByText('Candidate 2 is pinned for Compare.').waitFor()
  // The menu: by a right click and the keys, by its button, closed without doing anything.
  await row(0).click({ button: 'right' })
  const menu = page.getByRole('menu', { name: 'Candidate 0' })
  await until(page, "document.activeElement.getAttribute('role') === 'menuitem'")
  assert.deepEqual(await violations(page), [])
  await page.keyboard.press('ArrowDown')
  const [download] = await Promise.all([page.waitForEvent('download'), page.keyboard.press('Enter')])
  assert.equal(readFileSync(await download.path(), 'utf8'), ' one two')
  await menu.waitFor({ state: 'detached' })
  await isAt(0)
  await row(0).locator('.more-button').click()
  await menu.waitFor()
  await page.keyboard.press('Escape')
  await menu.waitFor({ state: 'detached' })
  await isAt(0)
  await page.locator('#detail').getByRole('button', { name: /^What to do with candidate/ }).click()
  await menu.getByRole('menuitem', { name: /^Pin for Compare/ }).click()
  await page.getByRole('navigation', { name: 'Views' }).getByRole('link', { name: 'Compare' }).click()
  const pinned = page.getByRole('region', { name: 'Pinned answers', exact: true })
  await page.getByLabel('judge by').selectOption('length')
  await pinned.getByRole('button', { name: 'Read again by length' }).click()
  await pinned.getByText(/^[+−]\d+\.\d\d$/).first().waitFor()
  const figures = await pinned.getByRole('row').allInnerTexts()
  assert.deepEqual(figures.slice(1).map(text => /Candidate \d/.exec(text)![0]), ['Candidate 2', 'Candidate 0'])
  const rewards = figures.slice(1).map(text => /[+−]\d+\.\d\d/.exec(text)![0])
  assert.equal(new Set(rewards).size, 2, rewards.join())
  await page.setViewportSize({ width: 320, height: 800 })
  assert.deepEqual([await violations(page), await overflow(page)], [[], 0])
  await pinned.getByRole('button', { name: /^Take out candidate 2/ }).click()
  assert.equal(await pinned.getByRole('row').count(), 2)
  assert.deepEqual(problems, [])
})

test('blind answers that cannot be rated are shown, and why', { skip }, async () => {
  const { page, problems } = await open()
  const contents: string[] = ['', 'some text', 'the same', 'the same']
  await page.route('**/v1/chat/completions', async route => {
    const response = await route.fetch()
    const body = await response.json() as { choices: Array<{ message: { content: string } }> }
    body.choices[0]!.message.content = contents.shift()!
    await route.fulfill({ response, json: body })
  })
  await page.goto(`${server.address}/inspect/#/compare`)
  await page.getByText('● ready').waitFor()
  await page.getByLabel('max tokens').fill('6')
  await page.getByLabel('judge by').selectOption('length')
  await page.getByLabel('blind').check()
  for (const [why, answers] of [
    ['One answer has no text: there is nothing to rate.', ['no text', 'some text']],
    ['Both answers are the same: there is nothing to rate.', ['the same', 'the same']]
  ] as const) {
    await page.getByRole('button', { name: /^Run all/ }).click()
    await page.getByText(why).waitFor()
    assert.deepEqual(await page.locator('.answer').allInnerTexts(), answers)
    assert.equal(await page.getByRole('region', { name: 'Vote' }).count(), 0)
    assert.deepEqual([await violations(page), problems], [[], []])
  }
})
