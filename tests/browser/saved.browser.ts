/** Recorded runs: an example without a model, files that the command line and the page make, the same run again. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { Page } from 'playwright-core'
import type { Entry } from '../../src/journal/entries.js'
import { linesOf } from '../../src/journal/wire.js'
import { packageRoot } from '../../src/package-root.js'
import { tinyServer, type TinyServer } from '../helpers/tiny-server.js'
import { overflow, pages, skip, violations } from './browser.js'

const open = pages()
const folder = mkdtempSync(join(tmpdir(), 'fairlead-saved-'))
let server: TinyServer
before(async () => { if (skip === false) server = await tinyServer() })
after(async () => {
  await server?.close()
  rmSync(folder, { recursive: true })
})

const request = {
  model: 'tiny',
  messages: [{ role: 'system', content: 'Be brief.' }, { role: 'user', content: 'Say a secret thing.' }],
  max_tokens: 12,
  seed: 3,
  alignment: { strategy: 'beam_search', num_beams: 2, num_children: 2, step: { tokens: 4 }, reward: 'length' }
}

/** The journal of a run on the server. */
async function recorded (): Promise<Entry[]> {
  const chunks = await server.stream('/v1/chat/completions',
    { ...request, stream_options: { include_journal: { pieces: true } } })
  return chunks.flatMap(chunk => chunk['journal'] as Entry[] | undefined ?? [])
}

/** The page, with a journal in it. */
async function opened (entries: readonly Entry[]): Promise<{ page: Page, problems: string[] }> {
  const { page, problems } = await open()
  await page.goto(`${server.address}/inspect/`)
  await page.getByText('● ready').waitFor()
  await page.locator('input[type=file]').first().setInputFiles({
    name: 'run.fairlead.jsonl', mimeType: 'application/x-ndjson', buffer: Buffer.from(linesOf(entries))
  })
  await page.getByRole('tree', { name: 'Candidates' }).waitFor()
  return { page, problems }
}

test('fairlead inspect --html makes a page that shows the run without a network', { skip }, async () => {
  const entries = await recorded()
  const [journal, html] = [join(folder, 'run.fairlead.jsonl'), join(folder, 'run.html')]
  writeFileSync(journal, linesOf(entries))
  execFileSync(process.execPath, [join(packageRoot, 'dist/src/cli/main.js'), 'inspect', journal, '--html', html])
  for (const viewport of [{ width: 1440, height: 900 }, { width: 320, height: 700 }]) {
    const { page, problems } = await open({ offline: true, viewport })
    const asked: string[] = []
    page.on('request', one => { asked.push(one.url()) })
    await page.goto(`file://${html}`)
    await page.getByText(/^Candidate \d+ chosen after/).first().waitFor()
    await page.getByText('Say a secret thing.').waitFor()
    const told = entries.flatMap(entry => 'open' in entry ? entry.open : []).length
    assert.equal(await page.getByRole('treeitem').count(), told)
    await page.getByRole('slider', { name: 'Time of the run' }).fill('0')
    assert.ok(await page.getByRole('treeitem').count() < told)
    assert.equal(await overflow(page), 0)
    assert.deepEqual([asked, problems], [[`file://${html}`], []])
  }
})

test('a run is saved as a picture, with what is left out of it left out', { skip }, async () => {
  const { page } = await opened(await recorded())
  await page.getByRole('button', { name: 'Save…' }).click()
  const save = async (): Promise<string> => {
    const [download] = await Promise.all([page.waitForEvent('download'),
      page.getByRole('button', { name: /^Animated picture/ }).click()])
    assert.match(download.suggestedFilename(), /^run_\w+\.svg$/)
    const path = join(folder, 'run.svg')
    await download.saveAs(path)
    return readFileSync(path, 'utf8')
  }
  assert.match(await save(), /^<svg [^]*Say a secret thing\.[^]*@keyframes|@keyframes[^]*Say a secret thing\./)
  await page.getByLabel('leave out the prompt').check()
  const redacted = await save()
  assert.match(redacted, /\[left out\]/)
  assert.doesNotMatch(redacted, /secret/)
  assert.deepEqual(await violations(page), [])
})

test('a recorded run is run again with its seed, and compared', { skip }, async () => {
  const entries = await recorded()
  const { page, problems } = await opened(entries)
  await page.getByRole('button', { name: 'Run again here' }).click()
  const result = page.getByRole('region', { name: 'Compared with the recorded run' })
  await result.getByRole('heading', { name: '✓ Identical to the recorded run' }).waitFor()
  assert.match(await result.innerText(),
    /Tokens: identical, \d+ candidates\.\s+Chosen: the same\.\s+Rewards: identical/)
  assert.deepEqual(await violations(page), [])
  await page.getByRole('button', { name: 'Show the recorded run' }).click()
  await page.getByText(/^Recorded \d{4}-/).waitFor()
  assert.equal(await result.count(), 0)
  // The same request with another seed, as a file of another machine would have it.
  const [head, ...rest] = entries
  const other = await opened([{ ...head!, fingerprint: 'fl_other' } as Entry,
    ...rest.map(entry => 'start' in entry ? { ...entry, start: { ...entry.start, seed: 4 } } : entry)])
  await other.page.getByRole('button', { name: 'Run again here' }).click()
  const differs = other.page.getByRole('region', { name: 'Compared with the recorded run' })
  await differs.getByText(/differs from token \d+ on/).waitFor()
  await differs.getByText(/Another build, model or machine \(fl_other, here fl_/).waitFor()
  assert.deepEqual([problems, other.problems], [[], []])
})

test('a file without its prompt cannot be run again, which is said', { skip }, async () => {
  const [head, ...rest] = await recorded()
  const { page } = await opened([{ ...head!, redacted: ['request.messages[1]'] } as Entry, ...rest])
  const again = page.getByRole('button', { name: 'Run again here' })
  assert.equal(await again.isDisabled(), true)
  assert.equal(await again.getAttribute('title'), 'Its messages were left out of the file.')
})

test('an example is opened where no model is there', { skip }, async () => {
  const guarded = await tinyServer({ apiKeys: 'the-right-key-of-a-test' })
  try {
    const { page, problems } = await open()
    await page.goto(`${guarded.address}/inspect/`)
    await page.getByRole('dialog', { name: 'This server needs an API key' }).getByRole('button', { name: /close/i }).click()
    await page.getByRole('button', { name: 'Open a recorded example' }).click()
    await page.getByText(/^Recorded \d{4}-/).waitFor()
    await page.getByText(/^Candidate \d+ chosen after/).first().waitFor()
    assert.ok(await page.getByRole('treeitem').count() > 9)
    assert.deepEqual(problems, [])
  } finally {
    await guarded.close()
  }
})
