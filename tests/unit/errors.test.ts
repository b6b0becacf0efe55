import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RequestError } from '../../src/errors.js'

test('what an error tells of a request is bounded', () => {
  const long = 'x'.repeat(2 << 20)
  const error = new RequestError('model_not_found', `The model "${long}" does not exist`, { param: `a.${long}` })
  assert.ok(JSON.stringify(error.toBody()).length < 5000)
  assert.match(error.message, /^The model "x+…$/)
  const short = new RequestError('invalid_request', 'n must be 1; got 2', { param: 'n' })
  assert.deepEqual([short.message, short.param], ['n must be 1; got 2', 'n'])
})
