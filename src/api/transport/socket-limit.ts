/** Bounds how many WebSockets are open, whatever they speak. */
import type { WebSocket } from '@fastify/websocket'

/** WebSocket close code "try again later". */
const tryLater = 1013

/** The sockets of one server. */
export class SocketLimit {
  readonly #max: number
  #open = 0

  /** @param max that may be open */
  constructor (max: number) { this.#max = max }

  /** Counts a socket in, or closes it where there are too many or the server is draining. */
  admit (socket: WebSocket, isDraining: boolean): boolean {
    if (isDraining || this.#open >= this.#max) {
      socket.close(tryLater, isDraining ? 'the server is shutting down' : 'too many connections (max-web-sockets)')
      return false
    }
    this.#open++
    socket.once('close', () => { this.#open-- })
    return true
  }
}
