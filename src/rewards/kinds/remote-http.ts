/**
 * Sends what remote scorers are asked, and sends it again where the server was busy or away: a score is the same
 * however often it is asked for. Knows HTTP, not what bodies mean. Errors read on after "the remote scorer".
 */
import { setTimeout as sleep } from 'node:timers/promises'

/** A response larger than this is not read. */
const maxResponseBytes = 8 << 20
/** How often a request is sent again at most; how long after the first failure, ms, then twice as long each time. */
const [maxRetries, firstPause] = [3, 100]

export interface Posting {
  readonly body: object
  /** Beside the content's type. */
  readonly headers: Readonly<Record<string, string>>
  /** How long it may take altogether. */
  readonly timeoutMs: number
  /** Ends it early. */
  readonly signal: AbortSignal
}

/** A failure that may pass. */
class Passing extends Error {
  /** How long the server asks to wait, ms. */
  readonly pause: number

  constructor (message: string, { pause = 0, cause }: { readonly pause?: number, readonly cause?: unknown } = {}) {
    super(message, { cause })
    this.pause = pause
  }
}

/** Of `Retry-After`, which vLLM itself does not send, but gateways do: seconds, in ms. */
const pauseOf = (header: string | null): number =>
  header !== null && /^\d{1,6}$/.test(header) ? 1000 * Number(header) : 0

/** The error of a status. vLLM answers 500 while its engine restarts, and names what is wrong with a request. */
function statusError (status: number, text: string, retryAfter: string | null): Error {
  const message = `returned status ${status}`
  if ([429, 502, 503, 504].includes(status) || (status === 500 && text.includes('EngineCore'))) {
    return new Passing(message, { pause: pauseOf(retryAfter) })
  }
  return new Error(status === 400 && text.includes('input_tokens')
    ? `${message}: prompt and answer are longer than its model's context`
    : message)
}

async function readText (response: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of response.body ?? []) {
    chunks.push(chunk as Uint8Array)
    size += (chunk as Uint8Array).length
    if (size > maxResponseBytes) throw new Error(`returned more than ${maxResponseBytes} bytes`)
  }
  return Buffer.concat(chunks).toString()
}

function parseJson (text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new Error(`must return JSON; got ${JSON.stringify(text.slice(0, 80))}`, { cause: error })
  }
}

async function send (url: string, { body, headers }: Posting, signal: AbortSignal): Promise<unknown> {
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
      redirect: 'error',
      signal
    })
    const text = await readText(response)
    if (!response.ok) throw statusError(response.status, text, response.headers.get('retry-after'))
    return parseJson(text)
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    const why = (error.cause as Error | undefined)?.message ?? error.message
    const message = `is unreachable (${why})`
    throw why.includes('redirect') ? new Error(message, { cause: error }) : new Passing(message, { cause: error })
  }
}

/** The response's JSON. @throws Error */
export async function post (url: string, posting: Posting): Promise<unknown> {
  const { timeoutMs, signal } = posting
  const timeout = AbortSignal.timeout(timeoutMs)
  const either = AbortSignal.any([signal, timeout])
  let failure: unknown = null
  try {
    for (let retries = 0; ; retries++) {
      try {
        return await send(url, posting, either)
      } catch (error) {
        if (!(error instanceof Passing) || retries === maxRetries) throw error
        failure = error
        await sleep(Math.max(error.pause, firstPause * 2 ** retries), undefined, { signal: either })
      }
    }
  } catch (error) {
    if (!timeout.aborted || signal.aborted) throw error
    const before = failure === null ? '' : `; before that it ${(failure as Error).message}`
    throw new Error(`did not respond within ${timeoutMs} ms${before}`, { cause: error })
  }
}
