import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { loadConfig } from '../../../src/config.js'
import { openChats, openRewards, openStore } from '../../../src/stores/open-store.js'
import { failsWith } from '../../helpers/chats-contract.js'

const folder = mkdtempSync(join(tmpdir(), 'fairlead-store-'))
after(() => { rmSync(folder, { recursive: true }) })
const dataDir = join(folder, 'data')

test('without an address nothing is shared, and nothing is written before something is stored', async () => {
  const config = loadConfig({ dataDir }, {})
  const store = openStore(config, assert.fail)
  await store.reached
  assert.deepEqual([store.name, store.problem, store.wasReached, store.responses, await store.rewardsRevision()],
    [null, null, true, null, null])
  assert.equal(openRewards(config).kept.isShared, false)
  await store.close()
  assert.equal(existsSync(dataDir), false)
})

test('the address of something else is refused without being shown: a password may be in it', () => {
  for (const store of ['redis://:hunter2@host', 'hunter2', 'postgresql://u:hunter2@[x/y', 'postgres:hunter2']) {
    const config = loadConfig({ dataDir, store }, {})
    for (const open of [() => openStore(config, assert.fail), () => openChats(config), () => openRewards(config)]) {
      assert.throws(open, failsWith('invalid_request', /^store must be the address of a PostgreSQL (?!.*hunter2)/))
    }
  }
})

test('a database that does not answer is named without its password; who waits is told at the end', async () => {
  const config = loadConfig({ dataDir, store: 'postgresql://u:hunter2@127.0.0.1:1/d' }, {})
  const said: string[] = []
  const store = await new Promise<ReturnType<typeof openStore>>(resolve => {
    const opened = openStore(config, message => {
      said.push(message)
      resolve(opened)
    })
  })
  assert.match(said.join(), /^The store postgresql:\/\/127\.0\.0\.1:1\/d cannot be used: .*ECONNREFUSED.*$/)
  const refused = failsWith('store_unavailable', /^(?!.*hunter2).*ECONNREFUSED/)
  await assert.rejects(store.chats.completion('x'), refused)
  await assert.rejects(store.rates.of('me', 'requests', 6).take(), refused)
  await assert.rejects(store.responses!.find('me', 'x'), refused)
  assert.equal(store.wasReached, false)
  const waits = assert.rejects(store.reached, refused)
  await store.close()
  await waits
})
