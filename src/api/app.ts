/** The HTTP and WebSocket application. Knows routes and limits, not the engine. */
import { createServer } from 'node:http'
import { fastify, LogController, type FastifyInstance } from 'fastify'
import { caller } from './caller/caller-route.js'
import { chatCompletions } from './chat/chat-completions-route.js'
import { completions } from './completions/completions-route.js'
import { embeddings } from './embeddings/embeddings-route.js'
import { feedback } from './feedback/feedback-route.js'
import { installInspector } from './inspector/inspector-route.js'
import { models } from './models/models-route.js'
import { health } from './operations/health-route.js'
import { metrics } from './operations/metrics-route.js'
import { installAccess } from './plugins/access.js'
import { installBodies } from './plugins/bodies.js'
import { ConnectionErrors } from './plugins/connection-errors.js'
import { installErrorHandlers, maxParameterLength, sendError, toRequestError } from './plugins/error-handler.js'
import { installFreshRewards } from './plugins/fresh-rewards.js'
import { firstHeaders, installHeaders, requestId } from './plugins/headers.js'
import { installLogging, logRequest } from './plugins/logging.js'
import { installOpenApi } from './plugins/openapi.js'
import { logStream } from './plugins/text-log.js'
import { installValidation } from './plugins/validation.js'
import { responses } from './responses/responses-route.js'
import { rewards } from './rewards/rewards-route.js'
import { runs } from './runs/runs-route.js'
import { score } from './rewards/score-route.js'
import type { Services } from './services.js'
import { stream } from './stream/stream-route.js'
import { tokens } from './tokens/tokens-route.js'
import { countChunks } from './transport/chunks.js'
import { boundPipelines } from './transport/pipelining.js'
import { installSlowReaders } from './transport/slow-reader.js'
import { dropUnread } from './transport/unread-body.js'
import { installWebSockets } from './transport/web-sockets.js'

/** What the server answers: a room each, as its paths begin. */
const rooms = [chatCompletions, completions, responses, embeddings, rewards, score, feedback, stream, runs,
  models, tokens, caller, health, metrics]

/** All routes of the server, not yet listening. */
export async function buildApp (services: Services): Promise<FastifyInstance> {
  const { config } = services
  const connectionErrors = new ConnectionErrors(services.metrics)
  const app = fastify({
    logger: { level: config.logLevel, stream: logStream(config) },
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: config.bodyLimitBytes,
    forceCloseConnections: 'idle',
    genReqId: requestId,
    routerOptions: { maxParamLength: maxParameterLength },
    serverFactory: (handle, { keepAliveTimeout }) => {
      const begin = boundPipelines(handle, (response, error) => { connectionErrors.refuse(response, error) })
      return createServer({
        keepAliveTimeout: keepAliveTimeout as number,
        requestTimeout: config.requestTimeoutMs,
        headersTimeout: config.requestTimeoutMs,
        // How often Node looks for requests that take too long.
        connectionsCheckingInterval: Math.min(config.requestTimeoutMs, 5000),
        // Node's own refusal would have no body.
        requireHostHeader: false
      }, (request, response) => {
        countChunks(request, response)
        dropUnread(request, response)
        begin(request, response)
      })
    },
    clientErrorHandler: (error, socket) => { connectionErrors.handle(error, socket) },
    frameworkErrors (error, request, reply) {
      logRequest(request, reply, services.metrics)
      sendError(reply.headers(firstHeaders(request.id)), toRequestError(error))
    }
  })
  installLogging(app, services.metrics)
  installErrorHandlers(app)
  await installHeaders(app, config.corsOrigins)
  connectionErrors.install(app)
  installSlowReaders(app, config.slowReaderTimeoutMs)
  installBodies(app, config.bodyLimitBytes, services.pending)
  installValidation(app)
  await installWebSockets(app, config.bodyLimitBytes)
  installAccess(app, config, services.keys)
  installFreshRewards(app, services)
  await installOpenApi(app, services.keys.areNeeded)
  await installInspector(app, config)
  for (const room of rooms) room(app, services)
  return app
}
