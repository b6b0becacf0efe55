/** WebSockets: broken and split frames, floods, long ids, and what a connection makes the server keep. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { WebSocket } from 'ws'
import { count, type Attack, type Attacker } from '../attack.js'

const paths = ['/v1/stream', '/v1/responses'] as const

const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index)

/** Opens a socket whose messages are counted, and forgets its errors. */
async function open ({ victim, tally }: Attacker, path: string): Promise<WebSocket | null> {
  const socket = new WebSocket(`${victim.url.replace('http', 'ws')}${path}`,
    { headers: { authorization: `Bearer ${victim.keys.attacker}` } })
  socket.on('error', () => {})
  socket.on('message', data => {
    const text = String(data)
    tally.bytes += text.length
    const status = Number(/"status":(5\d\d)/.exec(text.slice(0, 2000))?.[1] ?? 0)
    if (status > 0) count(tally, status, `${path}: ${text.slice(0, 200)}`)
  })
  await Promise.race([once(socket, 'open'), once(socket, 'close'), sleep(5000)]).catch(() => {})
  return socket.readyState === WebSocket.OPEN ? socket : null
}

/** Waits until a socket is closed, or so many messages came, or the time is over. */
async function messages (socket: WebSocket, wanted: number, over: AbortSignal, ms: number): Promise<void> {
  let heard = 0
  await new Promise<void>(resolve => {
    socket.on('message', () => { if (++heard >= wanted) resolve() })
    socket.once('close', () => { resolve() })
    over.addEventListener('abort', () => { resolve() }, { once: true })
    setTimeout(resolve, ms).unref()
  })
}

