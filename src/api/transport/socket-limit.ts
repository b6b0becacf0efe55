/** Bounds how many WebSockets are open, whatever they speak. */
import type { WebSocket } from '@fastify/websocket'

/** WebSocket close code "try again later". */
const tryLater = 1013

/** The sockets of one server. */
export class SocketCount {
  readonly #most: number
  #open = 0

  /** @param most that may be open */
  constructor (most: number) { this.#most = most }

  /** Counts a socket in, or closes it where there are too many or the server is draining. */
  admit (socket: WebSocket, isDraining: boolean): boolean {
    if (isDraining || this.#open >= this.#most) {
      socket.close(tryLater, isDraining ? 'the server is shutting down' : 'too many connections (max-web-sockets)')
      return false
    }
    this.#open++
    socket.once('close', () => { this.#open-- })
    return true
  }
}
