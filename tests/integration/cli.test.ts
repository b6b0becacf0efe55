/** The `fairlead` command on a tiny model: what a person types and reads. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { packageRoot } from '../../src/package-root.js'
import { writeTinyGguf } from '../helpers/tiny-gguf.js'

const folder = mkdtempSync(join(tmpdir(), 'fairlead-cli-'))
after(() => { rmSync(folder, { recursive: true }) })
const model = join(folder, 'tiny.gguf')
writeTinyGguf(model)

function fairlead (...args: string[]): { code: number | null, out: string, err: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(packageRoot, 'dist/src/cli/main.js'), ...args], {
    encoding: 'utf8',
    env: { ...process.env, FAIRLEAD_MODEL: model, FAIRLEAD_CACHE_DIR: folder, FAIRLEAD_DATA_DIR: join(folder, 'data') }
  })
  return { code: status, out: stdout, err: stderr }
}

test('doctor tests every operator, and says which each format uses', () => {
  const plain = fairlead('doctor')
  assert.equal(plain.code, 0, plain.err)
  const lines = [
    /rotated u?int8 rows .* right .* alike/,
    /attention .* right .* alike/,
    /^ {2}i8 +u?int8 rows on a fixed scale, u?int8 rows, rotated u?int8 rows$/m
  ]
  for (const line of lines) assert.match(plain.out, line)

  const { code, out } = fairlead('doctor', '--json', '--threads', '3')
  assert.equal(code, 0)
  const { threads, operators, formats, attentionPassed } = JSON.parse(out) as {
    threads: number
    operators: Array<{ operator: string, error: number }>
    formats: Record<string, string[] | null>
    attentionPassed: boolean
  }
  assert.equal(threads, 3)
  assert.ok(attentionPassed)
  assert.deepEqual(Object.keys(formats), ['i8', 'q8', 'q4', 'exact', 'f32'])
  for (const name of Object.values(formats).flatMap(names => names!)) {
    assert.ok(operators.find(({ operator }) => operator === name)!.error < 0.01, name)
  }

  const unknown = fairlead('doctor', '--model', 'nowhere.gguf', '--port', '0', '--json')
  assert.equal(unknown.code, 1)
  assert.match(unknown.err, /model nowhere: .*nowhere\.gguf/)
  const { findings } = JSON.parse(unknown.out) as { findings: Array<{ check: string, status: string }> }
  assert.deepEqual(findings.filter(({ status }) => status === 'problem').map(({ check }) => check), ['model nowhere'])

  const refused = fairlead('doctor', '--threads', 'many')
  assert.equal(refused.code, 1)
  assert.match(refused.err, /--threads .*1 to 256.*"many"/)
})

test('a reward is fitted from pairs, scores answers and steers', () => {
  const pairs = Array.from({ length: 20 }, (_, index) =>
    JSON.stringify({ prompt: `say ${index}`, chosen: `good ${index} the`, rejected: `bad ${index}` }))
  const train = join(folder, 'pairs.jsonl')
  writeFileSync(train, pairs.join('\n'))
  const rewards = join(folder, 'rewards')

  const fit = fairlead('fit', '--name', 'mine', '--train', train, '--layers', '1', '--out', rewards)
  assert.equal(fit.code, 0, fit.err)
  assert.match(fit.err, /bradley_terry on 16 examples, layer 1, mean/)
  assert.match(fit.err, /control: TF-IDF/)
  const descriptor = JSON.parse(readFileSync(join(rewards, 'mine.json'), 'utf8')) as { name: string, kind: string }
  assert.deepEqual([descriptor.name, descriptor.kind], ['mine', 'head'])

  const score = fairlead('score', '--reward', 'mine', '--rewards-dir', rewards, '--prompt', 'say 3', '--answer',
    'good 3 the', '--answer', 'bad 3', '--json')
  assert.equal(score.code, 0, score.err)
  const [good, bad] =
    score.out.trim().split('\n').map(line => JSON.parse(line) as { answer: string, raw: number, standardized: number })
  assert.deepEqual([good!.answer, bad!.answer], ['good 3 the', 'bad 3'])
  assert.ok(good!.raw > bad!.raw, `the pair was learnt: ${good!.raw} > ${bad!.raw}`)

  const growing = fairlead('score', '--reward', 'mine', '--rewards-dir', rewards, '--prompt', 'say 3', '--answer',
    'good 3 the', '--every', '4', '--json')
  assert.equal(growing.code, 0, growing.err)
  assert.deepEqual(growing.out.trim().split('\n').map(line => (JSON.parse(line) as { answer: string }).answer),
    ['good', 'good 3 the'])

  const ensemble = fairlead('fit', '--name', 'panel', '--train', train, '--layers', '1', '--out', rewards, '--ensemble',
    '2', '--combine', 'uwo', '--penalty', '0.5')
  assert.equal(ensemble.code, 0, ensemble.err)
  assert.match(ensemble.err, /bradley_terry on 16 examples, 2 heads, uwo/)
  const { kind, combine, penalty, scorers } = JSON.parse(readFileSync(join(rewards, 'panel.json'),
    'utf8')) as { kind: string, combine: string, penalty: number, scorers: object[] }
  assert.deepEqual([kind, combine, penalty, scorers.length], ['ensemble', 'uwo', 0.5, 2])

  const foretelling =
    fairlead('fit', '--name', 'foretelling', '--train', train, '--layers', '1', '--out', rewards, '--q-head')
  assert.equal(foretelling.code, 0, foretelling.err)
  assert.match(foretelling.err, /rank correlation .* \S+ ± \S+, held out/)
  const guided = fairlead('generate', 'say 3', '--strategy', 'token_guidance', '--method', 'q_head', '--reward',
    'foretelling', '--rewards-dir', rewards, '--max-tokens', '8', '--seed', '1', '--json')
  assert.equal(guided.code, 0, guided.err)
  assert.ok(Number.isFinite((JSON.parse(guided.out) as {
    result: { choices: Array<{ score: { value: number } }> }
  }).result.choices[0]!.score.value))
  const without = fairlead('generate', 'say 3', '--strategy', 'token_guidance', '--method', 'q_head', '--reward',
    'mine', '--rewards-dir', rewards)
  assert.match(without.err, /"mine".*next_token.*outcome, prefix/)

  assert.equal(fairlead('fit', '--name', 'broad', '--train', train, '--layers', '1', '--directions', '3').code, 0)
  const own = join(folder, 'own.jsonl')
  writeFileSync(own, pairs.slice(0, 4).join('\n'))
  const adapted = fairlead('adapt', '--reward', 'broad', '--train', own, '--name', 'own')
  assert.equal(adapted.code, 0, adapted.err)
  assert.match(adapted.err, /adapted [01]\.\d\d, broad itself [01]\.\d\d/)
  assert.equal(fairlead('score', '--reward', 'own', '--prompt', 'say 3', '--answer', 'good 3 the').code, 0)

  const generated = fairlead('generate', 'say 3', '--strategy', 'best_of_n', '--num-candidates', '4', '--reward',
    'mine', '--rewards-dir', rewards, '--max-tokens', '8', '--seed', '1', '--json')
  assert.equal(generated.code, 0, generated.err)
  const { result, usage } = JSON.parse(generated.out) as {
    result: { choices: Array<{ score: { value: number } }> }, usage: { generatedTokens: number }
  }
  assert.equal(result.choices.length, 1)
  assert.ok(Number.isFinite(result.choices[0]!.score.value))
  assert.ok(usage.generatedTokens > 8)
})

test('generate shows every candidate, the choice and what it cost', () => {
  const { code, out, err } = fairlead('generate', 'say 3', '--strategy', 'best_of_n', '--num-candidates', '3',
    '--reward', 'length', '--max-tokens', '4', '--seed', '1')
  assert.equal(code, 0, err)
  assert.ok(out.trim().length > 0)
  assert.equal(err.match(/^ +[012] +-?\d+\.\d\d/gm)?.length, 3)
  assert.match(err, /chosen: [012]\n/)
  assert.match(err, /tokens generated \/ returned \/ discarded/)
})

test('generate --trace draws the steps of a search and its tree; lists and objects are given as JSON', () => {
  const { code, out, err } = fairlead('generate', 'say 3', '--strategy', 'beam_search', '--reward', 'length', '--step',
    '{"tokens": 2}', '--num-beams', '2', '--num-children', '2', '--max-tokens', '4', '--seed', '1', '--trace')
  assert.equal(code, 0, err)
  assert.ok(out.trim().length > 0)
  assert.match(err, /^step 1: kept \d+\.? \(.*\), \d+\.? \(.*\); pruned /m)
  assert.match(err, /^prompt\n├─ 0 /m)
  assert.equal(err.match(/◀ chosen/g)?.length, 1)
})

test('bench prints JSON of every scenario and batch size, and of operators if asked', () => {
  const { code, out, err } = fairlead('bench', '--batch', '1,2', '--context', '16', '--prompts', '64', '--candidates',
    '64', '--tokens', '4', '--repeat', '1', '--operators', '--json')
  assert.equal(code, 0, err)
  const { rows, operators } = JSON.parse(out) as {
    rows: Array<{ scenario: string, what: string, batch: number, value: { median: number }, hostShare?: number }>,
    operators: Array<{ graph: string, operator: string, share: number }>
  }
  assert.deepEqual(rows.filter(row => row.scenario === 'decode').map(row => row.batch), [1, 2])
  assert.deepEqual([...new Set(rows.map(row => row.scenario))],
    ['decode', 'prefill', 'requests', 'fan-out', 'mixed', 'prefix-hit', 'drafts', 'journal'])
  // Without a journal nothing of it takes any time.
  const off = 'recorder and writer without one, of the time'
  for (const { what, value: { median } } of rows) assert.ok(what === off ? median === 0 : median > 0, what)
  const shares = rows.flatMap(({ hostShare }) => hostShare ?? [])
  assert.ok(shares.length > 0 && shares.every(share => share > 0 && share < 1), String(shares))
  assert.deepEqual(rows.filter(row => row.scenario === 'fan-out').map(row => row.what.replace(/, .*/, '')),
    ['prompt 64 stored once', 'prompt 64 stored apart', 'prompt 64: KV of a candidate beside the prompt'])
  assert.ok(operators.some(({ graph, operator, share }) =>
    graph === '0 private, 1 shared' && operator === 'GroupQueryAttention' && share > 0))
})

