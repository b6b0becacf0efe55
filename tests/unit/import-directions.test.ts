import assert from 'node:assert/strict'
import { readFileSync, readdirSync } from 'node:fs'
import { join, posix } from 'node:path'
import { test } from 'node:test'
import { packageRoot } from '../../src/package-root.js'

/**
 * Folder (or root file) → what it may import beside itself. Files at the root that everything may import are
 * `anywhere`.
 */
const anywhere = ['errors', 'atomic-file', 'package-root', 'bounded-concurrency', 'byte-budget', 'fair-queue',
  'code-points', 'half-pairs', 'validation', 'checker', 'pattern', 'text-file']
const below = {
  errors: [],
  'atomic-file': [],
  'bounded-concurrency': [],
  'byte-budget': [],
  'fair-queue': [],
  'code-points': [],
  'half-pairs': [],
  'package-root': [],
  validation: [],
  checker: [],
  pattern: [],
  'text-file': [],
  'config-file': [],
  settings: [],
  config: ['config-file', 'settings'],
  metrics: [],
  statistics: [],
  answers: [],
  runtime: [],
  models: ['runtime'],
  engine: ['runtime', 'models'],
  rewards: ['answers', 'statistics', 'runtime', 'models', 'engine'],
  fitting: ['statistics', 'engine', 'rewards'],
  journal: [],
  policies: [],
  'policies/local': ['engine', 'policies'],
  'policies/remote': ['policies'],
  decoding: ['answers', 'journal', 'policies'],
  stores: ['settings', 'rewards', 'fitting'],
  grammar: ['models'],
  serving: [
    'config', 'settings', 'runtime', 'models', 'engine', 'rewards', 'stores', 'fitting', 'policies', 'policies/local',
    'policies/remote', 'decoding', 'grammar', 'journal'
  ],
  api: [
    'settings', 'config-file', 'metrics', 'stores', 'serving', 'decoding', 'policies', 'rewards', 'fitting',
    'grammar', 'models', 'journal'
  ],
  library: ['config', 'journal', 'settings', 'serving', 'api', 'decoding', 'policies', 'rewards', 'models'],
  'openai-client': ['api'],
  inspector: ['journal'],
  server: ['settings', 'serving', 'api'],
  reporting: ['runtime'],
  evaluation: [
    'reporting', 'config', 'serving', 'grammar', 'decoding', 'policies', 'rewards', 'fitting', 'statistics', 'engine',
    'models'
  ],
  cli: [
    'config', 'settings', 'server', 'api', 'stores', 'evaluation', 'reporting', 'serving', 'decoding', 'policies',
    'rewards', 'fitting', 'engine', 'models', 'grammar', 'runtime', 'journal'
  ]
} as const satisfies Record<string, readonly string[]>

/** Folders beside src, which may import all of it → what else each may import. */
const beside: Readonly<Record<string, readonly string[]>> = {
  tools: [],
  bench: ['tools'],
  studies: ['tools'],
  // The campaign drives the bench's server process, with the tests' tiny models.
  conformance: ['tools', 'bench', 'tests'],
  processors: [],
  scripts: ['tools']
}

/** Folders that see each other only through types. */
const typesOnly: ReadonlyArray<readonly [string, string]> = [
  ['rewards', 'decoding'], ['decoding', 'rewards'], ['policies', 'rewards'], ['policies/local', 'rewards'],
  ['policies/remote', 'rewards'],
  ['policies', 'engine'], ['grammar', 'policies']
]

