/** Answers of one connection: how many may wait, and what becomes of them when it is lost. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test, type TestContext } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { boundPipelines, maxPipelined } from '../../../../src/api/transport/pipelining.js'
import { RawClient } from '../../../helpers/raw-client.js'

const request = 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'

/** A server that begins requests and answers none, with a client that has sent some. */
async function begun (t: TestContext, count: number): Promise<{
  client: RawClient, answers: readonly ServerResponse[], refused: readonly ServerResponse[]
}> {
  const [answers, refused]: [ServerResponse[], ServerResponse[]] = [[], []]
  const server = createServer(boundPipelines(
    (_request, response) => { answers.push(response) }, response => { refused.push(response) }))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => { server.closeAllConnections(); server.close() })
  const client = new RawClient(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  client.write(request.repeat(count))
  const wanted = Math.min(count, maxPipelined)
  while (answers.length < wanted) await setImmediate()
  return { client, answers, refused }
}

test('all answers of a lost connection are closed once, those too that waited', { timeout: 30_000 }, async t => {
  const { client, answers } = await begun(t, 4)
  const closes = answers.map(() => 0)
  for (const [index, answer] of answers.entries()) answer.on('close', () => { closes[index]!++ })
  const all = Promise.all(answers.map(answer => once(answer, 'close')))
  client.socket.destroy()
  await all
  assert.deepEqual(closes, [1, 1, 1, 1])
  assert.ok(answers.every(({ destroyed }) => destroyed))
})

test('one request too many is refused, and nothing behind it begins', async t => {
  const { client, answers, refused } = await begun(t, maxPipelined + 20)
  assert.deepEqual([answers.length, refused.length], [maxPipelined, 1])
  client.socket.destroy()
})
