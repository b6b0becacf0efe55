/** What the page's files may weigh. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { packageRoot } from '../../../src/package-root.js'

const folder = join(packageRoot, 'dist/src/inspector/page')
const size = (name: string): number => statSync(join(folder, `${name}.gz`)).size
const text = (name: string): string => readFileSync(join(folder, name), 'utf8')

/** The scripts that a script imports at once, itself included. */
function loadedWith (name: string, known = new Set<string>()): ReadonlySet<string> {
  if (known.has(name)) return known
  known.add(name)
  for (const [, part] of text(name).matchAll(/(?:from|import) ?"\.\/([\w-]+\.js)"/g)) loadedWith(part!, known)
  return known
}

test('a first visit loads at most 45 kB of scripts and 8 kB of styles, compressed; the rest is one more file', () => {
  const [, script] = /src="([^"]+)"/.exec(text('index.html'))!
  const [, style] = /href="(app[^"]+)"/.exec(text('index.html'))!
  const first = [...loadedWith(script!)].reduce((sum, name) => sum + size(name), 0)
  assert.ok(first <= 45_000, String(first))
  assert.ok(size(style!) <= 8000, String(size(style!)))
  assert.equal(loadedWith(script!).size, 2)
  assert.equal(readdirSync(folder).filter(name => name.endsWith('.js')).length, 3)
})

test('a saved run needs nothing beside it', () => {
  const viewer = text('viewer.html')
  assert.match(viewer, /default-src 'none'; script-src 'sha256-[^']+'; style-src 'sha256-[^']+'/)
  assert.doesNotMatch(viewer.replaceAll(/<script>[\s\S]*<\/script>/g, ''), /(?:src|href)=/)
  assert.ok(size('viewer.html') <= 45_000, String(size('viewer.html')))
  assert.ok(readdirSync(folder).includes('prompts.json'))
  const limits = JSON.parse(readFileSync(join(folder, 'limits.json'), 'utf8')) as Record<string, string[]>
  assert.ok(Object.keys(limits).includes('positive'))
  for (const [name, lines] of Object.entries(limits)) assert.ok(lines.length > 0, name)
})