/** Package → the only places that import it. */
const homes: ReadonlyArray<readonly [RegExp, ...string[]]> = [
  [/^koffi$|^onnxruntime-node/, 'runtime/'], [/^@huggingface\//, 'models/'],
  [/^lru-cache$/, 'engine/kv/slots/prefix-cache.ts'],
  [/^fastify$|^@fastify\//, 'api/'], [/^cli-table3$/, 'cli/'], [/^@mlc-ai\//, 'grammar/'],
  [/^echarts/, 'reporting/plot.ts'], [/^@photostructure\/sqlite$/, 'stores/local/'],
  [/^pg$/, 'stores/postgres/'], [/^prom-client$/, 'metrics/'],
  [/^yaml$/, 'config-file.ts'], [/^ajv/, 'checker.ts', 'rewards/kinds/rules/json-schema-rule.ts'],
  [/^re2js$/, 'pattern.ts'], [/^undici$/, 'policies/remote/replica.ts'], [/^eld/, 'rewards/kinds/rules/language.ts'],
  [/^@?preact/, 'inspector/']
]

/** Imports and exports of modules, the names perhaps on several lines: whether of types only, and from where. */
const statements = /^(?:import|export) (type )?(?:[^'"\n{]*(?:\{[^}]*\})? ?from )?'([^']+)'/gm

/** What a file imports from its own project, by path; the names may be on lines before. */
const imports = /(?:from|^import) '(\.[^']+)'/gm

/** Backends are places of their own: the local one alone of the policies may know the engine. */
function placeOf (file: string): string {
  return /^policies\/(local|remote)\//.exec(file)?.[0].slice(0, -1) ?? file.split('/')[0]!.replace(/\.ts$/, '')
}

/** What is wrong with the imports of a file beside src. @param file path from the package's root */
function violationsBeside (file: string, text: string): string[] {
  const from = placeOf(file)
  return [...text.matchAll(imports)].flatMap(([, specifier]) => {
    const to = placeOf(posix.join(posix.dirname(file), specifier!))
    return to === from || to === 'src' || beside[from]!.includes(to) ? [] : [`${file} imports ${specifier}`]
  })
}

/** What is wrong with one file's imports. @param file path under src/ */
function violations (file: string, text: string): string[] {
  const from = placeOf(file)
  const found: string[] = []
  // Pages have no environment: theirs is in programs that they show.
  if (text.includes('process.env') && file !== 'config.ts' && from !== 'inspector') found.push(`${file} reads process.env`)
  for (const [, isType, specifier] of text.matchAll(statements)) {
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

/** The files of a folder by their paths in it. */
function filesIn (folder: string): ReadonlyArray<readonly [file: string, text: string]> {
  const home = join(packageRoot, folder)
  return readdirSync(home, { recursive: true, encoding: 'utf8' }).filter(file => /(?<!\.d)\.tsx?$/.test(file) &&
    !file.includes('node_modules')).map(file => [file.replaceAll('\\', '/'), readFileSync(join(home, file), 'utf8')])
}
const sources = new Map(filesIn('src'))
const others = new Map(Object.keys(beside).flatMap(folder =>
  filesIn(folder).map(([file, text]) => [`${folder}/${file}`, text] as const)))

/** A circle of files, each of which imports the next, types too; null where there is none. */
function circle (sources: ReadonlyMap<string, string>): string[] | null {
  const clear = new Set<string>()
  const search = (file: string, path: readonly string[]): string[] | null => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file]
    if (clear.has(file)) return null
    for (const [, specifier] of (sources.get(file) ?? '').matchAll(imports)) {
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
  assert.equal(circle(others), null)
  assert.deepEqual(circle(new Map([['a/x.ts', "import { y } from '../b/y.js'"],
    ['b/y.ts', "import type { X } from '../a/x.js'"]])), ['a/x.ts', 'b/y.ts', 'a/x.ts'])
})

test('imports run one way, packages have one home, the environment is read in one place', () => {
  assert.ok(sources.size > 50 && others.size > 50)
  assert.deepEqual([...sources].flatMap(([file, text]) => violations(file, text)), [])
  assert.deepEqual([...others].flatMap(([file, text]) => violationsBeside(file, text)), [])
})

test('the check sees what it is there to see', () => {
  assert.equal(violations('engine/x.ts', "import { app } from '../api/app.js'").length, 1)
  assert.equal(violations('rewards/x.ts', "import { sample } from '../decoding/sample.js'").length, 1)
  assert.equal(violations('rewards/x.ts', "import type { Warning } from '../decoding/result.js'").length, 0)
  assert.equal(violations('decoding/x.ts', "import type { Sequence } from '../engine/sequence.js'").length, 1)
  assert.equal(violations('policies/x.ts', "import { Engine } from '../engine/engine.js'").length, 1)
  assert.equal(violations('policies/local/x.ts', "import { Engine } from '../../engine/engine.js'").length, 0)
  assert.equal(violations('engine/x.ts', "import {\n  a, b\n} from '../api/app.js'").length, 1)
  assert.equal(violations('api/x.ts', "import koffi from 'koffi'").length, 1)
  assert.equal(violations('api/x.ts', 'const home = process.env.HOME').length, 1)
  assert.equal(violations('models/x.ts', "import { bench } from '../../bench/x.js'").length, 1)
  assert.equal(violationsBeside('bench/a/x.ts', "import {\n  y } from '../../studies/x.js'").length, 1)
  assert.equal(violationsBeside('studies/x.ts', "import { y } from '../src/engine/x.js'").length, 0)
  assert.equal(violations('models/x.ts', "import { Tensor } from '../runtime/tensor.js'").length, 0)
})
