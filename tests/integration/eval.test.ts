/**
 * `fairlead eval` on a tiny model: pools and runs that are recorded once, a report, and what is left when it is
 * interrupted.
 */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { packageRoot } from '../../src/package-root.js'
import { writeTinyGguf } from '../helpers/tiny-gguf.js'

const folder = mkdtempSync(join(tmpdir(), 'fairlead-eval-'))
after(() => { rmSync(folder, { recursive: true }) })
const model = join(folder, 'tiny.gguf')
writeTinyGguf(model)
const prompts = join(folder, 'prompts.jsonl')
writeFileSync(prompts, Array.from({ length: 60 }, (_, index) => JSON.stringify({ prompt: `say ${index}` })).join('\n'))

// A judge with many grades that shares nothing with the reward: which letters an answer has.
const rewards = join(folder, 'rewards')
mkdirSync(rewards)
const letters = [...'abcdefghijklmnop'].map(letter => ({ kind: 'rule', rule: 'regex', pattern: letter }))
writeFileSync(join(rewards, 'letters.json'), JSON.stringify({
  name: 'letters',
  description: 'has letters',
  kind: 'ensemble',
  combine: 'weighted',
  weights: letters.map((_, index) => 1 + index / 7),
  scorers: letters
}))

const env = { ...process.env, FAIRLEAD_MODEL: model, FAIRLEAD_CACHE_DIR: folder, FAIRLEAD_REWARDS_DIR: rewards }
const program = [join(packageRoot, 'dist/src/cli/main.js'), 'eval']
const length = ['--reward', 'length', '--weight', '1', '--judge', 'letters', '--prompts', prompts, '--candidates', '6',
  '--max-tokens', '6']

function run (...args: string[]): { code: number | null, out: string, err: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [...program, ...args], { encoding: 'utf8', env })
  return { code: status, out: stdout, err: stderr }
}

test('a reward is evaluated, with plots, figures and the over-optimisation study; what was drawn is used again', () => {
  const out = join(folder, 'whole')
  const first = run(...length, '--limit', '2', '--timed', '1', '--wish', 'Say much.', '--out', out)
  assert.equal(first.code, 0, first.err)
  const report = readFileSync(join(out, 'length_1', 'REPORT.md'), 'utf8')
  assert.equal(first.out.trim(), join(out, 'length_1', 'REPORT.md'))
  for (const text of ['## The judge', '## Guidance against best-of-n at equal time', '## Best-of-n',
    '## Guidance at equal KL', 'look-ahead, fitted on prefixes 20', '## Every strategy', 'beam_search 4×4',
    '“Say much.”', 'oracle', '### small fits', 'lcb']) assert.ok(report.includes(text), text)
  for (const [, plot] of report.matchAll(/\]\((plots\/[^)]+)\)/g)) {
    assert.ok(readFileSync(join(out, 'length_1', plot!), 'utf8').startsWith('<svg'), plot)
  }
  const figures = JSON.parse(readFileSync(join(out, 'length_1', 'report.json'), 'utf8'))
  assert.equal(figures.finished, true)
  assert.deepEqual(figures.analysis.bestOfN.map(({ n }: { n: number }) => n), [1, 2, 4, 6])
  // Six answers of six tokens each, chosen by their length: what is best can only get longer.
  assert.ok(figures.analysis.bestOfN.at(-1).proxy.value >= 0)
  assert.deepEqual(figures.panel.map(({ label }: { label: string }) => label), ['single', 'mean', 'min', 'uwo', 'lcb'])

  // Times are kept apart from answers.
  const kept = join(out, readdirSync(out).find(name => name.startsWith('length_1-'))!)
  const times = (): string => readFileSync(join(kept, 'timings.jsonl'), 'utf8')
  const timed = times()
  assert.equal(figures.analysis.timedPrompts, 1)
  assert.equal(timed.split('\n').length, figures.analysis.ways.length + 2)
  assert.ok(figures.analysis.ways.every(({ time }: { time: { value: number } }) => time.value > 0))

  const pool = readFileSync(join(out, 'plain.jsonl'), 'utf8')
  const more = run(...length, '--limit', '3', '--timed', '1', '--wish', 'Say much.', '--skip-panel', '--report',
    join(out, 'elsewhere'), '--out', out)
  assert.equal(more.code, 0, more.err)
  const grown = readFileSync(join(out, 'plain.jsonl'), 'utf8')
  assert.ok(grown.startsWith(pool))
  assert.equal(grown.split('\n').length, pool.split('\n').length + 1)
  assert.equal(times(), timed)
  assert.equal(more.out.trim(), join(out, 'elsewhere', 'REPORT.md'))
  assert.equal(run(...length, '--limit', '3', '--timed', '1', '--retime', '--wish', 'Say much.', '--out', out).code, 0)
  assert.notEqual(times(), timed)
  assert.equal(times().split('\n').length, timed.split('\n').length)
  // One prompt more moved those that small fits are trained on: they are fitted anew.
  assert.equal(readdirSync(kept).filter(name => name.startsWith('small-fits-')).length, 2)

  // Other conditions are not mixed with what is there.
  const other = run(...length.slice(0, -1), '5', '--limit', '2', '--out', out)
  assert.equal(other.code, 1)
  assert.match(other.err, /was recorded with another maxTokens: 6, now 5; name another folder with --out/)
})

