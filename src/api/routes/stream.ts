/** WebSocket `/v1/stream`. */
import type { FastifyInstance } from 'fastify'
import type { Services } from '../services.js'
import { StreamConnection } from '../stream-connection.js'

/** WebSocket close code "try again later". */
const tryLater = 1013

export function stream (app: FastifyInstance, services: Services): void {
  let open = 0
  app.get('/v1/stream', { websocket: true, schema: { hide: true } }, (socket, request) => {
    if (services.isDraining || open >= services.config.maxWebSockets) {
      socket.close(tryLater, services.isDraining ? 'the server is shutting down' : 'too many connections (max-web-sockets)')
      return
    }
    open++
    socket.once('close', () => { open-- })
    socket.setMaxListeners(0)
    // Listens at once: a message that comes with the handshake would be lost otherwise.
    attach(socket, services, request.caller)
  })
}

const attach = (...args: ConstructorParameters<typeof StreamConnection>): StreamConnection => new StreamConnection(...args)
