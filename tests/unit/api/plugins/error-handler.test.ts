import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fastify } from 'fastify'
import { installErrorHandlers } from '../../../../src/api/plugins/error-handler.js'
import { RequestError } from '../../../../src/errors.js'

test('a bug is told without internals, with the id that the log has; what the caller can mend as it is', async () => {
  const app = fastify({ genReqId: () => 'req_1' })
  installErrorHandlers(app)
  app.get('/bug', () => { throw new Error('secret') })
  app.get('/busy', () => { throw new RequestError('rate_limit_exceeded', 'later', { retryAfterMs: 1500 }) })
  const bug = await app.inject('/bug')
  assert.equal(bug.statusCode, 500)
  assert.deepEqual(bug.json(), {
    error: {
      message: 'The server had an error while processing the request (request req_1)',
      type: 'server_error',
      param: null,
      code: 'internal_error'
    }
  })
  const busy = await app.inject('/busy')
  assert.deepEqual([busy.statusCode, busy.headers['retry-after'], busy.headers['retry-after-ms']], [429, '2', '1500'])
  assert.deepEqual(busy.json(),
    { error: { message: 'later', type: 'rate_limit_error', param: null, code: 'rate_limit_exceeded' } })
})
