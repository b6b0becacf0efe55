/** Chats whose caller says `store: true` are kept when they have ended; of others nothing is. */
import { RequestError } from '../../errors.js'
import type { StoredCompletion } from '../../stores/chats.js'
import type { GenerationEvent } from '../../serving/protocol.js'
import { writtenMessages } from '../../models/tokenizer/tool-messages.js'
import type { Caller } from '../plugins/keys.js'
import type { ChatFormatter } from './chat-formatter.js'
import type { ChatCompletionRequest } from './chat-completion-schema.js'
import type { Requester, Services } from '../services.js'

/**
 * The events of a chat. Kept before the last of them is answered, so that whoever has the answer can say something of
 * it.
 * @throws RequestError storage_failed or store_unavailable before anything is generated, where nothing could be kept
 */
export async function * chatEvents (
  services: Services, request: ChatCompletionRequest, formatter: ChatFormatter, requester: Requester,
  signal: AbortSignal
): AsyncGenerator<GenerationEvent, void, undefined> {
  const { generate } = request
  if (!request.store || !('messages' in generate.prompt)) return yield * services.generate(generate, requester, signal)
  const { name: caller } = requester.caller
  const messages = writtenMessages(generate.prompt.messages)
  await services.store.chats.check(caller, messages)
  yield * services.generate(generate, requester, signal)
  const completion = formatter.completion()
  await services.store.chats.storeCompletion({ id: completion.id, caller, messages, completion })
}

/**
 * A stored completion, if the caller may see it: its own, or any where the role is admin.
 * @throws RequestError not_found; store_unavailable
 */
export async function storedFor (
  { store }: Services, caller: Caller, id: string
): Promise<StoredCompletion> {
  const stored = await store.chats.completion(id)
  if (stored.caller === caller.name || caller.role === 'admin') return stored
  throw new RequestError('not_found', `Chat completion with id ${JSON.stringify(id)} not found`, { param: 'id' })
}
