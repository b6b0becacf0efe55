/** Counts the tokens that a caller's generations take, for its limit a minute. */
import type { GenerationEvent } from '../inference/protocol.js'
import type { Caller } from './keys.js'

/** The same events. What was generated is known at the end; of a generation that is cut off, pieces of text that came count, a token each. */
export async function * metered (events: AsyncIterable<GenerationEvent>, caller: Caller): AsyncGenerator<GenerationEvent, void, undefined> {
  let tokens = 0
  try {
    for await (const event of events) {
      if (event.type === 'text') tokens++
      else if (event.type === 'usage') tokens = event.usage.generatedTokens
      yield event
    }
  } finally {
    caller.spend(tokens)
  }
}
