import assert from 'node:assert/strict'
import { test } from 'node:test'
import { retryAfterOf } from '../../../../src/policies/remote/engine-failure.js'
import { eventData } from '../../../../src/policies/remote/event-stream.js'

async function read (...chunks: Uint8Array[]): Promise<string[]> {
  async function * body (): AsyncGenerator<Uint8Array> { yield * chunks }
  const data: string[] = []
  for await (const one of eventData(body())) data.push(one)
  return data
}

test('events are read wherever they are cut, with either line end, comments and names left out', async () => {
  const bytes = Buffer.from(': ping\r\nevent: x\r\ndata: {"a": "ä"}\r\n\r\ndata:[DONE]\n\n')
  for (let at = 0; at <= bytes.length; at++) {
    assert.deepEqual(await read(bytes.subarray(0, at), bytes.subarray(at)), ['{"a": "ä"}', '[DONE]'])
  }
  assert.deepEqual(await read(Buffer.from('data: cut off')), [])
})

test('an event without an end is not gathered for ever', async () => {
  await assert.rejects(read(...Array.from({ length: 3 }, () => Buffer.alloc(1 << 19, 'x'))), /at most 1048576/)
})

test('Retry-After is seconds or a date', () => {
  assert.deepEqual([retryAfterOf('3'), retryAfterOf(undefined), retryAfterOf('soon')], [3000, null, null])
  assert.equal(retryAfterOf(new Date(5000).toUTCString(), 2000), 3000)
  assert.equal(retryAfterOf('-3'), 0)
})
