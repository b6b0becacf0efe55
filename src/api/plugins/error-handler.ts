/**
 * Every error as OpenAI's body: ours as they are, Fastify's and Node's translated, the rest a plain 500 whose cause is
 * in the log.
 */
import { maxHeaderSize } from 'node:http'
import type { FastifyBaseLogger, FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { RequestError } from '../../errors.js'

/**
 * A body that is larger than the settings allow, before it is decompressed or after.
 * @param size as far as it is known
 */
export const bodyTooLarge = (limit: number, size: number | null = null): RequestError =>
  new RequestError('body_too_large', `The body may have ${limit} bytes (body-limit-bytes); it has ${size ?? 'more'}`)

/** A path or a query that cannot be decoded. */
export const badUrl = (): RequestError =>
  new RequestError('invalid_request', 'The path and the query must be percent-encoded UTF-8: % itself is %25')

/** Longest part of a path that is one of its parameters, characters. */
export const maxParameterLength = 256

/** Errors of Fastify and of Node's HTTP parser. */
const translations: Readonly<Record<string, () => RequestError>> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: () =>
    new RequestError('unsupported_media_type', 'The body must have content-type application/json'),
  FST_ERR_BAD_URL: badUrl,
  FST_ERR_MAX_PARAM_LENGTH: () => new RequestError('uri_too_long',
    `An id or a name in a path may have ${maxParameterLength} characters; this one has more`),
  HPE_HEADER_OVERFLOW: () => new RequestError('headers_too_large',
    `The request line and the headers may have ${maxHeaderSize} bytes; they have more`),
  HPE_CHUNK_EXTENSIONS_OVERFLOW: () => new RequestError('body_too_large',
    'The extensions of the body’s chunks are too long'),
  ERR_HTTP_REQUEST_TIMEOUT: () => new RequestError('request_timeout',
    'The request was not sent within request-timeout-ms')
}

/** An error as callers see it. */
export function toRequestError (error: unknown): RequestError {
  if (error instanceof RequestError) return error
  const { code, statusCode, message } = error as Partial<FastifyError>
  const known = translations[code ?? '']
  if (known) return known()
  // Errors of Node's parser.
  if (code?.startsWith('HPE_')) return new RequestError('invalid_request', `The request is not HTTP/1.1 (${message})`)
  if (statusCode !== undefined && statusCode >= 400 &&
      statusCode < 500) return new RequestError('invalid_request', message ?? 'the request cannot be read')
  return new RequestError('internal_error', 'The server had an error while processing the request', { cause: error })
}

/** The same, and the log says what a bug was. */
export function reportedError (error: unknown, log: Pick<FastifyBaseLogger, 'error'>): RequestError {
  const reported = toRequestError(error)
  if (reported.code === 'internal_error') log.error(error)
  return reported
}

/** Sends an error with its status and, where waiting helps, when to try again. */
export function sendError (reply: FastifyReply, error: RequestError): void {
  if (error.retryAfterMs !== null) {
    reply.header('retry-after', Math.ceil(error.retryAfterMs / 1000)).header('retry-after-ms', error.retryAfterMs)
  }
  if (error.code === 'invalid_api_key') reply.header('www-authenticate', 'Bearer')
  const body = error.toBody()
  // Of a bug the caller learns what to ask the operator for: the line in the log has the same id.
  const message =
    error.code === 'internal_error' ? `${body.error.message} (request ${reply.request.id})` : body.error.message
  reply.code(error.status).send({ error: { ...body.error, message } })
}

/** What is known of a path: which methods it takes. */
interface KnownPath {
  readonly pattern: RegExp
  /** Whether it has no parameters. */
  readonly isFixed: boolean
  readonly methods: Set<string>
}

/** Remembers every route from now on, to tell a wrong method from a wrong path. */
function recordPaths (app: FastifyInstance): ReadonlyMap<string, KnownPath> {
  const paths = new Map<string, KnownPath>()
  app.addHook('onRoute', ({ url, method }) => {
    // A route for all paths, as preflight requests have, makes none of them known.
    if (url === '*') return
    const pattern = new RegExp(`^${url.replaceAll('.', '\\.').replaceAll(/:\w+/g, '[^/]+').replace('*', '.*')}$`)
    const known = paths.get(url) ?? { pattern, isFixed: !/[:*]/.test(url), methods: new Set() }
    paths.set(url, known)
    for (const one of [method].flat()) known.methods.add(one)
  })
  return paths
}

/** Says that a path or a method leads nowhere. */
function notFound ({ url, method }: FastifyRequest, reply: FastifyReply, known: readonly KnownPath[]): RequestError {
  const path = url.split('?')[0]!
  const matching = known.filter(({ pattern }) => pattern.test(path))
  // A path that is one route's own is not counted as a parameter of another's.
  const own = matching.filter(({ isFixed }) => isFixed)
  const methods = [...new Set((own.length > 0 ? own : matching).flatMap(one => [...one.methods]))]
  if (methods.length === 0) return new RequestError('not_found', `No route matches ${method} ${path}`)
  reply.header('allow', methods.join(', '))
  return new RequestError('method_not_allowed', `${path} takes ${methods.join(' or ')}; got ${method}`)
}

/** Sends what routes throw, and paths that are not there, in the API's form of an error. */
export function installErrorHandlers (app: FastifyInstance): void {
  const paths = recordPaths(app)
  app.setErrorHandler((error, request: FastifyRequest, reply) => {
    // Fastify closes connections with a body that is refused; here what is unread of it is dropped (unread-body.ts).
    if (!request.ws) reply.removeHeader('connection')
    // A body that cannot be read matters less than that nothing reads it.
    if (request.is404 && !(error instanceof RequestError)) {
      return sendError(reply, notFound(request, reply, [...paths.values()]))
    }
    const isTooLarge = (error as FastifyError).code === 'FST_ERR_CTP_BODY_TOO_LARGE'
    sendError(reply, isTooLarge ? bodyTooLarge(app.initialConfig.bodyLimit!) : reportedError(error, request.log))
  })
  app.setNotFoundHandler((request, reply) => { sendError(reply, notFound(request, reply, [...paths.values()])) })
}
