import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BodyMemory } from '../../../../src/api/plugins/body-memory.js'
import { RequestError, type ErrorCode } from '../../../../src/errors.js'

test('a caller has half, all have the whole, and what is given back can be taken again', () => {
  const memory = new BodyMemory(100)
  const [one, two, three] = [{}, {}, {}]
  const refused = (caller: object, bytes: number, code: ErrorCode): void => {
    assert.throws(() => memory.take(caller, bytes),
      (error: unknown) => error instanceof RequestError && error.code === code && error.retryAfterMs! > 0)
  }
  memory.take(one, 200)()
  const give = memory.take(one, 30)
  memory.take(one, 20)
  refused(one, 1, 'rate_limit_exceeded')
  memory.take(two, 49)
  refused(three, 2, 'unavailable')
  give()
  memory.take(three, 31)
  refused(one, 1, 'unavailable')
})
