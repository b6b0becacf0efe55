/**
 * Bundles the inspector into the files that the server sends: `dist/src/inspector/page/`. Scripts and styles have
 * their hash in their name, so that browsers may keep them; each file lies beside its gzip.
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
  return outputFiles[0].text
}

const hashed = (text, name, ending) =>
  `${name}-${createHash('sha256').update(text).digest('hex').slice(0, 10)}.${ending}`

function write (name, text) {
  writeFileSync(join(target, name), text)
  writeFileSync(join(target, `${name}.gz`), gzipSync(text, { level: 9 }))
}

const [script, style] = await Promise.all([bundled('main.tsx', 'esm'), bundled('app.css', 'esm')])
const names = { 'app.js': hashed(script, 'app', 'js'), 'app.css': hashed(style, 'app', 'css') }
const page = Object.entries(names).reduce((text, [name, actual]) => text.replace(`"${name}"`, `"${actual}"`),
  readFileSync(join(source, 'index.html'), 'utf8'))

rmSync(target, { recursive: true, force: true })
mkdirSync(target, { recursive: true })
write(names['app.js'], script)
write(names['app.css'], style)
write('index.html', page)
const prompts = Object.fromEntries(['instructions', 'reviews'].map(name =>
  [name, JSON.parse(readFileSync(join(root, `models/evaluation/prompts/${name}.json`), 'utf8'))]))
write('prompts.json', JSON.stringify(prompts))
write('icon.svg', readFileSync(join(source, 'icon.svg'), 'utf8'))
