/**
 * Who may call what, decided before anything is read: the Host that a server on loopback is called by, so that no web
 * page reaches it under a name of its own; the Origin of WebSockets, which browsers do not guard; the API key; the role
 * that a route needs.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Config } from '../../settings.js'
import { RequestError } from '../../errors.js'
import type { Caller, Keys, Role } from './keys.js'

declare module 'fastify' {
  interface FastifyRequest { caller: Caller }
  interface FastifyContextConfig {
    /** Who may call the route: anybody, or callers with a role; default `inference`. */
    access?: 'public' | Role
  }
}

const loopbackNames = ['localhost', '127.0.0.1', '[::1]']

/** Whether an address can be reached from this machine only. */
export const isLoopback = (host: string): boolean => host === 'localhost' || host === '::1' || host.startsWith('127.')

/** A Host header's name, without the port. */
const hostName = (host: string): string => host.toLowerCase().replace(/:\d+$/, '')

function checkHost (request: FastifyRequest, { host, allowedHosts }: Config): void {
  if (!isLoopback(host) && allowedHosts.length === 0) return
  const name = hostName(request.headers.host ?? '')
  if ([...loopbackNames, host, ...allowedHosts].includes(name)) return
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

function checkRole (request: FastifyRequest, keys: Keys): void {
  const access = request.routeOptions.config.access ?? 'inference'
  // Paths that lead nowhere are answered so, whoever asks.
  if (access === 'public' || request.is404) return
  request.caller = keys.find(request.headers.authorization, request.ip)
  if (access === 'admin' && request.caller.role !== 'admin') {
    throw new RequestError('permission_denied',
      `${request.method} ${request.routeOptions.url} needs an API key with the role admin`)
  }
}

/** Asks every request for its host name, and for a key where its route wants one; then `request.caller` is there. */
export function installAccess (app: FastifyInstance, config: Config, keys: Keys): void {
  app.decorateRequest('caller', null as unknown as Caller)
  app.addHook('onRequest', async request => {
    checkHost(request, config)
    checkOrigin(request, config)
    checkRole(request, keys)
  })
}
