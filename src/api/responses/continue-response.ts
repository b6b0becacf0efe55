/** What every way to `/v1/responses` has in common: a request goes on from a kept response, and is kept itself. */
import type { FastifyRequest } from 'fastify'
import { RequestError } from '../../errors.js'
import { refuse } from '../../validation.js'
import { BackgroundResponse } from './background-response.js'
import type { Caller } from '../plugins/keys.js'
import { ResponseFormatter } from './response-formatter.js'
import type { KeptResponse } from './stored-response.js'
import { withoutScores } from './item-schema.js'
import { parseResponseCreate, type ResponseBody, type ResponseRequest } from './response-create-schema.js'
import type { Services } from '../services.js'
import type { ResponseItem } from './response-types.js'

/** What a response read and answered. @throws RequestError while it is being written */
function conversationOf ({ input, response: { id, status, output } }: KeptResponse): readonly ResponseItem[] {
  if (status === 'queued' ||
      status === 'in_progress') throw refuse('previous_response_id', 'must name a response that has ended', id)
  return [...input, ...output.map(withoutScores)]
}

/**
 * What a checked body asks for.
 * @param find how a response is found that this one goes on from
 * @throws RequestError for fields that contradict each other; previous_response_not_found
 */
export function readResponseCreate (
  body: ResponseBody, { catalog }: Services, find: (id: string) => KeptResponse | null
): ResponseRequest {
  return parseResponseCreate(body, catalog, id => {
    const kept = find(id)
    if (!kept) {
      throw new RequestError('previous_response_not_found', `Previous response with id ${JSON.stringify(id)} not ` +
        'found: it was not stored, was deleted or evicted (stored-responses)',
      { param: 'previous_response_id' })
    }
    return conversationOf(kept)
  })
}

/**
 * A formatter whose response is kept once it has ended.
 * @param keep what keeps it; default the store, if the request wishes it
 */
export function keptFormatter (
  request: ResponseRequest, { responses }: Services, caller: Caller, keep?: (kept: KeptResponse) => void
): ResponseFormatter {
  const formatter: ResponseFormatter = new ResponseFormatter(request, () => {
    const kept = { input: request.input, response: formatter.completion(), isBackground: false, events: null }
    keep?.(kept)
    if (request.body.store) responses.keep(caller, formatter.id, kept)
  })
  return formatter
}

/**
 * Starts a response that goes on when its client disconnects. It counts among the caller's requests until it has ended.
 */
export function startInBackground (
  request: ResponseRequest, services: Services, httpRequest: FastifyRequest
): BackgroundResponse {
  const { caller, log, logEntry } = httpRequest
  const formatter = new ResponseFormatter(request)
  const release = services.begin(caller)
  const background = new BackgroundResponse(request, formatter)
  services.responses.begin(caller, formatter.id, background)
  logEntry.hold()
  background.run(signal => services.generate(request.generate, httpRequest, signal), log).finally(() => {
    release()
    logEntry.release()
    services.responses.end(caller, formatter.id)
  }).catch(console.error)
  return background
}
