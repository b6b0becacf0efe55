/** The API described from the schemas that check it: `/openapi.json`, and `/docs` to read it in a browser. */
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyContextConfig, FastifyInstance } from 'fastify'
import { Type, type TSchema } from 'typebox'
import { alignmentSchema } from '../../decoding/strategies/strategy-schemas.js'
import { packageVersion } from '../../package-root.js'
import { errorObject } from '../schemas/answer-schemas.js'

type Schema = Record<string, unknown>

/** A schema as callers see it: fields with a default need not be given, and null is their absence. */
function published (schema: Schema): Schema {
  const properties = schema['properties'] as Record<string, Schema> | undefined
  const copy: Schema = { ...schema }
  if (properties) {
    copy['properties'] = Object.fromEntries(Object.entries(properties).map(([name, one]) => {
      const inner = published(one)
      return [name, 'default' in one ? { anyOf: [inner, { type: 'null' }] } : inner]
    }))
    const required =
      (schema['required'] as string[] | undefined ?? []).filter(name => !('default' in properties[name]!))
    if (required.length > 0) copy['required'] = required
    else delete copy['required']
  }
  if (schema['items']) copy['items'] = published(schema['items'] as Schema)
  if (schema['anyOf']) copy['anyOf'] = (schema['anyOf'] as Schema[]).map(published)
  return copy
}

/** A body's schema: fields that it does not know are passed over, and `alignment` is what the strategies say. */
function publishedBody (schema: TSchema): Schema {
  const { additionalProperties: _, ...body } = published(JSON.parse(JSON.stringify(schema)) as Schema)
  const properties = body['properties'] as Record<string, Schema>
  if (properties['alignment']) {
    properties['alignment'] = {
      ...properties['alignment'],
      anyOf: [published(JSON.parse(JSON.stringify(alignmentSchema)) as Schema), { type: 'null' }]
    }
  }
  return body
}

/** What a route says of itself: schemas, who may call it. */
export interface Documentation {
  readonly body?: TSchema
  readonly params?: TSchema
  readonly query?: TSchema
  readonly response?: TSchema
  /** Whether the answer may be server-sent events. */
  readonly streams?: boolean
  readonly access?: NonNullable<FastifyContextConfig['access']>
  /** Whether the answer is a WebSocket. */
  readonly upgrades?: boolean
  /** What the response is, where it is not JSON. */
  readonly contentType?: string
}

/**
 * A route's options: what it takes and gives, and who may call it. Bodies are checked by their own readers; these
 * schemas describe.
 */
export function documented (summary: string, {
  body, params, query, response, streams = false, upgrades = false, access = 'inference',
  contentType = 'application/json'
}: Documentation): { schema: Schema, config: FastifyContextConfig } {
  const content = {
    [contentType]: { schema: response ?? Type.String() },
    ...(streams ? { 'text/event-stream': { schema: Type.String() } } : {})
  }
  const failure = { description: 'an error', content: { 'application/json': { schema: errorObject } } }
  return {
    schema: {
      summary,
      ...(body ? { body: publishedBody(body) } : {}),
      ...(params ? { params } : {}),
      ...(query ? { querystring: published(JSON.parse(JSON.stringify(query)) as Schema) } : {}),
      response: {
        ...(upgrades ? { 101: { description: 'a WebSocket' } } : { 200: { description: 'the answer', content } }),
        '4xx': failure,
        '5xx': failure
      },
      ...(access === 'public' ? { security: [] } : {})
    },
    config: { access }
  }
}

/** To be called before the routes that are to be described. @param needsKeys whether callers must send an API key */
export async function installOpenApi (app: FastifyInstance, needsKeys: boolean): Promise<void> {
  // Schemas describe and neither check nor strip: readers of bodies do the first, nobody the second.
  app.setValidatorCompiler(() => () => true)
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
    docs.get('/openapi.json', { schema: { hide: true } }, () => app.swagger())
  })
}
