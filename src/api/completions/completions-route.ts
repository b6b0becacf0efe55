/** `POST /v1/completions`, OpenAI's legacy endpoint: prompts that no template touches, whole or as a stream. */
import { setMaxListeners } from 'node:events'
import type { FastifyInstance } from 'fastify'
import { EventQueue } from '../../decoding/event-queue.js'
import { requestCancelled } from '../../errors.js'
import type { GenerationEvent } from '../../serving/protocol.js'
import { checkPromptTokens } from '../../serving/request-rules.js'
import type { Config } from '../../settings.js'
import { answer } from '../transport/answer.js'
import { CompletionFormatter, type PromptEvent } from './completion-formatter.js'
import { documented } from '../plugins/openapi.js'
import { completionBody, parseCompletion, type CompletionBody } from './completion-schema.js'
import { completionObject } from './completion-types.js'
import type { Services } from '../services.js'

/**
 * The events of several prompts as they come, the first once all are accepted. If one fails, the others end; so they do
 * when they have too many tokens together.
 */
async function * merged (
  start: (prompt: number, signal: AbortSignal) => AsyncIterable<GenerationEvent>, prompts: number, config: Config,
  signal: AbortSignal
): AsyncGenerator<PromptEvent, void, undefined> {
  const controller = new AbortController()
  const events = new EventQueue<PromptEvent>()
  const either = AbortSignal.any([signal, controller.signal])
  // Every prompt listens.
  setMaxListeners(0, either)
  events.endWith(Promise.all(Array.from({ length: prompts }, async (_, prompt) => {
    for await (const event of start(prompt, either)) events.push({ prompt, event })
  })))
  let [accepted, promptTokens] = [0, 0]
  const held: PromptEvent[] = []
  try {
    for await (const event of events) {
      if (event.event.type === 'accepted') {
        accepted++
        promptTokens += event.event.promptTokens
        checkPromptTokens(config, promptTokens, 'prompt')
      }
      held.push(event)
      if (accepted === prompts) yield * held.splice(0)
    }
  } finally {
    controller.abort(requestCancelled())
  }
}

export function completions (app: FastifyInstance, services: Services): void {
  const { config } = services
  app.post<{ Body: CompletionBody }>('/v1/completions', documented('Goes on from a text',
    { body: completionBody, response: completionObject, streams: true }), async (request, reply) => {
    services.refuseIfDraining()
    const parsed = parseCompletion(request.body, services.catalog, config.maxTokensPerRequest)
    return await answer(request, reply, {
      ...parsed,
      services,
      formatter: new CompletionFormatter(parsed),
      events: signal => merged(
        (prompt, either) => services.generate(parsed.generations[prompt]!, parsed.shown, request, either),
        parsed.generations.length, config, signal)
    })
  })
}
