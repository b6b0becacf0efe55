/**
 * The load test on a tiny model: a server that it starts, drives and stops, the report, and what is left when it is
 * interrupted.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { packageRoot } from '../../src/package-root.js'
import { writeTinyGguf } from '../helpers/tiny-gguf.js'

const folder = mkdtempSync(join(tmpdir(), 'fairlead-loadtest-'))
after(() => { rmSync(folder, { recursive: true }) })
const model = join(folder, 'tiny.gguf')
writeTinyGguf(model)

/** Runs it to its end. @param interruptAt sends SIGINT once standard error has this text */
async function loadtest (
  args: readonly string[], interruptAt?: string
): Promise<{ code: number, out: string, err: string }> {
  const child = spawn(process.execPath, [join(packageRoot, 'dist/bench/load/main.js'), ...args],
    { env: { ...process.env, FAIRLEAD_MODEL: model, FAIRLEAD_CACHE_DIR: folder }, stdio: ['ignore', 'pipe', 'pipe'] })
  let [out, err, interrupted] = ['', '', false]
  child.stdout.on('data', chunk => { out += String(chunk) })
  child.stderr.on('data', chunk => {
    err += String(chunk)
    if (interruptAt !== undefined && !interrupted && err.includes(interruptAt)) interrupted = child.kill('SIGINT')
  })
  const [code] = await once(child, 'close') as [number]
  return { code, out, err }
}

const short = ['--scenarios', 'chat,streaming', '--concurrency', '1,4', '--requests', '4', '--max-tokens', '4',
  '--open', '20', '--skip-ablations']
const reportIn = (out: string): any => JSON.parse(readFileSync(join(out, 'report.json'), 'utf8'))

test('every load is answered without errors and reported; an earlier report is compared with', async () => {
  const out = join(folder, 'whole')
  const { code, err } = await loadtest([...short, '--out', out])
  assert.equal(code, 0, err)
  const { finished, measurements } = reportIn(out)
  assert.equal(finished, true)
  assert.deepEqual(measurements.map((one: any) => `${one.scenario} ${one.transport} ${one.loop}`), [
    'chat http closed', 'chat http closed', 'streaming http closed', 'streaming http closed',
    'streaming websocket closed', 'streaming websocket closed', 'streaming http open', 'streaming websocket open'
  ])
  for (const one of measurements) {
    assert.equal(one.errors, 0, JSON.stringify(one))
    // All answers have four tokens.
    assert.ok(Math.abs(one.outputTokensPerSecond / one.requestsPerSecond - 4) < 1e-6)
    if (one.loop === 'closed') assert.equal(one.requests, one.level === 1 ? 2 : 8)
    assert.equal(one.ttftMs === null, one.scenario === 'chat')
  }
  const report = readFileSync(join(out, 'REPORT.md'), 'utf8')
  for (const [, plot] of report.matchAll(/\]\((plots\/[^)]+)\)/g)) {
    assert.ok(readFileSync(join(out, plot!), 'utf8').startsWith('<svg'), plot)
  }

  const interrupted =
    await loadtest([...short, '--out', join(folder, 'part'), '--compare', join(out, 'report.json')], 'loads 2/8')
  assert.equal(interrupted.code, 0, interrupted.err)
  assert.equal(reportIn(join(folder, 'part')).finished, false)
  const partial = readFileSync(join(folder, 'part', 'REPORT.md'), 'utf8')
  assert.match(partial, /\*\*Partial\*\*/)
  assert.match(partial, /\| chat by http, 1 at once \| \d/)
})

test('servers with something off are compared with, and the engine alone', async () => {
  const out = join(folder, 'ablations')
  const { code, out: said, err } = await loadtest(['--scenarios', 'streaming', '--concurrency', '2', '--requests', '2',
    '--max-tokens', '4', '--open', '90', '--out', out])
  assert.equal(code, 0, err)
  const { measurements, engineTurns } = reportIn(out)
  assert.deepEqual([...new Set(measurements.map((one: any) => one.configuration))], ['default', 'batching off'])
  assert.deepEqual(engineTurns.map((turn: any) => [turn.level, turn.engine > 0,
    turn.served.map((one: any) => one.transport)]), Array.from({ length: 3 }, () => [2, true, ['http', 'websocket']]))
  assert.match(said, /^2 by websocket: engine \d+ tokens\/s/m)
  assert.match(readFileSync(join(out, 'REPORT.md'), 'utf8'), /\| 2 by http \|/)
})

test('what cannot be driven is refused by option', async () => {
  for (const [args, message] of [
    [['--url', 'http://example.org'], /--url must be of this machine/],
    [['--scenarios', 'chats'], /--scenarios .*chat, streaming, .*; got "chats"/],
    [['--slo', 'tpot=fast'], /--slo .*ttft=MS, tpot=MS.*; got "tpot=fast"/],
    [['--compare', model], /--compare .*tiny.gguf is no report/]
  ] as const) {
    const { code, err } = await loadtest(args)
    assert.equal(code, 2)
    assert.match(err, message)
  }
})
