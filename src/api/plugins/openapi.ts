/** The API described from the schemas that check it: `/openapi.json`, and `/docs` to read it in a browser. */
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyContextConfig, FastifyInstance, RouteShorthandOptions } from 'fastify'
import { Type, type TObject, type TSchema } from 'typebox'
import type { Checker } from '../../checker.js'
import { packageVersion } from '../../package-root.js'
import { errorObject } from '../schemas/answer-schemas.js'
import { validatorOf } from './validation.js'

type Schema = Record<string, unknown>

const orNull = (schema: Schema): Schema => ({ anyOf: [schema, { type: 'null' }] })

/** A schema as callers see it: fields with a default need not be given, and null is the absence of any field. */
function published ({ 'x-checked-apart': _, ...schema }: Schema): Schema {
  const { properties, required, items } = schema as {
    properties?: Record<string, Schema>, required?: string[], items?: Schema
  }
  for (const key of ['anyOf', 'oneOf']) {
    if (schema[key]) schema[key] = (schema[key] as Schema[]).map(published)
  }
  if (items) schema['items'] = published(items)
  if (properties) {
    const needed = required?.filter(name => !('default' in properties[name]!)) ?? []
    schema['properties'] = Object.fromEntries(Object.entries(properties).map(([name, one]) =>
      [name, needed.includes(name) || one['not'] ? published(one) : orNull(published(one))]))
    schema['required'] = needed
  }
  return schema
}

const publishedOf = ({ schema }: Checker<TObject>): Schema => published(JSON.parse(JSON.stringify(schema)) as Schema)

/** What a route says of itself: schemas, who may call it. */
export interface Documentation {
  readonly body?: Checker<TObject>
  readonly params?: TObject
  readonly query?: Checker<TObject>
  readonly response?: TSchema
  /** Whether the answer may be server-sent events. */
  readonly streams?: boolean
  readonly access?: NonNullable<FastifyContextConfig['access']>
  /** Whether the answer is a WebSocket. */
  readonly upgrades?: boolean
  /** What the response is, where it is not JSON. */
  readonly contentType?: string
}

/** A route's options: what it takes and gives, and who may call it. */
export function documented (summary: string, {
  body, params, query, response, streams = false, upgrades = false, access = 'inference',
  contentType = 'application/json'
}: Documentation): Pick<RouteShorthandOptions, 'schema' | 'config' | 'validatorCompiler'> {
  const content = {
    [contentType]: { schema: response ?? Type.String() },
    ...(streams ? { 'text/event-stream': { schema: Type.String() } } : {})
  }
  const failure = { description: 'an error', content: { 'application/json': { schema: errorObject } } }
  return {
    schema: {
      summary,
      ...(body ? { body: publishedOf(body) } : {}),
      ...(params ? { params } : {}),
      ...(query ? { querystring: publishedOf(query) } : {}),
      response: {
        ...(upgrades ? { 101: { description: 'a WebSocket' } } : { 200: { description: 'the answer', content } }),
        '4xx': failure,
        '5xx': failure
      },
      ...(access === 'public' ? { security: [] } : {})
    },
    config: { access },
    validatorCompiler: ({ httpPart }) => {
      const checker = { body, querystring: query }[httpPart as 'body' | 'querystring']
      return checker ? validatorOf(checker) : () => true
    }
  }
}

/** To be called before the routes that are to be described. @param needsKeys whether callers must send an API key */
export async function installOpenApi (app: FastifyInstance, needsKeys: boolean): Promise<void> {
  // Answers are sent as they are: their schemas describe.
  app.setSerializerCompiler(() => data => JSON.stringify(data))
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Fairlead', version: packageVersion, description: 'OpenAI’s API with reward-guided decoding' },
      ...(needsKeys
        ? { components: { securitySchemes: { key: { type: 'http', scheme: 'bearer' } } }, security: [{ key: [] }] }
        : {})
    }
  })
  await app.register(async docs => {
    docs.addHook('onRoute', route => { route.config = { ...route.config, access: 'public' } })
    await docs.register(swaggerUi, { routePrefix: '/docs' })
    // Written once, before anybody waits.
    let text = ''
    app.addHook('onReady', async () => { text = JSON.stringify(app.swagger()) })
    docs.get('/openapi.json', { schema: { hide: true } }, (_, reply) => reply.type('application/json').send(text))
  })
}
