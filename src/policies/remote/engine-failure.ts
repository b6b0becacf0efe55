/** How calls to an engine fail, and what the caller of a request is told of it. */
import { RequestError, type ErrorCode } from '../../errors.js'

/**
 * What became of a call: `lost` says that the engine or the way to it is not well; `busy` that it has no room;
 * `refused` that it will not have this call, however often it is asked.
 */
export type FailureKind = 'lost' | 'busy' | 'refused'

/** A call that did not end well. The message is in words that follow "the engine". */
export class EngineFailure extends Error {
  readonly kind: FailureKind
  /** What the caller is told if the call is not tried again. */
  readonly code: ErrorCode
  /** How long the engine asks to wait; null where it says nothing. */
  readonly retryAfterMs: number | null

  constructor (
    kind: FailureKind, message: string,
    { code = 'unavailable', retryAfterMs = null, cause }: {
      code?: ErrorCode, retryAfterMs?: number | null, cause?: unknown
    } = {}
  ) {
    super(message, cause === undefined ? undefined : { cause })
    this.kind = kind
    this.code = code
    this.retryAfterMs = retryAfterMs
  }

  /** The error of the request. @param url of the engine, for operators: callers are told no address */
  toRequestError (): RequestError {
    const wait = this.retryAfterMs ?? 1000
    return new RequestError(this.code, `The engine of this model ${this.message}`,
      { retryAfterMs: this.kind === 'refused' ? null : wait, cause: this })
  }
}

/** `Retry-After` in ms: seconds or a date; null where there is none. */
export function retryAfterOf (header: string | string[] | undefined, now = Date.now()): number | null {
  const text = Array.isArray(header) ? header[0] : header
  if (text === undefined) return null
  const seconds = Number(text)
  const ms = Number.isFinite(seconds) ? 1000 * seconds : Date.parse(text) - now
  return Number.isFinite(ms) ? Math.min(Math.max(0, ms), 3_600_000) : null
}

/** OpenAI's error body, as far as it is one. */
function errorOf (text: string): { message: string, param: unknown } {
  try {
    const { error = {}, message: plain, detail } = JSON.parse(text) as Record<string, any>
    const message = (error as Record<string, any>)['message'] ?? plain ?? detail ?? error
    return { message: typeof message === 'string' ? message : JSON.stringify(message), param: error?.['param'] }
  } catch {
    return { message: text, param: null }
  }
}

/** What an answer that is no 200 means. */
export function failureOf (status: number, text: string, retryAfter: number | null): EngineFailure {
  const { message, param } = errorOf(text)
  const said = message.slice(0, 400)
  if (status === 429) {
    return new EngineFailure('busy', `is busy (status 429): ${said}`,
      { code: 'rate_limit_exceeded', retryAfterMs: retryAfter })
  }
  if (status === 503) return new EngineFailure('busy', `is busy (status 503): ${said}`, { retryAfterMs: retryAfter })
  if (status >= 500) return new EngineFailure('lost', `failed (status ${status}): ${said}`)
  if (status === 401 || status === 403) {
    return new EngineFailure('refused', `refuses the key that this server has for it (status ${status})`)
  }
  if (status === 404) return new EngineFailure('refused', `has no such model or endpoint: ${said}`)
  return new EngineFailure('refused', `refuses the request: ${said}`,
    { code: param === 'input_tokens' ? 'context_length_exceeded' : 'invalid_request' })
}
