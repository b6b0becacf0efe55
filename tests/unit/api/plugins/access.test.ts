import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fastify } from 'fastify'
import { installAccess } from '../../../../src/api/plugins/access.js'
import { installErrorHandlers } from '../../../../src/api/plugins/error-handler.js'
import { Keys } from '../../../../src/api/plugins/keys.js'
import { loadConfig } from '../../../../src/config.js'

test('a route says who may call it: anybody, callers with a key, callers with the role admin', async () => {
  const config = loadConfig({ apiKeys: 'a-key-for-inference', adminKeys: 'a-key-for-the-admin' }, {})
  const app = fastify()
  installErrorHandlers(app)
  installAccess(app, config, new Keys(config))
  app.get('/open', { config: { access: 'public' } }, () => 'yes')
  app.get('/usual', () => 'yes')
  app.delete('/things/:id', { config: { access: 'admin' } }, request => request.caller.name)
  const ask = async (method: 'GET' | 'DELETE', url: string, key?: string): Promise<[number, string]> => {
    const { statusCode, body } = await app.inject({
      method, url, headers: { host: 'localhost', ...(key === undefined ? {} : { authorization: `Bearer ${key}` }) }
    })
    return [statusCode, body]
  }
  const statuses = async (method: 'GET' | 'DELETE', url: string): Promise<number[]> => [(await ask(method, url))[0],
    (await ask(method, url, 'a-key-for-inference'))[0], (await ask(method, url, 'a-key-for-the-admin'))[0]]
  assert.deepEqual(await statuses('GET', '/open'), [200, 200, 200])
  assert.deepEqual(await statuses('GET', '/usual'), [401, 200, 200])
  assert.deepEqual(await statuses('DELETE', '/things/5'), [401, 403, 200])
  assert.match((await ask('DELETE', '/things/5', 'a-key-for-inference'))[1],
    /DELETE \/things\/:id needs an API key with the role admin/)
  assert.match((await ask('DELETE', '/things/5', 'a-key-for-the-admin'))[1], /^admin-keys [0-9a-f]{16}$/)
})
