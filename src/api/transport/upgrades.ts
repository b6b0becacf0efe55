/**
 * Requests that ask for another protocol. Node takes their connection out of HTTP and hands it over; all that are not
 * WebSocket handshakes on a path that opens WebSockets are put back, to be answered over HTTP/1.1 as RFC 9110 §7.8 has
 * it: curl and Java's HttpClient offer HTTP/2 with every request.
 */
import { EventEmitter } from 'node:events'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { offeredProtocols } from './subprotocols.js'

/** RFC 6455's versions whose frames are the same. */
const webSocketVersions = ['13', '8']

const asksForWebSocket = (upgrade: string | undefined): boolean => upgrade?.trim().toLowerCase() === 'websocket'

/** Whether a request was to open a WebSocket, on whatever path. */
export const isWebSocketRequest = ({ method, headers }: Pick<IncomingMessage, 'method' | 'headers'>): boolean =>
  method === 'GET' && asksForWebSocket(headers.upgrade)

/** Whether a request is a whole handshake, as RFC 6455 §4.2.1 has it. */
function isHandshake (request: IncomingMessage): boolean {
  const { 'sec-websocket-key': key = '', 'sec-websocket-version': version = '' } = request.headers
  return isWebSocketRequest(request) && /^[+/\da-z]{22}==$/i.test(key) && webSocketVersions.includes(version) &&
    offeredProtocols(request.headers) !== null
}

/** The values of a header that is a list, without some of them. */
const without = (value: string, left: readonly string[]): string =>
  value.split(',').map(one => one.trim()).filter(one => !left.includes(one.toLowerCase())).join(', ')

/** A request's head as it came, but for what asks for another protocol; a wish for a WebSocket can still be told. */
function headOf ({ method, url, httpVersion, rawHeaders, headers }: IncomingMessage): Buffer {
  const lines = [`${method} ${url} HTTP/${httpVersion}`]
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const [name, value] = [rawHeaders[at]!, rawHeaders[at + 1]!]
    const kept = name.toLowerCase() === 'connection' ? without(value, ['upgrade', 'http2-settings']) : value
    const isLeft = name.toLowerCase() === 'http2-settings' || kept === '' ||
      (name.toLowerCase() === 'upgrade' && !asksForWebSocket(headers.upgrade))
    if (!isLeft) lines.push(`${name}: ${kept}`)
  }
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1')
}

/**
 * Takes over what a server does with requests for an upgrade.
 * @param opensWebSocket whether a path opens WebSockets
 * @returns what emits `upgrade` for whole handshakes on such paths, and for nothing else
 */
export function sortUpgrades (server: Server, opensWebSocket: (path: string) => boolean): EventEmitter {
  const handshakes = new EventEmitter()
  /** The last answer that was begun on a connection. */
  const answers = new WeakMap<Duplex, ServerResponse>()
  server.on('request', ({ socket }, response) => { answers.set(socket, response) })
  server.on('upgrade', async (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    // Node no longer listens for errors of the connection.
    const destroy = (): void => { socket.destroy() }
    socket.on('error', destroy)
    // A client may send a request before the last is answered; answers keep their order.
    const pending = answers.get(socket)
    if (pending && !pending.closed) await new Promise(resolve => { pending.once('close', resolve) })
    if (socket.destroyed) return
    if (isHandshake(request) && opensWebSocket(request.url!.split('?')[0]!)) {
      handshakes.emit('upgrade', request, socket, head)
    } else {
      socket.unshift(Buffer.concat([headOf(request), head]))
      server.emit('connection', socket)
    }
    socket.off('error', destroy)
  })
  return handshakes
}