test('verified answers are drawn until one passes, and reported beside a retry loop', () => {
  const out = join(folder, 'verified')
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(packageRoot, 'dist/src/cli/main.js'),
    'eval-verified', '--limit', '6', '--candidates', '4', '--max-tokens', '8', '--timed', '2', '--out', out],
  { encoding: 'utf8', env })
  assert.equal(status, 0, stderr)
  assert.equal(stdout.trim(), join(out, 'REPORT.md'))
  const { passAt, ways, kinds } = JSON.parse(readFileSync(join(out, 'report.json'), 'utf8'))
  assert.deepEqual(passAt.map(({ n }: { n: number }) => n), [1, 2, 4])
  assert.deepEqual(ways.map(({ label }: { label: string }) => label),
    ['retry loop', 'best_of_n, 4 at a time', 'eagerly', 'eagerly, JSON by grammar', 'beam_search 4×4'])
  assert.equal(kinds.length, 6)
  // Seeds and order are the pool's: it passes where one of the pool's answers does.
  assert.equal(ways[1].passed.value, passAt.at(-1).rate.value)
  assert.ok(ways.every(({ time }: { time: { value: number } }) => time.value > 0))
})

test('interrupted, it leaves a report of the prompts that were done', async () => {
  const out = join(folder, 'part')
  const child = spawn(process.execPath, [...program, ...length, '--limit', '60', '--skip-panel', '--out', out],
    { env, stdio: ['ignore', 'pipe', 'pipe'] })
  let [said, printed, interrupted] = ['', '', false]
  child.stdout.on('data', chunk => { printed += String(chunk) })
  child.stderr.on('data', chunk => {
    said += String(chunk)
    // A tenth of the prompts are done.
    if (!interrupted && said.includes('prompts 6/60')) interrupted = child.kill('SIGINT')
  })
  const [code] = await once(child, 'exit')
  assert.equal(code, 0, said)
  assert.match(said, /^interrupted: /m)
  assert.ok(existsSync(printed.trim()))
  assert.match(readFileSync(printed.trim(), 'utf8'), /\*\*Partial\*\*: interrupted; \d+ prompts are in it/)
})

test('what cannot be evaluated is refused by option', () => {
  for (const [args, message] of [
    [['--reward', 'length'], /--prompts .*length/],
    [['--reward', 'length', '--prompts', 'reviews'],
      /--judge .*length.*\(instructions, sentiment\)/],
    [['--reward', 'positive', '--judge', 'positive'],
      /--judge .*; got "positive"/],
    [['--weight', '0'], /--weight .*; got "0"/],
    [['--limit', '201'], /--limit .*200.*reviews; got "201"/],
    [['--timed', '41', '--limit', '40'], /--timed must be at most --limit, 40; got "41"/],
    [['--candidates', '1'], /--candidates must be an integer of at least 2; got "1"/],
    [['--reward', 'length', '--prompts', prompts, '--judge', 'nobody', '--limit', '1', '--out', join(folder, 'none')],
      /"nobody".*length/]
  ] as const) {
    const { code, err } = run(...args)
    assert.equal(code, 1, err)
    assert.match(err, message)
  }
})
