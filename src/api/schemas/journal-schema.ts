/** How requests ask for their journal: `stream_options.include_journal`, and `journal` of a WebSocket's message. */
import { Type, type Static } from 'typebox'
import type { JournalRequest } from '../../serving/protocol.js'

export const journalSchema = Type.Union([Type.Boolean(), Type.Object({
  alternatives: Type.Integer({
    minimum: 0, maximum: 20, default: 0, description: 'alternatives that each token of token_guidance lists'
  }),
  pieces: Type.Boolean({ default: false, description: 'tell the text and the logprob of each token' })
})], { default: false, description: 'send the journal of the run as it is written' })

/** What a request asks of its journal; null for none. */
export function journalOf (asked: Static<typeof journalSchema> | undefined): JournalRequest | null {
  if (!asked) return null
  return asked === true ? { alternatives: 0, pieces: false } : asked
}
