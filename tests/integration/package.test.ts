/**
 * The package as `npm pack` makes it, in a project of its own: what it needs at run time is in it, its declared
 * dependencies suffice, and its types can be used. Dependencies are linked from here, so that no registry is asked.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import ts from 'typescript'
import { packageRoot } from '../../src/package-root.js'
import { writeTinyGguf } from '../helpers/tiny-gguf.js'

const project = mkdtempSync(join(tmpdir(), 'fairlead-package-'))
after(() => { rmSync(project, { recursive: true }) })
const installed = join(project, 'node_modules', 'fairlead')

function run (command: string, args: readonly string[], cwd: string): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, encoding: 'utf8' })
  assert.equal(status, 0, `${command} ${args.join(' ')}: ${String(error ?? stderr)}`)
  return stdout
}

function link (name: string): void {
  const path = join(project, 'node_modules', name)
  mkdirSync(dirname(path), { recursive: true })
  symlinkSync(join(packageRoot, 'node_modules', name), path, 'junction')
}

before(() => {
  // npm as it was called, wherever it lies.
  const npm = process.env['npm_execpath']
  const pack = ['pack', '--ignore-scripts', '--silent', '--pack-destination', project]
  run(npm ? process.execPath : 'npm', npm ? [npm, ...pack] : pack, packageRoot)
  mkdirSync(installed, { recursive: true })
  run('tar', ['-xzf', join(project, readdirSync(project).find(name => name.endsWith('.tgz'))!), '--strip-components=1',
    '-C', installed], project)
  const { dependencies } =
    JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8')) as { dependencies: Record<string, string> }
  for (const name of Object.keys(dependencies)) link(name)
  writeFileSync(join(project, 'package.json'), '{"type": "module"}')
  writeTinyGguf(join(project, 'tiny.gguf'))
})

test('generates, streams and scores from nothing but what was installed', () => {
  writeFileSync(join(project, 'use.js'), `
    import { Fairlead } from 'fairlead'
    import 'fairlead/openai'
    const fairlead = await Fairlead.start({ model: 'tiny.gguf', cacheDir: 'cache', dataDir: 'data' })
    const messages = [{ role: 'user', content: 'say the' }]
    const { choices } = await fairlead.generate({ messages, max_tokens: 4, alignment: { reward: 'length' } })
    let pieces = 0
    for await (const chunk of fairlead.stream({ messages, max_tokens: 4 })) pieces++
    const { data } = await fairlead.score({ reward: 'length', input: [{ prompt: 'a', answer: 'the' }] })
    await fairlead.close()
    console.log(JSON.stringify({ reward: typeof choices[0].alignment.reward, pieces: pieces > 1, score: data[0].rewards.length.raw }))
  `)
  assert.deepEqual(JSON.parse(run(process.execPath, ['use.js'], project)), { reward: 'number', pieces: true, score: 1 })
})

test('the command is there', () => {
  const { bin, version } =
    JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8')) as { bin: { fairlead: string }, version: string }
  assert.equal(run(process.execPath, [join(installed, bin.fairlead), '--version'], project).trim(), version)
})

test('its types are those of a user’s program, and let the openai client’s know alignment', () => {
  for (const name of ['openai', '@types/node']) link(name)
  const file = join(project, 'use.ts')
  writeFileSync(file, `
    import OpenAI from 'openai'
    import { Fairlead, type AlignmentParams } from 'fairlead'
    import type {} from 'fairlead/openai'
    const alignment: AlignmentParams = { strategy: 'beam_search', num_beams: 2, reward: 'positive' }
    const fairlead = await Fairlead.start({ threads: 1 })
    const reward: number | undefined = (await fairlead.generate({ messages: [{ role: 'user', content: 'Hello' }], alignment })).choices[0]?.alignment?.reward
    const client = new OpenAI()
    const completion = await client.chat.completions.create({ model: 'smollm2-135m', messages: [], alignment })
    const discarded: number | undefined = completion.usage?.alignment_details?.discarded_tokens
    // @ts-expect-error no such field
    await client.chat.completions.create({ model: 'smollm2-135m', messages: [], alignment: { strategy: 'best_of_n', num_beams: 2 } })
    // @ts-expect-error no such strategy
    await fairlead.generate({ messages: [], alignment: { strategy: 'best', reward: 'positive' } })
    // @ts-expect-error no such setting
    await Fairlead.start({ port: 1 })
    export { reward, discarded }
  `)
  const program = ts.createProgram([file], {
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    types: ['node'],
    typeRoots: [join(project, 'node_modules', '@types')]
  })
  const said =
    ts.getPreEmitDiagnostics(program).map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'))
  assert.deepEqual(said, [])
})
