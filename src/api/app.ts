/** The HTTP and WebSocket application. Knows routes and limits, not the engine. */
import { randomUUID } from 'node:crypto'
import websocket from '@fastify/websocket'
import { fastify, type FastifyInstance } from 'fastify'
import { installErrorHandlers } from './error-handler.js'
import { chatCompletions } from './routes/chat-completions.js'
import { health } from './routes/health.js'
import { models } from './routes/models.js'
import { stream } from './routes/stream.js'
import type { Services } from './services.js'

/** WebSocket close code "going away". */
const goingAway = 1001

/** Ids that callers give are taken if they are short and plain. */
const plainId = /^[\w.-]{1,128}$/

function installHeaders (app: FastifyInstance): void {
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id).header('x-content-type-options', 'nosniff')
  })
  app.addHook('onSend', async (_, reply) => {
    reply.header('openai-processing-ms', Math.round(reply.elapsedTime))
  })
}

export async function buildApp (services: Services): Promise<FastifyInstance> {
  const { config } = services
  const app = fastify({
    logger: { level: config.logLevel },
    bodyLimit: config.bodyLimitBytes,
    exposeHeadRoutes: false,
    forceCloseConnections: 'idle',
    genReqId: request => {
      const given = request.headers['x-request-id']
      return typeof given === 'string' && plainId.test(given) ? given : `req_${randomUUID()}`
    }
  })
  // Fastify reads text bodies too; a body that is not JSON is a mistake here.
  app.removeContentTypeParser('text/plain')
  installErrorHandlers(app)
  installHeaders(app)
  await app.register(websocket, {
    options: { maxPayload: config.bodyLimitBytes },
    preClose (done) {
      for (const client of this.websocketServer.clients) client.close(goingAway, 'the server is shutting down')
      done()
    }
  })
  for (const route of [chatCompletions, models, health]) route(app, services)
  await app.register(async scope => { stream(scope, services) })
  return app
}
