/**
 * Who may call what, decided before anything is read: the Host that a server on loopback is called by, so that no web
 * page reaches it under a name of its own; the Origin of WebSockets, which browsers do not guard; the API key; the role
 * that a route needs; the key's limit of requests.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Config } from '../../settings.js'
import { RequestError } from '../../errors.js'
import { keyOffered } from '../transport/subprotocols.js'
import { isLoopback, type Caller, type Keys, type Role } from './keys.js'
import { probes } from './logging.js'

declare module 'fastify' {
  interface FastifyRequest { caller: Caller }
  interface FastifyContextConfig {
    /** Who may call the route: anybody, or callers with a role; default `inference`. */
    access?: 'public' | Role
  }
}

const loopbackNames = ['localhost', '127.0.0.1', '[::1]']

/** A Host header's name, without the port. */
const hostName = (host: string): string => host.toLowerCase().replace(/:\d+$/, '')

function checkHost ({ raw, routeOptions }: FastifyRequest, { host, allowedHosts }: Config): void {
  const count = raw.rawHeaders.filter((name, index) => index % 2 === 0 && name.toLowerCase() === 'host').length
  if (count > 1 || (count === 0 && raw.httpVersion === '1.1')) {
    throw new RequestError('invalid_request', `A request must have one Host header; this one has ${count}`)
  }
  if (!isLoopback(host) && allowedHosts.length === 0) return
  // Orchestrators and scrapers call by the address that they happen to know, and read nothing that is worth stealing.
  if (probes.includes(routeOptions.url ?? '')) return
  const name = hostName(raw.headers.host ?? '')
  if ([...loopbackNames, host, ...allowedHosts.map(one => one.toLowerCase())].includes(name)) return
  throw new RequestError('permission_denied',
    `Host ${JSON.stringify(name)} is not allowed; add it to allowed-hosts`)
}

/** A browser sends Origin with a WebSocket handshake and leaves the decision to the server. */
function checkOrigin (request: FastifyRequest, { corsOrigins }: Config): void {
  const { origin, upgrade, host } = request.headers
  if (upgrade?.toLowerCase() !== 'websocket' || origin === undefined || corsOrigins.includes('*') ||
      corsOrigins.includes(origin)) return
  if (URL.canParse(origin) && new URL(origin).host === host) return
  throw new RequestError('permission_denied',
    `Pages of ${JSON.stringify(origin)} may not open WebSockets here; origins that may are listed in cors-origins`)
}

/** What says who calls: the header, or what web pages have in its place for WebSockets. */
function credentialsOf ({ headers, ws }: FastifyRequest): string | undefined {
  const key = ws ? keyOffered(headers) : null
  return headers.authorization ?? (key === null ? undefined : `Bearer ${key}`)
}

/** Paths that lead nowhere are answered so, whoever asks. */
const isPublic = ({ routeOptions, is404 }: FastifyRequest): boolean =>
  is404 || routeOptions.config.access === 'public'

function checkRole ({ caller, method, routeOptions: { url, config } }: FastifyRequest, keys: Keys): void {
  if (config.access !== 'admin' || caller.role === 'admin') return
  throw new RequestError('permission_denied', `${method} ${url} needs an API key with the role admin${keys.areNeeded
    ? ''
    : '; this server can be reached from other machines and has no such key (admin-keys, api-keys-file)'}`)
}

/**
 * Asks every request for its host name, and for a key where its route wants one; then `request.caller` is there, and
 * the request is counted.
 */
export function installAccess (app: FastifyInstance, config: Config, keys: Keys): void {
  app.decorateRequest('caller', null as unknown as Caller)
  app.addHook('onRequest', async (request, reply) => {
    checkHost(request, config)
    checkOrigin(request, config)
    if (isPublic(request)) return
    request.caller = keys.find(credentialsOf(request), request.ip)
    // Its answer tells what is left.
    await request.caller.countRequest(headers => { reply.headers(headers) })
    checkRole(request, keys)
  })
}
