/** Reads server-sent events as they come. Knows no protocol. */

/** Longest event that is read, characters: an alternative takes some 60. */
const maxEventLength = 1 << 20

/**
 * The data of each event.
 * @throws Error in words that follow "the engine" for an event that is too long
 */
export async function * eventData (body: AsyncIterable<Uint8Array>): AsyncGenerator<string, void, undefined> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const bytes of body) {
    const lines = (rest + decoder.decode(bytes, { stream: true })).split(/\r?\n/)
    rest = lines.pop()!
    if (rest.length > maxEventLength) throw new Error(`must send events of at most ${maxEventLength} characters`)
    // Engines write an event's data in one line.
    for (const line of lines) if (line.startsWith('data:')) yield line.slice(5).trim()
  }
}
