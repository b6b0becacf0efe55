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
export const headerList = (names: readonly string[]): string => shownNames(names, name =>
  // Through UTF-8 first: half of a surrogate pair cannot be encoded.
  encodeURIComponent(Buffer.from(name).toString())).join(', ')

/**
 * As many names that a caller made up as a header has room for, and how many more there are.
 * @param write how a name is written
 */
export function shownNames (names: readonly string[], write = (name: string): string => name): string[] {
  const shown: string[] = []
  let length = 0
  for (const name of names) {
    const written = write(name.slice(0, 64))
    length += written.length + 2
    // With room for how many more there are.
    if (length > maxHeaderLength - 24) return [...shown, `and ${names.length - shown.length} more`]
    shown.push(written)
  }
  return shown
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
    // A query that no checker has read is read by nobody.
    const names =
      [ignoredIn.get(Object(query)) ?? Object.keys(query as object), ignoredIn.get(Object(body)) ?? []].flat()
    if (names.length > 0) reply.header('x-fairlead-ignored', headerList(names))
  })
}