test('serve writes one line for a request, with its id, and ends when told to', async () => {
  const child = spawn(process.execPath,
    [join(packageRoot, 'dist/src/cli/main.js'), 'serve', '--port', '0', '--api-keys', 'a-key-of-some-length'],
    { env: { ...process.env, FAIRLEAD_MODEL: model, FAIRLEAD_CACHE_DIR: folder, FAIRLEAD_DATA_DIR: folder } })
  const ended = once(child, 'exit')
  let [log, said] = ['', '']
  child.stdout.on('data', data => { log += String(data) })
  const ready = new Promise<void>(resolve => {
    child.stderr.on('data', data => {
      said += String(data)
      if (/^ready$/m.test(said)) resolve()
    })
  })
  await Promise.race([ready, ended.then(() => { throw new Error(said) })])
  const address = /listening on (\S+)/.exec(said)![1]!
  const headers = {
    'content-type': 'application/json', authorization: 'Bearer a-key-of-some-length', 'x-request-id': 'mine'
  }
  const body =
    JSON.stringify({ model: 'tiny', messages: [{ role: 'user', content: 'hi' }], max_tokens: 2, stream: true })
  await (await fetch(`${address}/v1/chat/completions`, { method: 'POST', headers, body })).text()
  await fetch(`${address}/nowhere`)
  child.kill('SIGTERM')
  assert.deepEqual(await ended, [0, null], said)
  const lines =
    log.trim().split('\n').map(line => JSON.parse(line) as Record<string, unknown>).filter(line => 'method' in line)
  assert.deepEqual(lines.map(({ method, url, status, caller }) => [method, url, status, caller]),
    [['POST', '/v1/chat/completions', 200, 'api-keys 7602afe257e4bd46'], ['GET', '/nowhere', 404, undefined]])
  assert.deepEqual([lines[0]!['reqId'], typeof lines[0]!['ms']], ['mine', 'number'])
})

