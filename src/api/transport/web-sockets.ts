/** WebSockets: on which paths they are opened, and how they end with the server. */
import websocket, { type WebSocket } from '@fastify/websocket'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { RequestError } from '../../errors.js'
import { documented } from '../plugins/openapi.js'
import type { Services } from '../services.js'

/** WebSocket close code "going away". */
const goingAway = 1001

/** To be called before keys are asked for, and before the routes. */
export async function installWebSockets (app: FastifyInstance, maxPayload: number): Promise<void> {
  // Node takes its hands off the connection of a request for an upgrade: one that is answered with a refusal would stay
  // open for ever.
  app.addHook('onRequest', async (request, reply) => {
    if (request.headers.upgrade === undefined) return
    const { socket } = request.raw
    reply.raw.once('finish', () => { socket.destroySoon() })
  })
  await app.register(websocket, {
    options: { maxPayload },
    preClose (done) {
      for (const client of this.websocketServer.clients) client.close(goingAway, 'the server is shutting down')
      done()
    }
  })
}

/** A path that opens WebSockets. @param open takes an open socket over */
export function webSocketRoute (
  app: FastifyInstance, services: Services, { url, summary, open }: {
    url: string, summary: string, open: (socket: WebSocket, request: FastifyRequest) => unknown
  }
): void {
  app.route({
    method: 'GET',
    url,
    ...documented(summary, { upgrades: true }),
    handler: (_, reply) => {
      reply.header('upgrade', 'websocket')
      throw new RequestError('upgrade_required', `GET ${url} opens a WebSocket: send an upgrade`)
    },
    wsHandler: (socket, request) => {
      if (services.sockets.admit(socket, services.isDraining)) open(socket, request)
    }
  })
}

/** Ends every connection at once, WebSockets too, whether or not its client has read what was sent. */
export function closeAllConnections ({ server, websocketServer }: FastifyInstance): void {
  server.closeAllConnections()
  for (const socket of websocketServer.clients) socket.terminate()
}
