/** The files of examples/ against a server with the default model, as their readers run them. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import ts from 'typescript'
import { packageRoot } from '../../src/package-root.js'
import type { Server } from '../../src/server.js'
import { postChat, readyServer } from '../helpers/server.js'

const folder = join(packageRoot, 'examples')
const scratch = mkdtempSync(join(tmpdir(), 'fairlead-examples-'))
const rewards = join(scratch, 'rewards')
/** Inside the package, so that programs find it as a user's file would. */
const compiled = mkdtempSync(join(packageRoot, 'dist', 'examples-'))

/** A reward model's server that prefers long answers. */
const scorer = createServer((request, response) => {
  let text = ''
  request.on('data', chunk => { text += String(chunk) }).on('end', () => {
    const { messages } = JSON.parse(text) as { messages: Array<{ content: string }> }
    response.end(JSON.stringify({ data: [{ index: 0, data: [messages.at(-1)!.content.length] }] }))
  })
})
let server: Server

before(async () => {
  await once(scorer.listen(0, '127.0.0.1'), 'listening')
  const origin = `http://127.0.0.1:${(scorer.address() as AddressInfo).port}`
  const skywork = readFileSync(join(folder, 'rewards/skywork.json'), 'utf8')
  mkdirSync(rewards)
  writeFileSync(join(rewards, 'skywork.json'), skywork.replace('http://127.0.0.1:8001', origin))
  server = await readyServer({
    rewardsDir: rewards, remoteScorers: origin, dataDir: join(scratch, 'data'), corsOrigins: 'null'
  })
})
after(async () => {
  await server.close()
  scorer.close()
  for (const one of [scratch, compiled]) rmSync(one, { recursive: true })
})

/** Runs a command while the server, in this process, answers it. @returns what it prints */
async function run (command: string, ...args: readonly string[]): Promise<string> {
  const child = spawn(command, args, {
    cwd: packageRoot, env: { ...process.env, FAIRLEAD_URL: server.address, FAIRLEAD_DATA_DIR: join(scratch, 'own') }
  })
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', chunk => { stdout += String(chunk) })
  child.stderr.on('data', chunk => { stderr += String(chunk) })
  const [code] = await once(child, 'close') as [number | null]
  assert.equal(code, 0, stderr)
  return stdout
}

function runTypeScript (name: string): Promise<string> {
  const file = join(compiled, `${name}.mjs`)
  writeFileSync(file, ts.transpile(readFileSync(join(folder, 'ts', `${name}.ts`), 'utf8'),
    { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext }))
  return run(process.execPath, file)
}

/** Why a Python example is not run here, if so. */
const without = (module: string): string | false =>
  spawnSync('python3', ['-c', `import ${module}`]).status === 0 ? false : `Python has no ${module}`

test('every example has at most 60 lines, and its place in the table', () => {
  const table = readFileSync(join(folder, 'README.md'), 'utf8')
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(name => /\/.*\./.test(name))
  assert.ok(files.length >= 9)
  for (const file of files) {
    assert.ok(readFileSync(join(folder, file), 'utf8').split('\n').length <= 61, file)
    assert.ok(table.includes(`](${file})`), file)
  }
})

test('json-schema-best-of-n prints an answer that fits', async () => {
  assert.match(await runTypeScript('json-schema-best-of-n'), /stars: [1-5],\s+verdict: '(see|wait for|skip) it'[^]*drawn: \d+/)
})

test('live-candidates prints every candidate and the choice', async () => {
  const printed = await runTypeScript('live-candidates')
  assert.equal(printed.match(/^candidate \d {2}-?\d+\.\d\d {2}\S/gm)?.length, 6)
  assert.match(printed, /candidate_indices/)
})

test('in-process fits and steers without a server', async () => {
  assert.match(await runTypeScript('in-process'), /fitted addresses_you on 30 pairs\nplain: .+[^]*steered: .+/)
})

test('fit_from_csv fits, prints its accuracy beside the controls and steers', { skip: without('json') }, async () => {
  const csv = join(scratch, 'pairs.csv')
  const rows = Array.from({ length: 25 }, (_, index) =>
    `Tell me about thing ${index}.,"You will like thing ${index}: try it.",The subject has been documented at length.`)
  writeFileSync(csv, `\uFEFF${['prompt,chosen,rejected', ...rows].join('\r\n')}`)
  const printed = await run('python3', join(folder, 'python/fit_from_csv.py'), csv)
  assert.match(printed, /^pair_accuracy [01]\.\d\d ± \d\.\d\d on 5 held-out pairs\n( {2}\w+: \d\.\d\d\n){4}\n\S/)
})

test('best_of_n_skywork asks for what its reward model prefers', async () => {
  const { json } = await postChat(server, {
    model: 'smollm2-135m',
    messages: [{ role: 'user', content: 'How do I sharpen a kitchen knife?' }],
    max_tokens: 24,
    seed: 1,
    alignment: { strategy: 'best_of_n', num_candidates: 4, reward: 'skywork', return_candidates: true }
  })
  const { candidates } = json['alignment'] as { candidates: Array<{ reward: number, text: string }> }
  assert.equal(json['choices'][0].alignment.reward, Math.max(...candidates.map(({ reward }) => reward)))
  for (const { reward, text } of candidates) assert.equal(reward, text.length)
  if (without('openai') === false) {
    assert.match(await run('python3', join(folder, 'python/best_of_n_skywork.py')), /^reward: \d+/m)
  }
})

test('the page is allowed to ask, and its script is one', async () => {
  const preflight = await fetch(`${server.address}/v1/chat/completions`, {
    method: 'OPTIONS',
    headers: {
      origin: 'null', 'access-control-request-method': 'POST', 'access-control-request-headers': 'content-type'
    }
  })
  assert.equal(preflight.headers.get('access-control-allow-origin'), 'null')
  const [, script] = /<script type="module">([^]*)<\/script>/.exec(
    readFileSync(join(folder, 'browser/minimal.html'), 'utf8'))!
  const { diagnostics } = ts.transpileModule(script!, { reportDiagnostics: true })
  assert.deepEqual(diagnostics, [])
})
