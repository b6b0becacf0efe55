/**
 * Bundles the command and its threads into `dist/fairlead/`, from what the compiler wrote: a program of some hundred
 * modules, and TypeBox with as many, would be found and read one by one in every thread. Other packages stay outside.
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'

const root = join(import.meta.dirname, '..')
const source = join(root, 'dist/src')
const target = join(root, 'dist/fairlead')

/** Threads are started by the name of their file, beside the program's. */
const threads = [
  'serving/inference-worker', 'serving/prompt-worker', 'grammar/grammar-worker', 'rewards/kinds/rules/rule-worker',
  'fitting/fit-worker'
]

rmSync(target, { recursive: true, force: true })
await build({
  entryPoints: {
    fairlead: join(source, 'cli/main.js'),
    ...Object.fromEntries(threads.map(path => [path.replace(/.*\//, ''), join(source, `${path}.js`)]))
  },
  outdir: target,
  chunkNames: 'part-[hash]',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  logLevel: 'warning',
  plugins: [{
    name: 'other packages stay outside',
    setup ({ onResolve }) {
      onResolve({ filter: /^[^./]/ }, ({ path, kind }) =>
        kind === 'entry-point' || path.split('/')[0] === 'typebox' ? undefined : { path, external: true })
    }
  }]
})
