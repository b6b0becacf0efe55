/** Bodies of engines' answers: streams of messages and texts. Knows no replica. */
import type { EngineChunk, EngineUsage } from './engine-call.js'
import { EngineFailure, failureOf } from './engine-failure.js'
import { eventData } from './event-stream.js'

/** An answer that is no stream is read so far, bytes. */
const maxBodyBytes = 8 << 20

/** The messages of an answer that streams, parsed. */
export async function * engineMessages (body: AsyncIterable<Uint8Array>): AsyncGenerator<unknown, void, undefined> {
  for await (const data of eventData(body)) if (data !== '[DONE]' && data !== '') yield parsed(data)
}

/** Reads to the end. What goes wrong there is of no account: all tokens are here. */
export async function drain (
  chunks: AsyncGenerator<EngineChunk, void, undefined>, onUsage: (usage: EngineUsage) => void
): Promise<void> {
  try {
    for await (const { usage } of chunks) if (usage) onUsage(usage)
  } catch { /* all tokens are here */ }
}

/** Waits for some work, but not longer. */
export async function within (ms: number, work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  await Promise.race([work, new Promise(resolve => { timer = setTimeout(resolve, ms) })])
  clearTimeout(timer)
}

/** @throws Error in words that follow "the engine" */
function parsed (data: string): unknown {
  let value: unknown
  try {
    value = JSON.parse(data)
  } catch (cause) {
    throw new Error(`must send JSON; got ${JSON.stringify(data.slice(0, 80))}`, { cause })
  }
  const error = (value as { error?: unknown } | null)?.error
  if (error === undefined || error === null) return value
  const { code } = error as { code?: unknown }
  throw failureOf(typeof code === 'number' ? code : 500, data, null)
}

/** @throws EngineFailure for one that is too long */
export async function readText (body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of body) {
    chunks.push(chunk)
    size += chunk.length
    if (size > maxBodyBytes) throw new EngineFailure('lost', `answered with more than ${maxBodyBytes} bytes`)
  }
  return Buffer.concat(chunks).toString()
}
