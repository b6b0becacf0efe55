import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { RequestError } from '../../../src/errors.js'
import { loadRewards, parseRewardFamily } from '../../../src/rewards/descriptor.js'
import { uniform } from '../../../src/statistics/random.js'
import { mutateJson } from '../../helpers/hostile-files.js'

const directory = mkdtempSync(join(tmpdir(), 'fairlead-descriptors-'))
after(() => { rmSync(directory, { recursive: true }) })

const normalization = { mean: 1, std: 2, pool: 'a pool' }
const members = { outcome: { normalization }, prefix: { normalization } }
const naming = { name: 'kind', description: 'Kind answers.' }
const rule = { kind: 'rule', rule: 'length', members }
/** One of many kinds: a mutation changes one field of one. */
const descriptors = [
  {
    ...naming,
    kind: 'head',
    members,
    policy: { id: 'toy', weightsSha256: '0'.repeat(64), format: 'f32' },
    layer: 2,
    pooling: 'mean',
    weights: [1, 2, 3],
    bias: 0.5,
    directions: [[1, 2, 3]]
  },
  { ...naming, kind: 'rule', rule: 'regex', pattern: '\\?\\s*$' },
  { ...naming, kind: 'rule', rule: 'json_schema', schema: { type: 'object', properties: { a: { type: 'string' } } } },
  { ...naming, kind: 'rule', rule: 'words', words: ['a', 'b'] },
  { ...naming, kind: 'ensemble', combine: 'mean', scorers: [{ ...rule }, { ...rule, rule: 'json' }] },
  { ...naming, kind: 'remote', url: 'http://127.0.0.1:8001/score', format: 'plain', members },
  { ...naming, kind: 'classifier', model: 'a', members },
  { ...naming, kind: 'process', model: 'a', steps: 'qwen', members },
  { ...naming, kind: 'log_ratio', model: 'a', members },
  { ...naming, kind: 'onnx', model: 'a.onnx', members }
]

test('a descriptor with one odd value is read, or refused with its file and in few words', () => {
  let refused = 0
  for (let seed = 0; seed < 600; seed++) {
    const random = uniform(seed)
    const text = mutateJson(descriptors[seed % descriptors.length], random)
    try {
      parseRewardFamily(text, 'odd.json')
    } catch (error) {
      assert.ok(error instanceof RequestError, `seed ${seed}: ${String(error)}`)
      assert.match(error.message, /^reward odd\.json: /)
      assert.ok(error.message.length < 2000, `seed ${seed}: ${error.message.length} characters`)
      refused++
    }
  }
  assert.ok(refused > 200, String(refused))
})

test('a descriptor that is no file, goes in a circle, is not UTF-8 or too deep is refused by its name', async () => {
  const cases: ReadonlyArray<readonly [put: (path: string) => void, reason: RegExp]> = [
    [path => { symlinkSync('/dev/zero', path) }, /not a regular file/],
    [path => { symlinkSync(path, path) }, /ELOOP/],
    [path => { mkdirSync(path) }, /not a regular file/],
    [path => { writeFileSync(path, Buffer.from('{"name":"se\u00F1or"}', 'latin1')) }, /odd\.json:1: must be UTF-8/],
    [path => { writeFileSync(path, `{"name":${'['.repeat(50_000)}${']'.repeat(50_000)}}`) }, /nested more than 64/],
    [path => { writeFileSync(path, '[1]') }, /must contain one JSON object/]
  ]
  for (const [index, [put, reason]] of cases.entries()) {
    const folder = join(directory, String(index))
    mkdirSync(folder)
    put(join(folder, 'odd.json'))
    await assert.rejects(loadRewards([folder]), (error: unknown) => error instanceof RequestError &&
      error.message.includes('odd.json') && reason.test(error.message), String(reason))
  }
})
