/** Compare in a browser: columns set up by a preset, answered, on one scale. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { tinyServer, type TinyServer } from '../helpers/tiny-server.js'
import { overflow, pages, skip, violations } from './browser.js'

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
