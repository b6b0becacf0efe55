/**
 * `GET /inspect/`: the inspector, a page that watches searches, compares answers and teaches rewards. Its files are
 * public, like `/docs`: they hold no data, and what they show is asked of the API with the key of whoever looks.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import fastifyStatic from '@fastify/static'
import type { FastifyInstance } from 'fastify'
import { RequestError } from '../../errors.js'
import { packageRoot } from '../../package-root.js'
import type { Config } from '../../settings.js'
import { isLoopback } from '../plugins/keys.js'

/** Where the page is. */
export const inspectorPath = '/inspect/'

const files = join(packageRoot, 'dist/src/inspector/page')

/** What the page may do: run its own files and call the server it came from, nothing else. */
const headers = {
  'content-security-policy': [
    "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' data: blob:", "connect-src 'self'",
    "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'"
  ].join('; '),
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin'
}

/** Whether the page is served: asked for, or by default where only this machine reaches the server. */
export function servesInspector ({ inspector, host }: Pick<Config, 'inspector' | 'host'>): boolean {
  return inspector === 'on' || (inspector === 'auto' && isLoopback(host) && existsSync(files))
}

/** @throws RequestError where the page was asked for and has not been built */
export async function installInspector (app: FastifyInstance, config: Config): Promise<void> {
  if (!servesInspector(config)) return
  if (!existsSync(files)) {
    throw new RequestError('invalid_request', 'inspector is on, but its files are missing; build them with npm run ' +
      'build', { param: 'inspector' })
  }
  await app.register(async scope => {
    scope.addHook('onRoute', route => {
      route.config = { ...route.config, access: 'public' }
      route.schema = { ...route.schema, hide: true }
    })
    scope.addHook('onSend', async (_, reply) => { reply.headers(headers) })
    scope.get(inspectorPath.slice(0, -1), (_, reply) => reply.redirect(inspectorPath.slice(1), 301))
    await scope.register(fastifyStatic, {
      root: files,
      prefix: inspectorPath,
      redirect: true,
      decorateReply: false,
      preCompressed: true,
      cacheControl: false,
      setHeaders (reply, path) {
        reply.setHeader('cache-control', /-[\dA-Z]{8}\.(js|css)(\.gz)?$/.test(path)
          ? 'public, max-age=31536000, immutable'
          : 'no-cache')
      }
    })
  })
}
