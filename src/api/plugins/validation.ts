/**
 * What a route takes is checked before its handler is called, by the same checkers as WebSockets use; fields that are
 * ignored are named in the header `x-fairlead-ignored`.
 */
import type { FastifyInstance } from 'fastify'
import type { TObject } from 'typebox'
import type { Checker } from '../../checker.js'
import { badUrl } from './error-handler.js'

/** Names of ignored fields, by the checked object that they were left out of. */
const ignoredIn = new WeakMap<object, readonly string[]>()

/** What checks a part of a request for Fastify. */
type Validate = (value: unknown) => { readonly value: object } | { readonly error: Error }

/** Compiles a checker, for Fastify to call. */
export function validatorOf (checker: Checker<TObject>): Validate {
  checker.compile()
  return given => {
    try {
      const { value, ignored } = checker.read(given ?? undefined)
      ignoredIn.set(value, ignored)
      return { value }
    } catch (error) {
      return { error: error as Error }
    }
  }
}

/** Longest header, characters. */
const maxHeaderLength = 1024

/** Names that a caller made up, as a header can hold them: percent-encoded, as many as it has room for. */
export function headerList (names: readonly string[]): string {
  const shown: string[] = []
  let length = 0
  for (const name of names) {
    // Through UTF-8 first: half of a surrogate pair cannot be encoded.
    const encoded = encodeURIComponent(Buffer.from(name.slice(0, 64)).toString())
    length += encoded.length + 2
    // With room for how many more there are.
    if (length > maxHeaderLength - 24) return [...shown, `and ${names.length - shown.length} more`].join(', ')
    shown.push(encoded)
  }
  return shown.join(', ')
}

/** What a query's escapes stand for is text: Fastify would take those that are not UTF-8 as they are. */
function checkQuery (url: string): void {
  try {
    decodeURIComponent(url.slice(url.indexOf('?') + 1))
  } catch {
    throw badUrl()
  }
}

/** To be called before the routes. */
export function installValidation (app: FastifyInstance): void {
  app.addHook('onRequest', async ({ url }) => { checkQuery(url) })
  app.addHook('preHandler', async ({ body, query }, reply) => {
    const names = [query, body].flatMap(part => ignoredIn.get(Object(part)) ?? [])
    if (names.length > 0) reply.header('x-fairlead-ignored', headerList(names))
  })
}
