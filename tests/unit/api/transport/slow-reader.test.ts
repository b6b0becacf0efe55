import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { mock, test } from 'node:test'
import { fastify, type FastifyInstance } from 'fastify'
import { cutOffSlowReader, installSlowReaders, pieces } from '../../../../src/api/transport/slow-reader.js'
import { EventStream } from '../../../../src/api/transport/sse.js'
import { RawClient } from '../../../helpers/raw-client.js'

/** A response whose clock the test winds, and what it has been told. */
class FakeResponse extends EventEmitter {
  isDestroyed = false
  socket: object | null = {}
  destroy (): void { this.isDestroyed = true }
}

function watched (response: FakeResponse): () => void {
  return cutOffSlowReader(response as unknown as ServerResponse, 1000)
}

test('a reader is cut off once it has taken nothing for as long as it may', t => {
  mock.timers.enable({ apis: ['setTimeout'] })
  t.after(() => { mock.timers.reset() })
  const response = new FakeResponse()
  watched(response)
  for (let count = 0; count < 5; count++) {
    mock.timers.tick(999)
    response.emit('drain')
  }
  assert.equal(response.isDestroyed, false)
  mock.timers.tick(1000)
  assert.equal(response.isDestroyed, true)
})

test('the time of an answer begins when it is its turn, and ends with it', t => {
  mock.timers.enable({ apis: ['setTimeout'] })
  t.after(() => { mock.timers.reset() })
  const waiting = Object.assign(new FakeResponse(), { socket: null })
  watched(waiting)
  mock.timers.tick(5000)
  assert.equal(waiting.isDestroyed, false)
  waiting.emit('socket')
  mock.timers.tick(1000)
  assert.equal(waiting.isDestroyed, true)
  const [closed, stopped] = [new FakeResponse(), new FakeResponse()]
  watched(closed)
  closed.emit('close')
  watched(stopped)()
  stopped.emit('drain')
  mock.timers.tick(5000)
  assert.deepEqual([closed.isDestroyed, stopped.isDestroyed, closed.listenerCount('drain')], [false, false, 0])
})

test('pieces are the whole', () => {
  for (const length of [0, 1, 65_536, 65_537, 300_000]) {
    const text = 'aü🙂'.repeat(length).slice(0, length)
    const parts = [...pieces(text)]
    assert.equal(Buffer.concat(parts).toString(), text)
    assert.ok(parts.every(({ length }) => length <= 65_536))
  }
})

const large = JSON.stringify({ text: 'ü'.repeat(10 << 20) })

/** An app that answers with much, and how its answers end: whether they were written to the end. */
async function answering (timeoutMs: number): Promise<{
  app: FastifyInstance, address: string, nextEnd: () => Promise<boolean>
}> {
  const app = fastify()
  const ends = new EventEmitter()
  app.addHook('onRequest', async (_, { raw }) => {
    raw.once('close', () => { ends.emit('end', raw.writableFinished) })
  })
  installSlowReaders(app, timeoutMs)
  app.get('/whole', (_, reply) => { reply.type('application/json').send(large) })
  app.get('/small', () => ({ a: 1 }))
  app.get('/stream', async (_, reply) => {
    const frames = new EventStream(reply, timeoutMs)
    await frames.send(large, new AbortController().signal)
    frames.end()
    return reply
  })
  const address = await app.listen({ host: '127.0.0.1', port: 0 })
  return { app, address, nextEnd: async () => (await once(ends, 'end'))[0] as boolean }
}

test('a large answer and a large frame come as they would at once', async () => {
  const { app, address } = await answering(60_000)
  const whole = await fetch(`${address}/whole`)
  assert.deepEqual([whole.headers.get('content-length'), await whole.text() === large],
    [String(Buffer.byteLength(large)), true])
  assert.equal(await (await fetch(`${address}/stream`)).text(), `data: ${large}\n\n`)
  const head = await fetch(`${address}/whole`, { method: 'HEAD' })
  assert.equal(head.headers.get('content-length'), String(Buffer.byteLength(large)))
  assert.deepEqual(await (await fetch(`${address}/small`)).json(), { a: 1 })
  await app.close()
})

test('an answer and a stream that nobody reads are ended', async () => {
  const { app, address, nextEnd } = await answering(100)
  for (const path of ['/whole', '/stream']) {
    const end = nextEnd()
    const client = new RawClient(address)
    client.socket.pause()
    client.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
    assert.equal(await end, false, path)
    client.socket.destroy()
  }
  await app.close()
})
