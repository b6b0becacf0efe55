/**
 * Bundles the inspector into the files that the server sends: `dist/src/inspector/page/`. Scripts and styles have
 * their hash in their name, so that browsers may keep them; each file lies beside its gzip. `viewer.html` is what saved
 * runs are made of: script and style in one file that may run nothing else.
 */
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'

const root = join(import.meta.dirname, '..')
const source = join(root, 'src/inspector')
const target = join(root, 'dist/src/inspector/page')

/** @returns the files that come of an entry point, minified: what the page begins with is the first */
async function bundled (entry, options) {
  const { outputFiles } = await build({
    entryPoints: [join(source, entry)],
    outdir: target,
    bundle: true,
    minify: true,
    write: false,
    target: 'es2022',
    jsx: 'automatic',
    jsxImportSource: 'preact',
    tsconfigRaw: {},
    legalComments: 'none',
    charset: 'utf8',
    logLevel: 'warning',
    ...options
  })
  return outputFiles.map(({ path, text }) => ({ name: basename(path), text }))
}

const sha256 = text => createHash('sha256').update(text).digest('base64')
const read = path => readFileSync(join(root, path), 'utf8')

function write (name, text) {
  writeFileSync(join(target, name), text)
  writeFileSync(join(target, `${name}.gz`), gzipSync(text, { level: 9 }))
}

/** Each mark's text in its place, as it is. */
const filled = (template, texts) =>
  Object.entries(texts).reduce((text, [mark, given]) => text.split(mark).join(given), template)

const hashed = { entryNames: 'app-[hash]', chunkNames: 'part-[hash]' }
const [[script, ...parts], [style], [viewer]] = await Promise.all([
  bundled('main.tsx', { ...hashed, format: 'esm', splitting: true }),
  bundled('app.css', hashed),
  bundled('viewer.tsx', { format: 'iife' })
])
// In a page's script nothing may end it.
const inlined = viewer.text.trim().replaceAll('</script', '<\\/script')
const inlinedStyle = style.text.trim()

rmSync(target, { recursive: true, force: true })
mkdirSync(target, { recursive: true })
for (const { name, text } of [script, style, ...parts]) write(name, text)
write('index.html', filled(read('src/inspector/index.html'), {
  '"app.js"': `"${script.name}"`, '"app.css"': `"${style.name}"`
}))
write('icon.svg', read('src/inspector/icon.svg'))
write('viewer.html', filled(read('src/inspector/viewer.html'), {
  'SCRIPT-HASH': `sha256-${sha256(inlined)}`,
  'STYLE-HASH': `sha256-${sha256(inlinedStyle)}`,
  '>SCRIPT<': `>${inlined}<`,
  '>STYLE<': `>${inlinedStyle}<`
}))
write('example.fairlead.jsonl', read('docs/pictures/beam.fairlead.jsonl'))
write('prompts.json', JSON.stringify(Object.fromEntries(['instructions', 'reviews'].map(name =>
  [name, JSON.parse(read(`models/evaluation/prompts/${name}.json`))]))))

/** What the cards of built-in rewards list under "Limits", as lines of text. */
const limitsIn = card => card.split('\n## ').filter(section => section.startsWith('Limits\n'))
  .flatMap(section => [...section.matchAll(/^- (.+)$/gm)].map(([, line]) => line))
write('limits.json', JSON.stringify(Object.fromEntries(readdirSync(join(root, 'models/rewards'))
  .filter(name => name.endsWith('.md') && name !== 'README.md')
  .map(name => [basename(name, '.md'), limitsIn(read(`models/rewards/${name}`))]))))
