import assert from 'node:assert/strict'
import { existsSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { packageRoot } from '../../../src/package-root.js'
import { page } from '../../helpers/docs.js'

const folders = ['docs', 'models', 'bench', 'conformance', 'deploy', 'examples']
const roots = ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md']
const pages = [...roots, ...folders.flatMap(folder => readdirSync(join(packageRoot, folder),
  { recursive: true, encoding: 'utf8' })
  .filter(path => path.endsWith('.md') && !/node_modules|^out\//.test(path)).map(path => `${folder}/${path}`))]

/** A page without what is not prose: code, in blocks and in lines. */
const prose = (path: string): string =>
  page(path).replaceAll(/^```.*?^```/gms, '').replaceAll(/`[^`\n]*`/g, code => code.replaceAll(/[[\]()#]/g, ''))

/** The anchors of a page, as GitHub makes them from its headings. */
const anchors = (path: string): string[] => [...page(path).replaceAll(/^```.*?^```/gms, '').matchAll(/^#+ (.*)$/gm)]
  .map(([, heading]) => heading!.toLowerCase().replaceAll(/[^\p{L}\p{N}_ -]/gu, '').replaceAll(' ', '-'))

const links = pages.flatMap(from => [...prose(from).matchAll(/\]\(([^)\s]+)\)/g)].map(([, to]) => ({ from, to: to! }))
  .filter(({ to }) => !/^https?:/.test(to)))

test('every link between pages leads to a file, and to a heading in it', () => {
  for (const { from, to } of links) {
    const [path, anchor] = to.split('#')
    const target = path ? join(dirname(from), path) : from
    assert.ok(existsSync(join(packageRoot, target)), `${from}: ${to}`)
    if (anchor) assert.ok(anchors(target).includes(anchor), `${from}: ${to}; there are ${anchors(target).join(', ')}`)
  }
})

test('the README leads to every page of docs', () => {
  const reached = links.filter(({ from }) => from === 'README.md').map(({ to }) => to)
  for (const path of pages.filter(path => path.startsWith('docs/'))) assert.ok(reached.includes(path), path)
})

test('the README stays short', () => {
  assert.ok(page('README.md').split('\n').length <= 200)
})
