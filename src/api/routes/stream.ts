/** WebSocket `/v1/stream`. */
import type { FastifyInstance } from 'fastify'
import type { Services } from '../services.js'
import { StreamConnection } from '../stream-connection.js'

/** WebSocket close code "try again later". */
const tryLater = 1013

export function stream (app: FastifyInstance, services: Services): void {
  let open = 0
  app.get('/v1/stream', { websocket: true }, socket => {
    if (services.isDraining || open >= services.config.maxWebSockets) {
      socket.close(tryLater, services.isDraining ? 'the server is shutting down' : 'too many connections (max-web-sockets)')
      return
    }
    open++
    socket.once('close', () => { open-- })
    // Listeners are attached now: a message that comes with the handshake would be lost otherwise.
    socket.setMaxListeners(0)
    attach(socket, services)
  })
}

const attach = (socket: ConstructorParameters<typeof StreamConnection>[0], services: Services): StreamConnection => new StreamConnection(socket, services)
