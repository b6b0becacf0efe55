/**
 * A disk that is full half way through a file: in a process whose files may not grow beyond some kilobytes, as POSIX
 * shells can ask for.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { extractFeatures } from '../../../src/fitting/features.js'
import { sameBits } from '../../helpers/same-bits.js'
import { toyPolicy, ToyStates } from '../../helpers/toy-states.js'

const folder = mkdtempSync(join(tmpdir(), 'fairlead-full-'))
after(() => { rmSync(folder, { recursive: true }) })
const posixOnly = { skip: process.platform === 'win32' && 'needs a POSIX shell' }

/** Runs a program that is given `path`, and says what it printed. @param imports names to import, by module */
function onFullDisk (
  imports: Readonly<Record<string, string>>, program: string, path: string
): { code: string, message: string } {
  const lines = Object.entries(imports)
    .map(([name, module]) => `import { ${name} } from ${JSON.stringify(new URL(module, import.meta.url).href)}`)
  const source = `${lines.join('\n')}\nconst path = ${JSON.stringify(path)}\ntry { ${program}; console.log('{}') } ` +
    'catch ({ code, message }) { console.log(JSON.stringify({ code, message })) }'
  return JSON.parse(execFileSync('sh', ['-c', 'ulimit -f 8; exec "$0" "$@"', process.execPath, '--input-type=module',
    '-e', source], { encoding: 'utf8' })) as { code: string, message: string }
}

test('a file that is half written when the disk is full is taken away; the one before stays', posixOnly, () => {
  const path = join(folder, 'mine.json')
  writeFileSync(path, 'before')
  const { code, message } = onFullDisk({ writeAtomically: '../../../src/atomic-file.js' },
    "await writeAtomically(path, 'x'.repeat(1e6), 'rewards')", path)
  assert.equal(code, 'storage_failed', message)
  assert.match(message, /rewards.*fairlead-full-.*: E/)
  assert.deepEqual([readdirSync(folder), readFileSync(path, 'utf8')], [['mine.json'], 'before'])
})

test('features are kept up to the last that the disk took whole, and are used again', posixOnly, async () => {
  const cache = join(folder, 'features')
  const imports = { extractFeatures: '../../../src/fitting/features.js', toyPolicy: '../../helpers/toy-states.js' }
  const items = Array.from({ length: 400 },
    (_, index) => ({ promptTokens: [9], answerTokens: [1 + index % 9, Math.floor(index / 9)] }))
  const { code, message } = onFullDisk(imports, `await extractFeatures(toyPolicy(), ${JSON.stringify(items)}, { ` +
    "layers: [1], pooling: 'mean', cacheDirectory: path })", cache)
  assert.equal(code, 'storage_failed', message)
  const [file] = readdirSync(cache)
  const kept = statSync(join(cache, file!)).size / (16 + 4 * 3 * 4)
  assert.ok(Number.isInteger(kept) && kept > 10 && kept < items.length, `${kept} records`)
  const source = new ToyStates()
  const read = await extractFeatures(toyPolicy(source), items, { layers: [1], pooling: 'mean', cacheDirectory: cache })
  assert.equal(source.counts.opened, items.length - kept)
  const computed = await extractFeatures(toyPolicy(), items, { layers: [1], pooling: 'mean', cacheDirectory: null })
  sameBits([...read], [...computed])
})
