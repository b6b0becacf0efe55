import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import ts from 'typescript'
import { packageRoot } from '../../src/package-root.js'
import type { Server } from '../../src/server.js'
import { examples, pages, statements } from '../helpers/docs.js'
import { model, postChat, readyServer, review } from '../helpers/server.js'

/** The examples of a page, the server's address put in. */
const blocks = (path: string, language: string): string[] =>
  examples(path, language).map(example => example.replaceAll('http://127.0.0.1:8000', server.address))

let server: Server
before(async () => { server = await readyServer() })
after(() => server.close())

/** Runs a command while the server, in this process, answers it. */
function run (
  command: string, args: readonly string[]
): Promise<{ code: number | null, stdout: string, stderr: string }> {
  const child = spawn(command, args, { cwd: packageRoot })
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', chunk => { stdout += String(chunk) })
  child.stderr.on('data', chunk => { stderr += String(chunk) })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', code => { resolve({ code, stdout, stderr }) })
  })
}

const missing = ['curl', 'jq'].filter(program => spawnSync(program, ['--version']).error)

test('every curl command of the docs is answered', {
  skip: missing.length > 0 ? `${missing.join(' and ')} not installed` : false
}, async () => {
  let answered = 0
  for (const path of pages) {
    for (const block of blocks(path, 'sh').filter(one => one.includes('curl '))) {
      // Ratings to fit on are the reader's own.
      if (block.includes('pairs.jsonl')) continue
      const commands = block.slice(block.search(/^(?:\w+=\$\()?curl /m))
        .replace(/curl -s(N?)/g, 'curl -sS$1 --fail-with-body')
      const { code, stdout, stderr } = await run('sh', ['-c', commands])
      assert.equal(code, 0, `${path}: ${stdout}${stderr}`)
      assert.ok(stdout.trim().length > 0, path)
      answered++
    }
  }
  assert.ok(answered >= 5, `${answered} blocks`)
})

test('the scoring example tells scores of whole and prefixes, and the schema of another is kept', {
  skip: missing.length > 0 ? `${missing.join(' and ')} not installed` : false
}, async () => {
  const answerOf = async (path: string, part: string): Promise<any> => {
    const example = blocks(path, 'sh').find(block => block.includes(part))!
    return JSON.parse((await run('sh', ['-c', example.slice(example.indexOf('curl'))])).stdout)
  }
  const [scored] = (await answerOf('docs/rewards.md', '/v1/rewards/score')).data
  assert.equal(scored.prefixes.at(-1).reward, scored.reward)
  assert.ok(scored.prefixes.length > 1)
  const { choices } = await answerOf('docs/structured-output.md', 'json_schema')
  assert.deepEqual(Object.keys(JSON.parse(choices[0].message.content)), ['title', 'stars', 'mood'])
})

test('the alignment that the docs show is taken, and the error is what they show', async () => {
  const [alignment] = examples('docs/strategies.md', 'json')
  const { status, json } =
    await postChat(server, { model, messages: review, max_tokens: 8, alignment: JSON.parse(alignment!) })
  assert.equal(status, 200, JSON.stringify(json))
  const [shown] = examples('docs/errors.md', 'json')
  const refused = await postChat(server, { model, messages: review, top_p: 2 })
  assert.deepEqual(refused.json, JSON.parse(shown!))
})

/** Runs a block of TypeScript as a program. */
async function runExample (example: string): Promise<string> {
  // Inside the package, so that it finds the client as a user's file would.
  const directory = mkdtempSync(join(packageRoot, 'dist', 'docs-'))
  try {
    const file = join(directory, 'example.mjs')
    writeFileSync(file, ts.transpile(example, { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext }))
    const { code, stdout, stderr } = await run(process.execPath, [file])
    assert.equal(code, 0, stderr)
    return stdout
  } finally {
    rmSync(directory, { recursive: true })
  }
}

for (const path of ['README.md', 'docs/api.md', 'docs/structured-output.md', 'docs/library.md']) {
  test(`the TypeScript examples of ${path} run`, async () => {
    for (const example of blocks(path, 'ts')) {
      // Other pages go on from the README's client.
      const isWhole = /^import /m.test(example)
      const printed =
        await runExample(isWhole ? example : `${blocks('README.md', 'ts')[0]!.split('const stream')[0]}${example}`)
      assert.ok(!/console.log|stdout/.test(example) || printed.trim().length > 0, example)
      if (path !== 'docs/library.md') continue
      const [fine, dull] = JSON.parse(printed.trim().match(/\[[^[]*\]$/)![0]) as [number, number]
      assert.ok(fine > dull, `${fine} > ${dull}`)
    }
  })
}

test('the Python example answers, or its body does where the package is not installed', async () => {
  const [example] = blocks('README.md', 'python')
  if (spawnSync('python3', ['-c', 'import openai']).status === 0) {
    const { code, stdout, stderr } = await run('python3', ['-c', example!])
    assert.equal(code, 0, stderr)
    assert.ok(stdout.trim().length > 0)
    return
  }
  // What the package sends: its arguments as JSON, extra_body at the top level.
  const messages = JSON.parse(/messages=(\[.*\]),/.exec(example!)![1]!)
  const extra = JSON.parse(/extra_body=(\{.*\}),/.exec(example!)![1]!)
  const { status, json } = await postChat(server, {
    model: /model="(.*)"/.exec(example!)![1],
    messages,
    max_tokens: Number(/max_tokens=(\d+)/.exec(example!)![1]),
    ...extra
  })
  assert.equal(status, 200)
  assert.equal(json['alignment'].strategy, 'token_guidance')
  assert.ok(json['choices'][0].message.content.length > 0)
})

/** A command of the docs as it runs here. */
const runnable = (command: string): string =>
  command.trim().replace('npx fairlead', `"${process.execPath}" dist/fairlead/fairlead.js`)

test('the command-line example shows its candidates and answers', async () => {
  const example = blocks('README.md', 'sh').find(block => block.startsWith('npx fairlead generate'))!
  const { code, stdout, stderr } = await run('sh', ['-c', `${runnable(example)} --max-tokens 12 --seed 1`])
  assert.equal(code, 0, stderr)
  assert.ok(stdout.trim().length > 0)
  assert.match(stderr, /chosen: \d/)
  // Which answers end early follows from how the processor's kernels round.
  const counts = /discarded\s*│\s*(\d+) \/ (\d+) \/ (\d+)/.exec(stderr)!.slice(1).map(Number)
  const [generated, returned, discarded] = counts as [number, number, number]
  assert.ok(returned >= 1 && returned <= 12 && generated > 7 && generated <= 8 * 12, stderr)
  assert.equal(generated, returned + discarded)
})

test('answers are scored and contrasted from the command line', async () => {
  const scored = statements(examples('docs/rewards.md', 'sh')[0]!)[0]!
  const { code, stdout, stderr } = await run('sh', ['-c', `${runnable(scored)} --json`])
  assert.equal(code, 0, stderr)
  const [fine, dull] = stdout.trim().split('\n').map(line => JSON.parse(line).standardized as number)
  assert.ok(fine! > dull!, stdout)
  const contrasted = examples('docs/strategies.md', 'sh').find(block => block.includes('--contrast'))!
  const guided = await run('sh', ['-c', runnable(contrasted)])
  assert.equal(guided.code, 0, guided.stderr)
  assert.ok(guided.stdout.trim().length > 0)
})
