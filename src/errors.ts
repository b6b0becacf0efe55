/**
 * The one class for what a caller can act on, and the table of its codes. Everything else that is thrown is a bug:
 * logged with its cause, answered with a plain 500.
 */

/** OpenAI's error body, `{"error": ErrorBody}`. */
export interface ErrorBody {
  readonly message: string
  readonly type: string
  readonly param: string | null
  readonly code: string | null
}

/** Every code Fairlead answers with: HTTP status and OpenAI's error type. */
export const errorCodes = {
  invalid_request: { status: 400, type: 'invalid_request_error' },
  context_length_exceeded: { status: 400, type: 'invalid_request_error' },
  budget_exceeded: { status: 400, type: 'invalid_request_error' },
  previous_response_not_found: { status: 400, type: 'invalid_request_error' },
  reward_scope_mismatch: { status: 400, type: 'invalid_request_error' },
  invalid_api_key: { status: 401, type: 'invalid_request_error' },
  permission_denied: { status: 403, type: 'invalid_request_error' },
  field_locked: { status: 403, type: 'invalid_request_error' },
  model_not_found: { status: 404, type: 'invalid_request_error' },
  reward_not_found: { status: 404, type: 'invalid_request_error' },
  not_found: { status: 404, type: 'invalid_request_error' },
  method_not_allowed: { status: 405, type: 'invalid_request_error' },
  body_too_large: { status: 413, type: 'invalid_request_error' },
  unsupported_media_type: { status: 415, type: 'invalid_request_error' },
  upgrade_required: { status: 426, type: 'invalid_request_error' },
  reward_below_threshold: { status: 422, type: 'invalid_request_error' },
  rate_limit_exceeded: { status: 429, type: 'rate_limit_error' },
  request_cancelled: { status: 499, type: 'invalid_request_error' },
  internal_error: { status: 500, type: 'server_error' },
  scorer_failed: { status: 502, type: 'server_error' },
  unavailable: { status: 503, type: 'server_error' },
  storage_failed: { status: 507, type: 'server_error' }
} as const

/** Every error, by the code that clients get. */
export type ErrorCode = keyof typeof errorCodes

/** A RequestError as plain data, for a message between threads. */
export interface RequestErrorData {
  readonly code: ErrorCode
  readonly message: string
  readonly param: string | null
  readonly retryAfterMs: number | null
}

/** An error the caller can act on. The message says the field, the rule and the value given. */
export class RequestError extends Error {
  readonly code: ErrorCode
  readonly param: string | null
  /** How long to wait before a new try is worth it, in milliseconds; null where waiting does not help. */
  readonly retryAfterMs: number | null

  constructor (code: ErrorCode, message: string, { param = null, retryAfterMs = null, cause }: {
    param?: string | null, retryAfterMs?: number | null, cause?: unknown
  } = {}) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'RequestError'
    this.code = code
    this.param = param
    this.retryAfterMs = retryAfterMs
  }

  get status (): number { return errorCodes[this.code].status }
  get type (): string { return errorCodes[this.code].type }

  /** The body OpenAI's clients read. */
  toBody (): { error: ErrorBody } {
    return { error: { message: this.message, type: this.type, param: this.param, code: this.code } }
  }

  toData (): RequestErrorData {
    return { code: this.code, message: this.message, param: this.param, retryAfterMs: this.retryAfterMs }
  }

  static fromData (data: RequestErrorData): RequestError {
    return new RequestError(data.code, data.message, { param: data.param, retryAfterMs: data.retryAfterMs })
  }
}

/** Ends the work of a request whose client disconnected. */
export const requestCancelled = (): RequestError =>
  new RequestError('request_cancelled', 'The request was cancelled, or its client disconnected')
