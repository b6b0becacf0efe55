import assert from 'node:assert/strict'
import { readFileSync, readdirSync } from 'node:fs'
import { join, posix } from 'node:path'
import { test } from 'node:test'
import { packageRoot } from '../../src/package-root.js'

/**
 * Folder (or root file) → what it may import beside itself. Files at the root that everything may import are
 * `anywhere`.
 */
const anywhere = ['errors', 'package-root', 'bounded-concurrency', 'validation']
const below = {
  errors: [],
  'bounded-concurrency': [],
  'package-root': [],
  validation: [],
  'config-file': [],
  settings: [],
  config: ['config-file', 'settings'],
  metrics: [],
  statistics: [],
  runtime: [],
  models: ['runtime'],
  engine: ['runtime', 'models'],
  rewards: ['statistics', 'runtime', 'models', 'engine'],
  fitting: ['statistics', 'engine', 'rewards'],
  decoding: ['runtime', 'models', 'engine'],
  feedback: ['rewards', 'fitting'],
  grammar: ['models'],
  serving: ['config', 'settings', 'runtime', 'models', 'engine', 'rewards', 'fitting', 'decoding', 'grammar'],
  api: ['settings', 'config-file', 'metrics', 'feedback', 'serving', 'decoding', 'rewards', 'fitting', 'grammar'],
  library: ['config', 'settings', 'serving', 'api', 'decoding', 'rewards'],
  'openai-client': ['api'],
  server: ['settings', 'serving', 'api'],
  reporting: ['runtime'],
  evaluation: [
    'reporting', 'config', 'serving', 'grammar', 'decoding', 'rewards', 'fitting', 'statistics', 'engine', 'models'
  ],
  cli: [
    'config', 'settings', 'server', 'feedback', 'evaluation', 'reporting', 'serving', 'decoding', 'rewards', 'fitting',
    'engine', 'models', 'grammar', 'runtime'
  ]
} as const satisfies Record<string, readonly string[]>

/** Folders that see each other only through types. */
const typesOnly: ReadonlyArray<readonly [string, string]> = [
  ['rewards', 'decoding'], ['decoding', 'rewards'], ['grammar', 'decoding']
]

/** Package → the only places that import it. */
const homes: ReadonlyArray<readonly [RegExp, ...string[]]> = [
  [/^koffi$|^onnxruntime-node/, 'runtime/'], [/^@huggingface\//, 'models/'],
  [/^lru-cache$/, 'engine/kv/prefix-cache.ts', 'api/responses/response-store.ts'],
  [/^fastify$|^@fastify\//, 'api/'], [/^cli-table3$/, 'cli/'], [/^@mlc-ai\//, 'grammar/'],
  [/^echarts/, 'reporting/plot.ts'], [/^@photostructure\/sqlite$/, 'feedback/'], [/^prom-client$/, 'metrics/'],
  [/^yaml$/, 'config-file.ts'], [/^ajv/, 'rewards/kinds/rules/json-schema-rule.ts'],
  [/^eld/, 'rewards/kinds/rules/language.ts']
]

const placeOf = (file: string): string => file.split('/')[0]!.replace(/\.ts$/, '')

/** What is wrong with one file's imports. @param file path under src/ */
function violations (file: string, text: string): string[] {
  const from = placeOf(file)
  const found: string[] = []
  if (text.includes('process.env') && file !== 'config.ts') found.push(`${file} reads process.env`)
  for (const [, isType, specifier] of text.matchAll(/^(?:import|export) (type )?[^'"\n]*?(?:from )?'([^']+)'/gm)) {
    if (specifier!.startsWith('node:')) continue
    if (!specifier!.startsWith('.')) {
      const [, ...places] = homes.find(([name]) => name.test(specifier!)) ?? []
      if (places.length > 0 && !places.some(place => file.startsWith(place))) {
        found.push(`${file} imports ${specifier}, whose home is ${places.join(' and ')}`)
      }
      continue
    }
    const to = placeOf(posix.join(posix.dirname(file), specifier!).replace(/\.js$/, '.ts'))
    const allowed: readonly string[] = below[from as keyof typeof below] ?? []
    const asType = isType !== undefined && typesOnly.some(([a, b]) => a === from && b === to)
    if (to !== from && !anywhere.includes(to) && !allowed.includes(to) && !asType) {
      found.push(`${file} imports ${specifier}`)
    }
  }
  return found
}

const src = join(packageRoot, 'src')
const sources = new Map(readdirSync(src, { recursive: true, encoding: 'utf8' }).map(file => file.replaceAll('\\', '/'))
  .filter(file => file.endsWith('.ts')).map(file => [file, readFileSync(join(src, file), 'utf8')]))

/** A circle of files, each of which imports the next, types too; null where there is none. */
function circle (sources: ReadonlyMap<string, string>): string[] | null {
  const clear = new Set<string>()
  const search = (file: string, path: readonly string[]): string[] | null => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file]
    if (clear.has(file)) return null
    for (const [, specifier] of (sources.get(file) ??
      '').matchAll(/^(?:import|export) [^'"\n]*?(?:from )?'(\.[^']+)'/gm)) {
      const found = search(posix.join(posix.dirname(file), specifier!).replace(/\.js$/, '.ts'), [...path, file])
      if (found) return found
    }
    clear.add(file)
    return null
  }
  for (const file of sources.keys()) {
    const found = search(file, [])
    if (found) return found
  }
  return null
}

test('no files import each other in a circle', () => {
  assert.equal(circle(sources), null)
  assert.deepEqual(circle(new Map([['a/x.ts', "import { y } from '../b/y.js'"],
    ['b/y.ts', "import type { X } from '../a/x.js'"]])), ['a/x.ts', 'b/y.ts', 'a/x.ts'])
})

test('imports run one way, packages have one home, the environment is read in one place', () => {
  assert.ok(sources.size > 50)
  assert.deepEqual([...sources].flatMap(([file, text]) => violations(file, text)), [])
})

test('the check sees what it is there to see', () => {
  assert.equal(violations('engine/x.ts', "import { app } from '../api/app.js'").length, 1)
  assert.equal(violations('rewards/x.ts', "import { sample } from '../decoding/sample.js'").length, 1)
  assert.equal(violations('rewards/x.ts', "import type { Warning } from '../decoding/runtime.js'").length, 0)
  assert.equal(violations('api/x.ts', "import koffi from 'koffi'").length, 1)
  assert.equal(violations('api/x.ts', 'const home = process.env.HOME').length, 1)
  assert.equal(violations('models/x.ts', "import { Tensor } from '../runtime/tensor.js'").length, 0)
})
