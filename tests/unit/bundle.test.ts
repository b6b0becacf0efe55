import assert from 'node:assert/strict'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { packageRoot } from '../../src/package-root.js'

test('every thread of the program is bundled beside it', () => {
  const source = join(packageRoot, 'src')
  const threads = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter(path => path.endsWith('.ts'))
    .flatMap(path => [...readFileSync(join(source, path), 'utf8').matchAll(/new Worker\(new URL\('\.\/(.+?)'/g)])
    .map(([, file]) => file!)
  assert.ok(threads.length >= 5, `threads found: ${threads.join(', ')}`)
  const missing = threads.filter(file => !existsSync(join(packageRoot, 'dist/fairlead', file)))
  assert.deepEqual(missing, [], 'their place is scripts/bundle-program.js')
})

test('the container’s build has what the bundles are made of', () => {
  const read = (path: string): string => readFileSync(join(packageRoot, path), 'utf8')
  const [build] = read('Dockerfile').split('# Runtime stage')
  const copied = [...build!.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, paths]) => paths!.split(' '))
  const made = ['bundle-program', 'bundle-inspector'].flatMap(name =>
    [...read(`scripts/${name}.js`).matchAll(/\bread\([`']([^`'$]+)/g)].map(([, path]) => path!))
  assert.ok(made.length > 3, made.join())
  assert.deepEqual(made.filter(path => !copied.some(one => path === one || path.startsWith(`${one}/`) ||
    `${one}/` === path)), [])
})
