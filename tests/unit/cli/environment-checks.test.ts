/** What `fairlead doctor` finds wrong with settings and a machine, on folders and ports made for it. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { checkEnvironment, type Finding } from '../../../src/cli/environment-checks.js'
import { loadConfig } from '../../../src/config.js'
import { memory, type SettingName } from '../../../src/settings.js'

const folder = mkdtempSync(join(tmpdir(), 'fairlead-doctor-'))
after(() => { rmSync(folder, { recursive: true }) })

const checkpoint = join(folder, 'checkpoint')
mkdirSync(checkpoint)

async function found (flags: Partial<Record<SettingName, string>> = {}): Promise<Record<string, Finding>> {
  const findings = await checkEnvironment(loadConfig({
    model: checkpoint, port: '0', cacheDir: join(folder, 'cache'), dataDir: join(folder, 'data'), ...flags
  }, {}))
  return Object.fromEntries(findings.map(finding => [finding.check, finding]))
}

test('nothing is wrong with folders that can be made, a model that is there and a free port', async () => {
  const findings = Object.values(await found())
  for (const { check, status, advice } of findings) {
    assert.notEqual(status, 'problem', check)
    assert.equal(advice === null, status === 'ok', check)
  }
  assert.deepEqual(findings.map(({ check }) => check),
    ['device', 'memory', 'cache-dir', 'data-dir', 'model checkpoint', 'rewards', 'port', 'access'])
})

test('a model is there, will be downloaded, or is unknown', async () => {
  const { 'model checkpoint': own, 'model other': other, 'model third': third } =
    await found({ moreModels: 'other=smollm2-135m,third=nowhere.gguf' })
  assert.deepEqual([own!.status, own!.finding], ['ok', checkpoint])
  assert.match(other!.finding, /downloaded at the first start, 98 MB/)
  assert.equal(third!.status, 'problem')
  assert.match(third!.finding, /nowhere\.gguf/)
})

test('caches beyond memory, and a folder that cannot be', async () => {
  const file = join(folder, 'file')
  writeFileSync(file, '')
  const { memory: caches, 'data-dir': data } =
    await found({ kvCacheBytes: String(memory), dataDir: join(file, 'data') })
  assert.deepEqual([caches!.status, data!.status], ['warning', 'problem'])
  assert.match(data!.advice!, /--data-dir/)
})

test('a reward that cannot be read is named with its file', async () => {
  const rewards = join(folder, 'rewards')
  mkdirSync(rewards)
  writeFileSync(join(rewards, 'bad.json'), '{"name": "bad"}')
  const { rewards: finding } = await found({ rewardsDir: rewards })
  assert.equal(finding!.status, 'problem')
  assert.match(finding!.finding, /bad\.json/)
})

test('a port in use, scorers that answer and do not, and a server open to all', async () => {
  const server = createServer((_, response) => { response.writeHead(404).end() }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const origin = `http://127.0.0.1:${port}`
  const inUse = await found({ port: String(port), remoteScorers: origin })
  assert.deepEqual([inUse['port']!.status, inUse[`scorer ${origin}`]!.status], ['warning', 'ok'])
  server.close()
  await once(server, 'close')
  const open = await found({ host: '0.0.0.0', remoteScorers: origin })
  assert.deepEqual([open['access']!.status, open[`scorer ${origin}`]!.status], ['warning', 'warning'])
  assert.equal((await found({ host: '0.0.0.0', apiKeys: 'secret' }))['access']!.status, 'ok')
})
