/** The HTTP and WebSocket application. Knows routes and limits, not the engine. */
import { fastify, LogController, type FastifyInstance } from 'fastify'
import { chatCompletions } from './chat/chat-completions-route.js'
import { completions } from './completions/completions-route.js'
import { embeddings } from './embeddings/embeddings-route.js'
import { feedback } from './feedback/feedback-route.js'
import { models } from './models/models-route.js'
import { health } from './operations/health-route.js'
import { metrics } from './operations/metrics-route.js'
import { installAccess } from './plugins/access.js'
import { installErrorHandlers } from './plugins/error-handler.js'
import { installHeaders, requestId } from './plugins/headers.js'
import { installLogging } from './plugins/logging.js'
import { refuseDeep } from './plugins/nesting-limit.js'
import { installOpenApi } from './plugins/openapi.js'
import { logStream } from './plugins/text-log.js'
import { installValidation } from './plugins/validation.js'
import { responses } from './responses/responses-route.js'
import { rewards } from './rewards/rewards-route.js'
import { score } from './rewards/score-route.js'
import { keepSchemaTexts } from './schemas/schema-text.js'
import type { Services } from './services.js'
import { stream } from './stream/stream-route.js'
import { tokens } from './tokens/tokens-route.js'
import { installWebSockets } from './transport/web-sockets.js'

/** What the server answers: a room each, as its paths begin. */
const rooms = [chatCompletions, completions, responses, embeddings, rewards, score, feedback, stream, models, tokens,
  health, metrics]

/** All routes of the server, not yet listening. */
export async function buildApp (services: Services): Promise<FastifyInstance> {
  const { config } = services
  const app = fastify({
    logger: { level: config.logLevel, stream: logStream(config) },
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: config.bodyLimitBytes,
    exposeHeadRoutes: false,
    forceCloseConnections: 'idle',
    genReqId: requestId
  })
  // Fastify reads text bodies too; a body that is not JSON is a mistake here.
  app.removeContentTypeParser('text/plain')
  // Clients name the content type of requests without a body, too.
  const parseJson = app.getDefaultJsonParser('error', 'error')
  app.addContentTypeParser<string>('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body === '') done(null)
    else {
      parseJson(request, body, (error, value) => {
        if (!error) keepSchemaTexts(body, value)
        done(error, value)
      })
    }
  })
  installLogging(app, services.metrics)
  installErrorHandlers(app)
  await installHeaders(app, config.corsOrigins)
  app.addHook('preValidation', async ({ body }) => { refuseDeep(body) })
  installValidation(app)
  await installWebSockets(app, config.bodyLimitBytes)
  installAccess(app, config, services.keys)
  await installOpenApi(app, services.keys.areNeeded)
  for (const room of rooms) room(app, services)
  return app
}
