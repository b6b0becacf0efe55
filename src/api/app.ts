/** The HTTP and WebSocket application. Knows routes and limits, not the engine. */
import { randomUUID } from 'node:crypto'
import cors from '@fastify/cors'
import websocket from '@fastify/websocket'
import { fastify, LogController, type FastifyInstance } from 'fastify'
import { installAccess } from './plugins/access.js'
import { installErrorHandlers } from './plugins/error-handler.js'
import { refuseDeep } from './plugins/nesting-limit.js'
import { installOpenApi } from './plugins/openapi.js'
import { installValidation } from './plugins/validation.js'
import { chatCompletions } from './chat/chat-completions-route.js'
import { completions } from './completions/completions-route.js'
import { embeddings } from './embeddings/embeddings-route.js'
import { feedback } from './feedback/feedback-route.js'
import { health } from './operations/health-route.js'
import { metrics } from './operations/metrics-route.js'
import { models } from './models/models-route.js'
import { responses } from './responses/responses-route.js'
import { rewards } from './rewards/rewards-route.js'
import { score } from './rewards/score-route.js'
import { sockets } from './transport/socket-routes.js'
import { tokens } from './tokens/tokens-route.js'
import type { Services } from './services.js'

/** WebSocket close code "going away". */
const goingAway = 1001

/** Ids that callers give are taken if they are short and plain. */
const plainId = /^[\w.-]{1,128}$/

const ownHeaders = ['x-request-id', 'openai-processing-ms', 'x-fairlead-ignored', 'retry-after', 'retry-after-ms', ...[
  'limit', 'remaining', 'reset'
].flatMap(figure => ['requests', 'tokens'].map(what => `x-ratelimit-${figure}-${what}`))]

/** One line for a request, when it has been answered or its caller has left. */
function installLog (app: FastifyInstance): void {
  app.addHook('onResponse', async (request, reply) => {
    const { method, url, caller } = request
    request.log.info({
      method,
      url,
      status: reply.statusCode,
      ms: Math.round(reply.elapsedTime),
      ...(caller ? { caller: caller.name } : {})
    }, 'answered')
  })
}

function installHeaders (app: FastifyInstance): void {
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id).header('x-content-type-options', 'nosniff')
  })
  app.addHook('onSend', async (_, reply) => {
    reply.header('openai-processing-ms', Math.round(reply.elapsedTime))
  })
}

/**
 * Node takes its hands off the connection of a request for an upgrade: one that is answered with a refusal would stay
 * open for ever.
 */
function closeRefusedUpgrades (app: FastifyInstance): void {
  app.addHook('onRequest', async (request, reply) => {
    if (request.headers.upgrade === undefined) return
    const { socket } = request.raw
    reply.raw.once('finish', () => { socket.destroySoon() })
  })
}

/** All routes of the server, not yet listening. */
export async function buildApp (services: Services): Promise<FastifyInstance> {
  const { config } = services
  const app = fastify({
    logger: { level: config.logLevel },
    logController: new LogController({ disableRequestLogging: true }),
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
  // Clients name the content type of requests without a body, too.
  const parseJson = app.getDefaultJsonParser('error', 'error')
  app.addContentTypeParser<string>('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body === '') done(null)
    else parseJson(request, body, done)
  })
  installErrorHandlers(app)
  installHeaders(app)
  installLog(app)
  // Before keys are asked for: a browser's preflight request has none.
  if (config.corsOrigins.length > 0) {
    await app.register(cors, {
      origin: config.corsOrigins.includes('*') ? '*' : [...config.corsOrigins],
      methods: ['GET', 'POST', 'DELETE'],
      exposedHeaders: ownHeaders,
      maxAge: 600
    })
  }
  app.addHook('preValidation', async ({ body }) => { refuseDeep(body) })
  installValidation(app)
  closeRefusedUpgrades(app)
  installAccess(app, config, services.keys)
  await app.register(websocket, {
    options: { maxPayload: config.bodyLimitBytes },
    preClose (done) {
      for (const client of this.websocketServer.clients) client.close(goingAway, 'the server is shutting down')
      done()
    }
  })
  await installOpenApi(app, services.keys.areNeeded)
  for (const route of [metrics, health, chatCompletions, completions, responses, embeddings, tokens, models, rewards,
    score, feedback]) route(app, services)
  await app.register(async scope => { sockets(scope, services) })
  return app
}