test('pull prints the path of a file that is there', () => {
  assert.equal(fairlead('pull', model).out.trim(), model)
})

test('help lists every command and its options, and commands without a server offer none of its settings', () => {
  const overview = fairlead('--help')
  assert.equal(overview.code, 0)
  for (const name of ['serve', 'generate', 'score', 'fit', 'adapt', 'pull', 'bench']) {
    assert.match(overview.out, new RegExp(`^  ${name} `, 'm'))
    const { code, out } = fairlead(name, '--help')
    assert.equal(code, 0)
    assert.match(out, new RegExp(`fairlead ${name} `))
    for (const line of out.match(/^ {2}--.*$/gm) ?? []) assert.match(line, /^ {2}--[a-z0-9-]+(?: …)? {2,}\S/)
    assert.equal(out.includes('--port'), name === 'serve')
    assert.equal(out.includes('--threads'), name !== 'pull')
  }
})

/** Refused command lines: the exit code, and what the error's line names (option, value, alternatives). */
const mistakes: ReadonlyArray<{ args: string[], code: number, names: readonly string[] }> = [
  { args: ['genrate'], code: 2, names: ['genrate', 'generate'] },
  { args: ['generate', '--rewrd', 'x'], code: 2, names: ['--rewrd', '--reward'] },
  { args: ['generate', '--max-tokens'], code: 2, names: ['--max-tokens'] },
  { args: ['bench', 'extra'], code: 2, names: ['"extra"'] },
  {
    args: ['bench', '--scenario', 'decode,sleep'],
    code: 1,
    names: ['--scenario', 'decode, prefill, requests, fan-out, mixed, prefix-hit, drafts', '"sleep"']
  },
  { args: ['bench', '--context', '16', '--common', '15'], code: 1, names: ['--common', '--context', '14', '15'] },
  { args: ['bench', '--batch', '0'], code: 1, names: ['--batch', '1', '"0"'] },
  {
    args: ['generate', 'hi', '--strategy', 'beam_search', '--reward', 'length', '--step', '{tokens: 2}'],
    code: 1,
    names: ['--step', 'JSON']
  },
  { args: ['generate', 'hi', '--trace', '--json'], code: 1, names: ['--trace', '--json'] },
  { args: ['generate'], code: 1, names: ['prompt'] },
  { args: ['generate', 'hi', '--max-tokens', '0'], code: 1, names: ['--max-tokens', 'integer', '1', '"0"'] },
  {
    args: ['generate', 'hi', '--strategy', 'best_of_n', '--reward', 'length', '--num-candidates', '129'],
    code: 1,
    names: ['alignment.num_candidates', '1', '128', '129']
  },
  {
    args: ['generate', 'hi', '--strategy', 'best_of_n', '--reward', 'nope'],
    code: 1,
    names: ['"nope"', 'length']
  },
  { args: ['score', '--prompt', 'hi', '--answer', 'ho'], code: 1, names: ['--reward'] },
  { args: ['score', '--reward', 'length', '--file', 'nothing.jsonl'], code: 1, names: ['nothing.jsonl'] },
  {
    args: ['score', '--reward', 'helpful', '--prompt', 'hi', '--answer', 'ho'],
    code: 1,
    names: ['helpful', '576', 'tiny']
  },
  { args: ['fit', '--name', 'x', '--train', 'nothing.jsonl', '--out', 'x'], code: 1, names: ['nothing.jsonl'] },
  {
    args: ['score', '--reward', 'length', '--prompt', 'hi', '--answer', 'ho', '--every', '2', '--member', 'outcome'],
    code: 1,
    names: ['--every', 'prefix', '2']
  },
  { args: ['fit', '--name', 'x', '--feedback', 'none'], code: 1, names: ['feedback.dataset', '"none"'] },
  {
    args: ['adapt', '--reward', 'length', '--train', 'nothing.jsonl', '--name', 'x'],
    code: 1,
    names: ['nothing.jsonl']
  },
  {
    args: ['fit', '--name', 'x', '--train', 'nothing.jsonl', '--kind', 'pairs'],
    code: 1,
    names: ['--kind', '--feedback', '"pairs"']
  },
  {
    args: ['fit', '--name', 'x', '--train', 'nothing.jsonl', '--out', 'x', '--combine', 'mean'],
    code: 1,
    names: ['--combine', '--ensemble', '"mean"']
  },
  {
    args: ['fit', '--name', 'x', '--train', 'nothing.jsonl', '--out', 'x', '--ensemble', '5', '--combine', 'median'],
    code: 1,
    names: ['--combine', 'mean, min, uwo, lcb', '"median"']
  },
  {
    args: ['fit', '--name', 'x', '--train', 'nothing.jsonl', '--q-head', '--ensemble', '5'],
    code: 1,
    names: ['--q-head', '--ensemble']
  },
  {
    args: ['fit', '--name', 'x', '--train', 'nothing.jsonl', '--q-head', '--pooling', 'last'],
    code: 1,
    names: ['--q-head', '--pooling', '"last"']
  },
  {
    args: ['fit', '--name', 'x', '--train', 'nothing.jsonl', '--q-head', '--outcome-only'],
    code: 1,
    names: ['--q-head', '--outcome-only']
  },
  { args: ['pull', 'gpt-9'], code: 1, names: ['"gpt-9"', 'smollm2-135m'] },
  { args: ['serve', '--port', '70000'], code: 1, names: ['--port', '0', '65535', '"70000"'] }
]

for (const { args, code, names } of mistakes) {
  test(`fairlead ${args.join(' ')} says what is wrong in a line`, () => {
    const result = fairlead(...args)
    assert.equal(result.code, code)
    const line = result.err.trim().split('\n').find(one => one.startsWith('fairlead'))
    for (const name of names) assert.ok(line?.includes(name), `${name}: ${result.err}`)
    assert.ok(!result.err.includes('    at '), 'no stack trace')
  })
}
