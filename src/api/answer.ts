/** Answers a request from the events of its generation: as one object, or as a stream that begins with the first chunk. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { RequestError } from '../errors.js'
import { disconnectSignal } from './disconnect.js'
import { toRequestError } from './error-handler.js'
import type { Formatter } from './openai-format.js'
import { EventStream } from './sse.js'

export interface Answering<E> {
  readonly stream: boolean
  /** Top-level fields of the body that nobody knows. */
  readonly ignored: readonly string[]
  readonly formatter: Formatter<E>
  /** Starts the work. */
  readonly events: (signal: AbortSignal) => AsyncIterable<E>
  /** How long a reader may take nothing, ms. */
  readonly slowReaderTimeoutMs: number
}

async function whole<E> ({ events, formatter }: Answering<E>, signal: AbortSignal): Promise<object> {
  for await (const event of events(signal)) formatter.see(event)
  return formatter.completion()
}

/** Nothing is sent before the first chunk, so that refusals have their status. */
async function streamed<E> ({ events, formatter, slowReaderTimeoutMs }: Answering<E>, signal: AbortSignal, reply: FastifyReply): Promise<void> {
  let frames: EventStream | null = null
  try {
    for await (const event of events(signal)) {
      for (const chunk of formatter.chunks(event)) await (frames ??= new EventStream(reply, slowReaderTimeoutMs)).send(chunk, signal)
    }
    await frames?.send('[DONE]', signal)
  } catch (error) {
    if (!frames) throw error
    const told = toRequestError(error)
    if (told.code === 'internal_error' && !signal.aborted) reply.log.error(error)
    if (!signal.aborted) {
      await frames.send(told.toBody(), signal)
      await frames.send('[DONE]', signal)
    }
  } finally {
    frames?.end()
  }
}

/** @throws RequestError as the generation does, before anything is sent */
export async function answer<E> (request: FastifyRequest, reply: FastifyReply, answering: Answering<E>): Promise<unknown> {
  const release = request.caller.take()
  reply.raw.once('close', release)
  const signal = disconnectSignal(reply)
  if (answering.ignored.length > 0) reply.header('x-fairlead-ignored', answering.ignored.join(', '))
  try {
    if (!answering.stream) return await whole(answering, signal)
    await streamed(answering, signal, reply)
    return reply
  } catch (error) {
    if (signal.aborted) throw new RequestError('request_cancelled', 'the caller left')
    throw error
  } finally {
    release()
  }
}
