import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { after, test } from 'node:test'
import type { Metadata } from '../../../../scripts/gguf-writer.js'
import { RequestError } from '../../../../src/errors.js'
import { openCheckpoint } from '../../../../src/models/formats/checkpoint.js'
import { shardPaths } from '../../../../src/models/formats/gguf-shards.js'
import { modelName, resolveModel } from '../../../../src/models/store/model-store.js'
import { writeShards } from '../../../helpers/gguf-shards.js'
import { sameBits } from '../../../helpers/same-bits.js'
import { writeTinyGguf } from '../../../helpers/tiny-gguf.js'

const folder = mkdtempSync(join(tmpdir(), 'fairlead-shards-'))
after(() => { rmSync(folder, { recursive: true }) })

/** Shards of a tiny model in a folder of their own. */
function shards (name: string, more?: (shard: number) => Readonly<Record<string, Metadata>>): Promise<string[]> {
  mkdirSync(join(folder, name))
  const path = join(folder, name, 'tiny.gguf')
  writeTinyGguf(path)
  return writeShards(path, 3, more)
}

async function refused (path: string, reason: RegExp): Promise<void> {
  await assert.rejects(openCheckpoint(path), (error: unknown) =>
    error instanceof RequestError && error.param === 'model' && reason.test(error.message), String(reason))
}

test('the first shard finds the others, and all are one model', async () => {
  const [first] = await shards('whole')
  const [split, whole] = [await openCheckpoint(first!), await openCheckpoint(join(folder, 'whole', 'tiny.gguf'))]
  assert.deepEqual(split.config, whole.config)
  assert.deepEqual([...split.file.tensors.keys()].sort(), [...whole.file.tensors.keys()].sort())
  for (const name of split.file.tensors.keys()) sameBits(await split.file.read(name), await whole.file.read(name))
  assert.deepEqual(split.tokenizer.encode('the end'), whole.tokenizer.encode('the end'))
  await split.file.close()
  await whole.file.close()
})

test('its name is that of all shards, and its checksum covers each of them', async () => {
  const [first, second] = await shards('summed')
  const before = await resolveModel(first!, { cacheDir: folder })
  assert.equal(before.id, 'tiny')
  writeTinyGguf(second!)
  assert.notEqual((await resolveModel(first!, { cacheDir: folder })).sha256, before.sha256)
  assert.equal(modelName('/models/a-00001-of-00012.gguf'), 'a')
  assert.deepEqual(shardPaths('/m/a-00001-of-00002.gguf').map(path => basename(path)),
    ['a-00001-of-00002.gguf', 'a-00002-of-00002.gguf'])
  assert.deepEqual(shardPaths('/m/a-00001-of-00001.gguf'), ['/m/a-00001-of-00001.gguf'])
})

test('shards that are missing, of another place, or with tensors too few or twice are refused by name', async () => {
  const paths = await shards('broken')
  await refused(paths[1]!, /it is shard 2 of 3; name the first, .*tiny-00001-of-00003.gguf/)
  rmSync(paths[2]!)
  await refused(paths[0]!, /tiny-00003-of-00003.gguf/)
  await assert.rejects(resolveModel(paths[0]!, { cacheDir: folder }), /file not found: .*tiny-00003-of-00003.gguf/)
  const [moved] = await shards('moved', shard => ({ 'split.no': 2 - shard }))
  await refused(moved!, /its name says shard 1 of 3, and its metadata split.no = 2/)
  const [few] = await shards('few', () => ({ 'split.tensors.count': 99 }))
  await refused(few!, /its 3 shards have 20 tensors; split.tensors.count is 99/)
  const doubled = await shards('doubled')
  writeTinyGguf(doubled[2]!, { metadata: { 'split.no': 2, 'split.count': 3 } })
  await refused(doubled[0]!, /00003-of-00003.gguf: tensor \S+ is also in .*00002-of-00003.gguf/)
  const alone = join(folder, 'alone.gguf')
  writeTinyGguf(alone, { metadata: { 'split.count': 3 } })
  await refused(alone, /its name says shard 1 of 1, and its metadata split.no = 0 and split.count = 3/)
})
