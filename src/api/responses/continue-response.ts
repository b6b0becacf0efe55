/** What every way to `/v1/responses` has in common: a request goes on from a kept response, and is kept itself. */
import type { FastifyRequest } from 'fastify'
import { RequestError } from '../../errors.js'
import { refuse } from '../../validation.js'
import { BackgroundResponse } from './background-response.js'
import type { Caller } from '../plugins/keys.js'
import { ResponseFormatter } from './response-formatter.js'
import { keptText, type KeptResponse } from './stored-response.js'
import { withoutScores } from './item-schema.js'
import { parseResponseCreate, type ResponseBody, type ResponseRequest } from './response-create-schema.js'
import type { Services } from '../services.js'
import type { ResponseItem } from './response-types.js'

/** Why a response is not there. */
export const notKept = 'it was not stored, was deleted or evicted (stored-responses, stored-response-bytes-per-key)'

/** What a response read and answered. @throws RequestError while it is being written */
function conversationOf ({ input, response: { id, status, output } }: KeptResponse): readonly ResponseItem[] {
  if (status === 'queued' ||
      status === 'in_progress') throw refuse('previous_response_id', 'must name a response that has ended', id)
  return [...input, ...output.map(withoutScores)]
}

/**
 * What a checked body asks for.
 * @param find how a response is found that this one goes on from
 * @throws RequestError for fields that contradict each other; previous_response_not_found, not_found for an item
 */
export async function readResponseCreate (
  body: ResponseBody, { catalog, responses }: Services, caller: Caller,
  find: (id: string) => Promise<KeptResponse | null>
): Promise<ResponseRequest> {
  return await parseResponseCreate(body, catalog, {
    async response (id) {
      const kept = await find(id)
      if (kept) return conversationOf(kept)
      throw new RequestError('previous_response_not_found', `Previous response with id ${JSON.stringify(id)} not ` +
        `found: ${notKept}`, { param: 'previous_response_id' })
    },
    items: ids => responses.items(caller, ids)
  })
}

/**
 * A formatter whose response is kept once it has ended, if the request wishes it or the next of its socket may go on
 * from it.
 */
export function keptFormatter (
  request: ResponseRequest, { responses }: Services, caller: Caller, isOfSocket = false
): ResponseFormatter {
  const { input, body: { store } } = request
  const formatter: ResponseFormatter = new ResponseFormatter(request, async () => (store || isOfSocket) &&
    await responses.keep(caller, formatter.id,
      { input, response: formatter.completion(), isBackground: false, events: null }, store))
  return formatter
}

/**
 * Starts a response that goes on when its client disconnects. It counts among the caller's requests until it has ended.
 */
export async function startInBackground (
  request: ResponseRequest, services: Services, httpRequest: FastifyRequest
): Promise<BackgroundResponse> {
  const { caller, log, logEntry } = httpRequest
  const { responses } = services
  const inputBytes = keptText(request.input).length
  responses.checkConversation(inputBytes)
  const formatter = new ResponseFormatter(request)
  const release = await services.begin(caller)
  const background = new BackgroundResponse(request, formatter)
  const hold = (bytes: number): void => { responses.hold(caller, formatter.id, bytes) }
  try {
    await responses.begin(caller, formatter.id, background, inputBytes + background.eventBytes)
  } catch (error) {
    release()
    throw error
  }
  logEntry.hold()
  background.run(signal => services.generate(request.generate, httpRequest, signal), hold, log)
    .finally(() => responses.end(caller, formatter.id))
    .finally(() => {
      release()
      logEntry.release()
    }).catch(console.error)
  return background
}
