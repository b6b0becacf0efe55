/** Bytes that requests hold while they run or wait. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RequestError } from '../../../src/errors.js'
import { dataBytes } from '../../../src/serving/data-size.js'
import { PendingBytes } from '../../../src/serving/pending-bytes.js'

const refused = (reason: RegExp) => (error: unknown): boolean =>
  error instanceof RequestError && error.code === 'rate_limit_exceeded' && reason.test(error.message)

test('one caller may hold a quarter, one request always, and all together no more than there is', () => {
  const bytes = new PendingBytes(100)
  const end = bytes.take('a', 20)
  assert.throws(() => bytes.take('a', 6), refused(/25 bytes for one caller .* 6 more/))
  bytes.take('a', 5)
  end()
  end()
  assert.equal(bytes.total, 5)
  const large = bytes.take('b', 90)
  assert.throws(() => bytes.take('c', 6), refused(/100 bytes in all/))
  assert.throws(() => bytes.take('b', 1), refused(/for one caller/))
  bytes.take('c', 5)
  large()
  bytes.take('a', 20)
  assert.equal(bytes.total, 30)
  // Alone, a request may have any size.
  assert.equal(typeof new PendingBytes(100).take('a', 1000), 'function')
})

test('plain data counts with its texts, its numbers and what holds them', () => {
  assert.equal(dataBytes('año'), 4)
  assert.equal(dataBytes(Array.from({ length: 1000 }, () => 1)), 8016)
  assert.equal(dataBytes({ text: 'abc', flags: [true, null] }), 16 + 4 + 3 + 5 + 16 + 8 + 8)
  assert.equal(dataBytes(new Float32Array(4)), 16)
})
