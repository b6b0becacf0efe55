/**
 * Answers a request from the events of its generation: as one object, or as a stream that begins with the first chunk.
 */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { disconnectSignal } from './disconnect.js'
import { reportedError } from '../plugins/error-handler.js'
import type { Services } from '../services.js'
import type { Formatter } from './formatter.js'
import { EventStream } from './sse.js'

/** An answer that is about to be sent, whole or as a stream. */
export interface Answering<E> {
  readonly services: Services
  readonly stream: boolean
  readonly formatter: Formatter<E>
  /** Starts the work. */
  readonly events: (signal: AbortSignal) => AsyncIterable<E>
}

async function whole<E> ({ events, formatter }: Answering<E>, signal: AbortSignal): Promise<object> {
  for await (const event of events(signal)) await formatter.see(event)
  return formatter.completion()
}

async function * chunksOf<E> (
  { events, formatter }: Answering<E>, signal: AbortSignal
): AsyncGenerator<object, void, undefined> {
  for await (const event of events(signal)) yield * await formatter.chunks(event)
}

/** How a stream is sent and how it ends. */
export interface Sending {
  readonly services: Services
  readonly signal: AbortSignal
  readonly formatter: Pick<Formatter<never>, 'failure' | 'closing'>
}

/**
 * Sends chunks as they come. Nothing is sent before the first, so that refusals have their status.
 * @throws what the chunks throw before the first one
 */
export async function sendStream (
  reply: FastifyReply, chunks: AsyncIterable<object>, { services, signal, formatter }: Sending
): Promise<void> {
  const open = (): EventStream => new EventStream(reply, services.config.slowReaderTimeoutMs)
  // Of a stream HEAD has the headers only.
  if (reply.request.method === 'HEAD') return open().end()
  let frames: EventStream | null = null
  try {
    for await (const chunk of chunks) await (frames ??= open()).send(chunk, signal)
    // Of a response that is read on from its end there is none.
    frames ??= open()
    for (const frame of formatter.closing) await frames.send(frame, signal)
  } catch (error) {
    if (!frames) throw error
    // Nobody reads on.
    if (signal.aborted) return
    const failure = await formatter.failure(reportedError(error, reply.log))
    for (const frame of [...failure, ...formatter.closing]) await frames.send(frame, signal)
  } finally {
    frames?.end()
  }
}

/** @throws RequestError as the generation does, before anything is sent */
export async function answer<E> (
  request: FastifyRequest, reply: FastifyReply, answering: Answering<E>
): Promise<unknown> {
  const signal = disconnectSignal(reply)
  const release = await answering.services.begin(request.caller)
  if (signal.aborted) release()
  else reply.raw.once('close', release)
  try {
    if (!answering.stream) return await whole(answering, signal)
    await sendStream(reply, chunksOf(answering, signal), { ...answering, signal })
    return reply
  } finally {
    release()
  }
}
