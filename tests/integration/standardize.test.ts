/** `fairlead standardize` on tiny models: a reward of one's own gets the statistics of the policy's answers. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { packageRoot } from '../../src/package-root.js'
import { writeTinyCheckpoint } from '../helpers/tiny-checkpoint.js'
import { writeTinyGguf } from '../helpers/tiny-gguf.js'

const folder = mkdtempSync(join(tmpdir(), 'fairlead-standardize-'))
after(() => { rmSync(folder, { recursive: true }) })
const [model, rewards] = [join(folder, 'tiny.gguf'), join(folder, 'rewards')]
writeTinyGguf(model)
writeTinyCheckpoint(join(folder, 'judge'),
  { family: 'llama', head: 'score', config: { max_position_embeddings: 2048 } })
mkdirSync(rewards)

function fairlead (...args: string[]): { code: number | null, out: string, err: string } {
  const {
    status, stdout, stderr
  } = spawnSync(process.execPath, [join(packageRoot, 'dist/src/cli/main.js'), ...args, '--rewards-dir', rewards], {
    encoding: 'utf8',
    env: { ...process.env, FAIRLEAD_MODEL: model, FAIRLEAD_CACHE_DIR: folder, FAIRLEAD_DATA_DIR: join(folder, 'data') }
  })
  return { code: status, out: stdout, err: stderr }
}

test('raw scores of the pool are measured per member, written into the file, and used from then on', () => {
  const file = join(rewards, 'judge.json')
  const normalization = { mean: 0, std: 1, pool: 'none yet' }
  const given = {
    name: 'judge',
    description: 'x',
    kind: 'classifier',
    model: '../judge',
    format: 'f32',
    members: { outcome: { normalization }, prefix: { normalization } }
  }
  writeFileSync(file, JSON.stringify(given))
  const { code, out, err } = fairlead('standardize', '--reward', 'judge')
  assert.equal(code, 0, err)
  assert.equal(out.trim(), file)
  const { members, ...others } = JSON.parse(readFileSync(file,
    'utf8')) as { members: Record<string, { normalization: { mean: number, std: number, pool: string } }> }
  const { members: _, ...unchanged } = given
  assert.deepEqual(others, unchanged)
  const { outcome, prefix } = members
  assert.match(outcome!.normalization.pool, /^\d+ answers of tiny \(i8\) to the 40 pool prompts/)
  assert.match(prefix!.normalization.pool, /^25, 50, 75, 100 % of \d+ answers/)
  for (const { normalization: { mean, std } } of [outcome!, prefix!]) {
    assert.ok(Number.isFinite(mean) && std > 0 && std !== 1, `${mean} ± ${std}`)
  }
  assert.notEqual(outcome!.normalization.mean, prefix!.normalization.mean)
  const score = fairlead('score', '--reward', 'judge', '--prompt', 'say', '--answer', 'the end', '--json')
  assert.equal(score.code, 0, score.err)
  const { raw, standardized } = JSON.parse(score.out) as { raw: number, standardized: number }
  assert.ok(Math.abs(standardized - (raw - outcome!.normalization.mean) / outcome!.normalization.std) < 1e-6)
})

test('rewards in the box, and names that no reward has, are refused', () => {
  for (const [name, reason] of [['length', /"length"/],
    ['nothing', /reward "nothing" does not exist/]] as const) {
    const { code, err } = fairlead('standardize', '--reward', name)
    assert.equal(code, 1)
    assert.match(err, reason)
  }
})
