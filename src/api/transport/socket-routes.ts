/** WebSockets `/v1/responses`, in OpenAI's protocol, and `/v1/stream`, ours. */
import type { WebSocket } from '@fastify/websocket'
import type { FastifyInstance } from 'fastify'
import { RequestError } from '../../errors.js'
import type { Caller } from '../plugins/keys.js'
import { documented } from '../plugins/openapi.js'
import { ResponseConnection } from '../responses/response-socket.js'
import type { Services } from '../services.js'
import { StreamConnection } from '../stream/stream-connection.js'

type Attach = (socket: WebSocket, services: Services, caller: Caller) => object

const connections: Readonly<Record<string, { readonly summary: string, readonly attach: Attach }>> = {
  '/v1/responses': {
    summary: 'Opens a WebSocket for responses, in OpenAI’s protocol',
    attach: (...args) => new ResponseConnection(...args)
  },
  '/v1/stream': {
    summary: 'Opens a WebSocket for any number of chats at a time', attach: (...args) => new StreamConnection(...args)
  }
}

export function sockets (app: FastifyInstance, services: Services): void {
  for (const [url, { summary, attach }] of Object.entries(connections)) {
    app.route({
      method: 'GET',
      url,
      ...documented(summary, { upgrades: true }),
      handler: (_, reply) => {
        reply.header('upgrade', 'websocket')
        throw new RequestError('upgrade_required', `GET ${url} opens a WebSocket: send an upgrade`)
      },
      wsHandler: (socket, { caller }) => {
        if (services.sockets.admit(socket, services.isDraining)) attach(socket, services, caller)
      }
    })
  }
}
