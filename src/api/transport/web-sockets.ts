/** WebSockets: on which paths they are opened, and how they end with the server. */
import type { Server } from 'node:http'
import websocket, { type WebSocket } from '@fastify/websocket'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { RequestError } from '../../errors.js'
import { documented } from '../plugins/openapi.js'
import type { Services } from '../services.js'
import { chosenProtocol, offeredProtocols } from './subprotocols.js'
import { isWebSocketRequest, sortUpgrades } from './upgrades.js'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Whether the route opens WebSockets. */
    opensWebSocket?: true
  }
}

/** WebSocket close code "going away". */
const goingAway = 1001

/** Clients fail a WebSocket whose handshake offers subprotocols and gets none. */
function checkProtocols ({ headers }: FastifyRequest): void {
  const offered = offeredProtocols(headers)!
  if (offered.length > 0 && chosenProtocol(offered) === false) {
    throw new RequestError('invalid_request', 'The subprotocols of a WebSocket must hold one beside the API key, ' +
      'such as "realtime": it is the one that is chosen')
  }
}

/** To be called before keys are asked for, and before the routes. */
export async function installWebSockets (app: FastifyInstance, maxPayload: number): Promise<void> {
  const paths = new Set<string>()
  app.addHook('onRoute', ({ url, config }) => { if (config?.opensWebSocket) paths.add(url) })
  await app.register(websocket, {
    errorHandler (error, socket, { log }) {
      // Frames that are none are the client's fault.
      const isClients = 'code' in error && String(error.code).startsWith('WS_ERR_')
      if (isClients) log.info(`The WebSocket is closed: ${error.message}`)
      else log.error(error)
      socket.terminate()
    },
    options: {
      maxPayload,
      // Messages are checked one by one: a bad one fails alone.
      skipUTF8Validation: true,
      server: sortUpgrades(app.server, path => paths.has(path)) as Server,
      handleProtocols: chosenProtocol
    },
    preClose (done) {
      for (const client of this.websocketServer.clients) client.close(goingAway, 'the server is shutting down')
      done()
    }
  })
  // After the plugin’s own hook, which tells handshakes.
  app.addHook('onRequest', async (request, reply) => {
    if (request.ws) {
      // Nobody else closes the connection of a handshake that is refused.
      const { socket } = request.raw
      reply.header('connection', 'close').raw.once('finish', () => { socket.destroySoon() })
      checkProtocols(request)
    } else if (isWebSocketRequest(request.raw) && !request.is404 && !request.routeOptions.config.opensWebSocket) {
      throw new RequestError('not_found',
        `GET ${request.routeOptions.url} opens no WebSocket; ${[...paths].join(' and ')} do`)
    }
  })
}

/** A path that opens WebSockets. @param open takes an open socket over */
export function webSocketRoute (
  app: FastifyInstance, services: Services, { url, summary, open }: {
    url: string, summary: string, open: (socket: WebSocket, request: FastifyRequest) => unknown
  }
): void {
  const { config, ...options } = documented(summary, { upgrades: true })
  app.route({
    method: 'GET',
    url,
    ...options,
    config: { ...config, opensWebSocket: true },
    handler: (_, reply) => {
      reply.headers({ connection: 'upgrade', upgrade: 'websocket', 'sec-websocket-version': '13' })
      throw new RequestError('upgrade_required', `GET ${url} opens a WebSocket: send an upgrade, with ` +
        'Sec-WebSocket-Version 13 and a Sec-WebSocket-Key of 16 bytes in base64')
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