/** A connection after the handshake, to write what is no WebSocket's frame. */
async function rawSocket ({ victim }: Attacker, path: string): Promise<Socket> {
  const { hostname, port } = new URL(victim.url)
  const socket = connect(Number(port), hostname)
  socket.on('error', () => {})
  socket.write(`GET ${path} HTTP/1.1\r\nHost: ${hostname}:${port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
    `Authorization: Bearer ${victim.keys.attacker}\r\nSec-WebSocket-Version: 13\r\n` +
    `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n\r\n`)
  await Promise.race([once(socket, 'data'), once(socket, 'close'), sleep(2000)]).catch(() => {})
  return socket
}

/** A masked frame. @param length what it claims, where that is not how long it is */
function frame (opcode: number, payload: Buffer, { fin = true, rsv = 0, length = payload.length } = {}): Buffer {
  const head = Buffer.alloc(14)
  head[0] = (fin ? 0x80 : 0) | rsv << 4 | opcode
  head[1] = 0xFF
  head.writeBigUInt64BE(BigInt(length), 2)
  // Masked by zeros: the payload stays as it is.
  return Buffer.concat([head, payload])
}

/** Frames that no client should send. @param random in [0, 1) */
function brokenFrames (random: () => number): Buffer[] {
  const json = Buffer.from('{"id":"1","type":"create","request":{}}')
  return [
    frame(1, json, { rsv: 7 }), frame(3, json), frame(15, json), frame(1, json, { length: 2 ** 52 }),
    frame(9, Buffer.alloc(500)), frame(8, Buffer.of(0)), frame(8, Buffer.of(3, 0xE7, 0xFF)), frame(0, json),
    frame(1, Buffer.of(0xF1, 0xC3, 0x28)), frame(2, json), frame(1, Buffer.alloc(0)),
    Buffer.concat([frame(1, json.subarray(0, 4), { fin: false }), frame(1, json)]),
    Buffer.concat(range(5000).map(index => frame(index === 0 ? 1 : 0, Buffer.from('['), { fin: false }))),
    Buffer.from(range(300).map(() => Math.floor(random() * 256)))
  ]
}

async function sendBroken (attacker: Attacker): Promise<void> {
  for (const path of paths) {
    for (const bytes of brokenFrames(attacker.random)) {
      if (attacker.over.aborted) return
      const socket = await rawSocket(attacker, path)
      // In pieces: a frame may be split anywhere.
      const cut = Math.floor(attacker.random() * Math.min(16, bytes.length))
      socket.write(bytes.subarray(0, cut))
      await sleep(5)
      socket.write(bytes.subarray(cut))
      await sleep(20)
      socket.destroy()
    }
  }
}

/** Messages that are JSON and no request. */
const oddMessages = [
  '', 'null', '[]', '1', '"x"', '{', '{}', '{"type":"create"}', '{"id":1,"type":"create"}',
  '{"id":"a","type":"cancel"}',
  '{"id":"a","type":"create","request":null}', '{"id":"a","type":"create","request":{"__proto__":{"a":1}}}',
  '{"type":"response.create","stream_id":{}}', '{"type":"response.create","previous_response_id":"x"}',
  `{"id":"a","type":"create","request":${'['.repeat(20_000)}${']'.repeat(20_000)}}`, '{"type":"response.create","input":7}'
]

async function flood (attacker: Attacker): Promise<void> {
  await Promise.all(paths.map(async path => {
    const socket = await open(attacker, path)
    if (!socket) return
    const heard = messages(socket, Infinity, attacker.over, 6000)
    for (let round = 0; round < 200 && socket.readyState === WebSocket.OPEN && !attacker.over.aborted; round++) {
      for (const message of oddMessages) socket.send(message)
      for (let ping = 0; ping < 50; ping++) socket.ping()
      await sleep(5)
    }
    await heard
    socket.terminate()
  }))
}

/** A chat on /v1/stream, whose every event carries its id. */
async function longIds (attacker: Attacker): Promise<void> {
  const socket = await open(attacker, '/v1/stream')
  if (!socket) return
  const heard = messages(socket, 4 * 205, attacker.over, 20_000)
  for (let index = 0; index < 4; index++) {
    socket.send(JSON.stringify({
      id: index + 'i'.repeat(500_000),
      type: 'create',
      request: {
        model: attacker.victim.model, messages: [{ role: 'user', content: 'hi' }], max_tokens: 200, ignore_eos: true
      }
    }))
  }
  await heard
  socket.terminate()
}

/** Each lane of a socket keeps its last response, stored or not. */
async function unstoredResponses (attacker: Attacker): Promise<void> {
  const sockets: WebSocket[] = []
  for (let index = 0; index < 12 && !attacker.over.aborted; index++) {
    const socket = await open(attacker, '/v1/responses')
    if (!socket) break
    sockets.push(socket)
    for (let lane = 0; lane < 20 && !attacker.over.aborted; lane++) {
      const done = messages(socket, 1, attacker.over, 10_000)
      socket.send(JSON.stringify({
        type: 'response.create',
        stream_id: `lane${lane}`,
        model: attacker.victim.model,
        store: false,
        input: 'hi',
        user: 'u'.repeat(1_900_000),
        max_output_tokens: 1
      }))
      await done
      await sleep(20)
    }
  }
  for (const socket of sockets) socket.terminate()
}

async function manyRequests (attacker: Attacker): Promise<void> {
  const opened = await Promise.all(range(64).map(() => open(attacker, '/v1/stream')))
  const sockets = opened.filter(socket => socket !== null)
  for (const [at, socket] of sockets.entries()) {
    for (let index = 0; index < 40; index++) {
      socket.send(JSON.stringify({
        id: `${at}-${index}`,
        type: 'create',
        request: {
          model: attacker.victim.model, messages: [{ role: 'user', content: 'hi' }], max_tokens: 100, ignore_eos: true
        }
      }))
      if (index % 3 === 0) socket.send(JSON.stringify({ id: `${at}-${index}`, type: 'cancel' }))
    }
  }
  await Promise.race([sleep(8000), ...attacker.over.aborted ? [Promise.resolve()] : [once(attacker.over, 'abort')]])
  for (const socket of sockets) socket.terminate()
}

export const socketAttacks: readonly Attack[] = [
  { name: 'broken-frames', what: 'malformed and split frames on both WebSockets', run: sendBroken },
  { name: 'message-flood', what: 'thousands of messages that are no requests, and pings', isFlood: true, run: flood },
  { name: 'long-ids', what: '/v1/stream with ids of 0.5 MB', run: longIds },
  {
    name: 'unstored-responses',
    what: 'store: false with a user of 1.9 MB in every lane of 12 sockets',
    isFlood: true,
    run: unstoredResponses
  },
  {
    name: 'request-flood',
    what: '2,560 requests on 64 sockets, a third of them cancelled',
    isFlood: true,
    run: manyRequests
  }
]
