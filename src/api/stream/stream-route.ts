/** `GET /v1/stream`: a WebSocket for any number of chats at a time. */
import type { FastifyInstance } from 'fastify'
import type { Services } from '../services.js'
import { webSocketRoute } from '../transport/web-sockets.js'
import { StreamConnection } from './stream-connection.js'

export function stream (app: FastifyInstance, services: Services): void {
  webSocketRoute(app, services, {
    url: '/v1/stream',
    summary: 'Opens a WebSocket for any number of chats at a time',
    open: (socket, request) => new StreamConnection(socket, request, services)
  })
}
