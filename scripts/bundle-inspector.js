/**
 * Bundles the inspector into the files that the server sends: `dist/src/inspector/page/`. Scripts and styles have
 * their hash in their name, so that browsers may keep them; each file lies beside its gzip. `viewer.html` is what saved
 * runs are made of: script and style in one file that may run nothing else.
 */
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'

const root = join(import.meta.dirname, '..')
const source = join(root, 'src/inspector')
const target = join(root, 'dist/src/inspector/page')

/** @returns {Promise<string>} the one output of an entry point, minified */
async function bundled (entry, format) {
  const { outputFiles } = await build({
    entryPoints: [join(source, entry)],
    bundle: true,
    minify: true,
    write: false,
    format,
    target: 'es2022',
    jsx: 'automatic',
    jsxImportSource: 'preact',
    tsconfigRaw: {},
    legalComments: 'none',
    charset: 'utf8',
    logLevel: 'warning'
  })
  return outputFiles[0].text.trim()
}

const sha256 = (text, encoding) => createHash('sha256').update(text).digest(encoding)
const read = path => readFileSync(join(root, path), 'utf8')

function write (name, text) {
  writeFileSync(join(target, name), text)
  writeFileSync(join(target, `${name}.gz`), gzipSync(text, { level: 9 }))
}

/** Each mark's text in its place, as it is. */
const filled = (template, texts) =>
  Object.entries(texts).reduce((text, [mark, given]) => text.split(mark).join(given), template)

const [script, style, viewer] =
  await Promise.all([bundled('main.tsx', 'esm'), bundled('app.css', 'esm'), bundled('viewer.tsx', 'iife')])
const names = [`app-${sha256(script, 'hex').slice(0, 10)}.js`, `app-${sha256(style, 'hex').slice(0, 10)}.css`]
// In a page's script nothing may end it.
const inlined = viewer.replaceAll('</script', '<\\/script')

rmSync(target, { recursive: true, force: true })
mkdirSync(target, { recursive: true })
write(names[0], script)
write(names[1], style)
write('index.html', filled(read('src/inspector/index.html'), { '"app.js"': `"${names[0]}"`, '"app.css"': `"${names[1]}"` }))
write('icon.svg', read('src/inspector/icon.svg'))
write('viewer.html', filled(read('src/inspector/viewer.html'), {
  'SCRIPT-HASH': `sha256-${sha256(inlined, 'base64')}`,
  'STYLE-HASH': `sha256-${sha256(style, 'base64')}`,
  '>SCRIPT<': `>${inlined}<`,
  '>STYLE<': `>${style}<`
}))
write('prompts.json', JSON.stringify(Object.fromEntries(['instructions', 'reviews'].map(name =>
  [name, JSON.parse(read(`models/evaluation/prompts/${name}.json`))]))))
