/**
 * Subprotocols of a WebSocket handshake. Web pages cannot send an Authorization header with one: as with OpenAI, they
 * offer their key as the subprotocol `openai-insecure-api-key.KEY` beside another, which is the one that is chosen.
 */
import type { IncomingHttpHeaders } from 'node:http'

const keyPrefix = 'openai-insecure-api-key.'

/** What begins subprotocols that say who calls, none of which is ever chosen. */
const credentials = [keyPrefix, 'openai-organization.', 'openai-project.']

/** A name in a header, as RFC 9110 §5.6.2 has it. */
const token = /^[!#$%&'*+.^_`|~\w-]+$/

/** The subprotocols that a handshake offers, none where it offers none; null where they are no list of names. */
export function offeredProtocols (headers: IncomingHttpHeaders): readonly string[] | null {
  const value = headers['sec-websocket-protocol']
  if (value === undefined) return []
  const names = value.split(',').map(name => name.trim())
  return names.every(name => token.test(name)) && new Set(names).size === names.length ? names : null
}

/** The API key among the subprotocols that a handshake offers; null where there is none. */
export function keyOffered (headers: IncomingHttpHeaders): string | null {
  return offeredProtocols(headers)?.find(name => name.startsWith(keyPrefix))?.slice(keyPrefix.length) ?? null
}

/** The first subprotocol that is offered and says nothing of who calls; false where there is none. */
export const chosenProtocol = (offered: Iterable<string>): string | false =>
  [...offered].find(name => !credentials.some(prefix => name.startsWith(prefix))) ?? false
