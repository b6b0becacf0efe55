/**
 * How bodies are read: in no more pieces than take a moment, decompressed where they say that they are compressed, and
 * as JSON.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { IncomingMessage } from 'node:http'
import { createGunzip, createInflate, type Gunzip, type Inflate } from 'node:zlib'
import { Transform, type Readable } from 'node:stream'
import { RequestError } from '../../errors.js'
import type { PendingBytes } from '../../serving/pending-bytes.js'
import { hasTooManyChunks, maxChunks } from '../transport/chunks.js'
import { readJson } from '../transport/read-json.js'
import { Turns } from '../transport/turns.js'
import { clientNetwork } from './client-network.js'
import { bodyTooLarge } from './error-handler.js'

/**
 * Content encodings that are read. Not Brotli: a few bytes make its decoder hold a window of 16 MB, for every request.
 */
const decoders: Readonly<Record<string, () => Gunzip | Inflate>> = {
  gzip: createGunzip, 'x-gzip': createGunzip, deflate: createInflate
}
const offered = 'gzip, deflate'

/** From how many bytes on a body is read in a turn of the event loop of its own. */
const longBody = 1 << 16

/** A body with transfer-encoding chunked; one of too many chunks is refused. */
function boundedChunks (body: IncomingMessage): Readable {
  const bounded = Object.assign(new Transform({
    transform (chunk: Buffer, _encoding, done) {
      bounded.receivedEncodedLength += chunk.length
      if (!hasTooManyChunks(body)) return done(null, chunk)
      done(new RequestError('body_too_large', `The body may come in ${maxChunks} chunks; it comes in more`))
    }
  }), { receivedEncodedLength: 0 })
  body.once('error', error => { bounded.destroy(error) })
  // Of a request whose method has no body nobody reads it: who reads listens, too.
  bounded.on('error', () => {})
  return body.pipe(bounded)
}

/** A compressed body as it was before; never more of it than the limit. */
function decoded (body: Readable, encoding: string, limit: number): Readable {
  const decoder = Object.assign(decoders[encoding]!(), { receivedEncodedLength: 0 })
  let length = 0
  body.on('data', (chunk: Buffer) => { decoder.receivedEncodedLength += chunk.length })
  body.once('error', error => { decoder.destroy(error) })
  decoder.on('data', (chunk: Buffer) => {
    length += chunk.length
    if (length > limit) decoder.destroy(bodyTooLarge(limit))
  })
  decoder.prependOnceListener('error', (error: Error & { code?: string }) => {
    // What is left of the body is read, so that the connection can be used for the answer.
    body.resume()
    if (!error.code?.startsWith('Z_')) return
    error.message = `The body is not ${encoding}, as content-encoding says (${error.message})`
  })
  return body.pipe(decoder)
}

/** @throws RequestError for a content type that names another charset than JSON's only one */
function checkCharset ({ headers }: FastifyRequest): void {
  const [, charset = 'utf-8'] = /;\s*charset\s*=\s*"?([^\s;"]+)/i.exec(headers['content-type'] ?? '') ?? []
  // ASCII is UTF-8.
  if (/^(utf-?8|us-ascii)$/i.test(charset)) return
  throw new RequestError('unsupported_media_type',
    `charset of content-type must be utf-8; got ${JSON.stringify(charset)}`)
}

/** Bytes that a body may come to; 0 where there is none. */
function largest ({ headers }: FastifyRequest, limit: number): number {
  const length = Number(headers['content-length'] ?? 0)
  const isOpen = headers['transfer-encoding'] !== undefined || (length > 0 && headers['content-encoding'] !== undefined)
  return isOpen ? limit : Math.min(length, limit)
}

/**
 * To be called before the routes.
 * @param limit bytes that a body may have, before it is decompressed and after
 * @param pending counts bodies until their requests are answered; of paths that ask for no key by address
 */
export function installBodies (app: FastifyInstance, limit: number, pending: PendingBytes): void {
  app.addHook('preParsing', async (request, reply, payload) => {
    const size = largest(request, limit)
    if (size === 0) return payload
    const length = Number(request.headers['content-length'] ?? 0)
    if (length > limit && !request.is404) throw bodyTooLarge(limit, length)
    checkCharset(request)
    reply.raw.once('close', pending.take(request.caller?.turn ?? clientNetwork(request.ip), size))
    const body = request.headers['transfer-encoding'] === undefined ? payload : boundedChunks(request.raw)
    const encoding = (request.headers['content-encoding'] ?? 'identity').trim().toLowerCase()
    if (encoding === 'identity' || encoding === '' || request.is404) return body
    if (Object.hasOwn(decoders, encoding)) return decoded(body, encoding, limit)
    reply.header('accept-encoding', offered)
    throw new RequestError('unsupported_media_type',
      `content-encoding must be one of ${offered}, identity; got ${JSON.stringify(encoding)}`)
  })
  // Fastify reads text bodies too; a body that is not JSON is a mistake here.
  app.removeContentTypeParser('text/plain')
  const turns = new Turns()
  app.addContentTypeParser<Buffer>('application/json', { parseAs: 'buffer' }, ({ is404 }, body, done) => {
    // Clients name the content type of requests without a body, too; one that nothing reads is not judged.
    if (body.length === 0 || is404) return done(null)
    const read = (): void => {
      let value: unknown
      try {
        value = readJson(body, 'The body', limit)
      } catch (error) {
        return done(error as Error)
      }
      done(null, value)
    }
    if (body.length < longBody) read()
    else turns.take(read)
  })
}
