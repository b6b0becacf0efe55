/** `POST /v1/chat/completions`, whole or as a stream. */
import type { FastifyInstance, FastifyReply } from 'fastify'
import { RequestError } from '../../errors.js'
import { disconnectSignal } from '../disconnect.js'
import { toRequestError } from '../error-handler.js'
import { CompletionFormatter } from '../openai-format.js'
import { parseChatCompletion, type ChatCompletionRequest } from '../schemas/chat-completion.js'
import type { Services } from '../services.js'
import { EventStream } from '../sse.js'

async function whole ({ inference }: Services, request: ChatCompletionRequest, signal: AbortSignal, formatter: CompletionFormatter): Promise<object> {
  for await (const event of inference.generate(request.generate, { signal })) formatter.see(event)
  return formatter.completion()
}

/** Nothing is sent before the request is admitted, so that refusals have their status. */
async function stream ({ inference }: Services, request: ChatCompletionRequest, signal: AbortSignal, formatter: CompletionFormatter, reply: FastifyReply): Promise<void> {
  let frames: EventStream | null = null
  try {
    for await (const event of inference.generate(request.generate, { signal })) {
      if (event.type === 'start') {
        frames = new EventStream(reply)
        for (const chunk of formatter.roleChunks()) await frames.send(chunk, signal)
      }
      for (const chunk of formatter.chunks(event)) await frames!.send(chunk, signal)
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

export function chatCompletions (app: FastifyInstance, services: Services): void {
  app.post('/v1/chat/completions', async (httpRequest, reply) => {
    services.refuseIfDraining()
    const request = parseChatCompletion(httpRequest.body)
    if (request.ignored.length > 0) reply.header('x-fairlead-ignored', request.ignored.join(', '))
    const signal = disconnectSignal(reply)
    const formatter = new CompletionFormatter(request, services.inference.model)
    try {
      if (!request.stream) return await whole(services, request, signal, formatter)
      await stream(services, request, signal, formatter, reply)
      return reply
    } catch (error) {
      if (signal.aborted) throw new RequestError('request_cancelled', 'the caller left')
      throw error
    }
  })
}
