import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, beforeEach, test } from 'node:test'
import { RequestError } from '../../../src/errors.js'
import { writeAtomically } from '../../../src/atomic-file.js'
import type { RewardDescriptor } from '../../../src/rewards/descriptor.js'
import { FolderRewards } from '../../../src/rewards/kept-rewards.js'
import { noRemotes } from '../../../src/rewards/kinds/remote.js'
import { RewardStore } from '../../../src/rewards/reward-store.js'

const root = mkdtempSync(join(tmpdir(), 'fairlead-store-'))
after(() => { rmSync(root, { recursive: true }) })
const [fixed, kept] = [join(root, 'fixed'), join(root, 'data', 'rewards')]
const open = (): Promise<RewardStore> =>
  RewardStore.open({ fixed: [fixed], kept: new FolderRewards(kept), remotes: noRemotes })
const reward = (name: string, phrase = 'otter'): RewardDescriptor => ({
  name, description: 'x', kind: 'rule', rule: 'must_mention', phrases: [phrase]
} as RewardDescriptor)
const failsWith = (code: string, message: RegExp) => (error: unknown): boolean =>
  error instanceof RequestError && error.code === code && message.test(error.message)

beforeEach(() => {
  rmSync(root, { recursive: true, force: true })
  mkdirSync(fixed, { recursive: true })
  writeFileSync(join(fixed, 'boxed.json'), JSON.stringify(reward('boxed')))
})

test('what is saved is on disk, can be used at once and is there when opened again', async () => {
  const store = await open()
  assert.deepEqual(store.families.map(({ name }) => name), ['boxed'])
  const saved = await store.save(reward('mine'))
  assert.deepEqual(store.families.map(family => [family.name, store.isKept(family)]),
    [['boxed', false], ['mine', true]])
  const again = await open()
  assert.deepEqual(again.families.map(({ name, version }) => [name, version])[1], ['mine', saved.version])
})

test('a kept reward may be replaced and deleted; one that comes with the server neither', async () => {
  const store = await open()
  const first = await store.save(reward('mine'))
  assert.throws(() => { store.checkFree('mine', false) }, failsWith('invalid_request', /"mine"/))
  assert.notEqual((await store.save(reward('mine', 'badger'))).version, first.version)
  await store.delete('mine')
  assert.deepEqual([store.families.length, readdirSync(kept)], [1, []])
  await assert.rejects(store.delete('mine'), failsWith('reward_not_found', /"mine".*boxed/))
  await assert.rejects(store.delete('boxed'), failsWith('permission_denied', /"boxed"/))
  await assert.rejects(store.save(reward('boxed')),
    failsWith('invalid_request', /"boxed"/))
})

test('where saving fails, the reward before it stays', async () => {
  const store = await open()
  const first = await store.save(reward('mine'))
  // The folder is gone and a file is in its place: nobody can write there.
  rmSync(kept, { recursive: true })
  writeFileSync(kept, '')
  await assert.rejects(store.save(reward('mine', 'badger')),
    failsWith('storage_failed', /rewards .*rewards: E/))
  assert.equal(store.families.find(({ name }) => name === 'mine')!.version, first.version)
})

test('a file is replaced whole or not at all, and nothing is left behind', async () => {
  const path = join(root, 'file.json')
  await writeAtomically(path, 'one', 'files')
  await writeAtomically(path, 'two', 'files')
  assert.equal(readFileSync(path, 'utf8'), 'two')
  const taken = join(root, 'taken')
  mkdirSync(join(taken, 'inner'), { recursive: true })
  await assert.rejects(writeAtomically(taken, 'three', 'files'), failsWith('storage_failed', /files /))
  assert.deepEqual(readdirSync(root).sort(), ['file.json', 'fixed', 'taken'])
})
