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

/** Every code Fairlead answers with: HTTP status, OpenAI's error type, what happened and what to do. */
export const errorCodes = {
  invalid_request: {
    status: 400,
    type: 'invalid_request_error',
    meaning: 'A field, a header or the body breaks a rule; `param` names the field. Correct the request.'
  },
  context_length_exceeded: {
    status: 400,
    type: 'invalid_request_error',
    meaning: 'The prompt, or the prompt and the answer asked for, is longer than the model’s context. Shorten it, ' +
      'lower `max_tokens`, or set `truncation: "auto"`.'
  },
  budget_exceeded: {
    status: 400,
    type: 'invalid_request_error',
    meaning: 'The request asks for more work than one request may: candidates × tokens, or texts to score. Ask for ' +
      'less, or raise the setting that the message names.'
  },
  previous_response_not_found: {
    status: 400,
    type: 'invalid_request_error',
    meaning: '`previous_response_id` names no stored response of this key: never stored, deleted or evicted. Send ' +
      'the whole conversation.'
  },
  reward_scope_mismatch: {
    status: 400,
    type: 'invalid_request_error',
    meaning: 'A reward made for whole answers was asked to judge prefixes, or the other way round. Use another ' +
      'reward, or `allow_scope_mismatch`.'
  },
  invalid_api_key: {
    status: 401,
    type: 'invalid_request_error',
    meaning: 'The API key is missing or unknown.'
  },
  permission_denied: {
    status: 403,
    type: 'invalid_request_error',
    meaning: 'The key may not do this, or the Host or Origin is not allowed.'
  },
  field_locked: {
    status: 403,
    type: 'invalid_request_error',
    meaning: 'A profile fixes this field; leave it out, or use another model name.'
  },
  model_not_found: {
    status: 404,
    type: 'invalid_request_error',
    meaning: 'No model of this name is served; the message lists those that are.'
  },
  reward_not_found: {
    status: 404,
    type: 'invalid_request_error',
    meaning: 'No reward of this name is there; the message lists those that are.'
  },
  not_found: {
    status: 404,
    type: 'invalid_request_error',
    meaning: 'There is no such path, or nothing stored under this id for this key, an item that `input` refers to ' +
      'included.'
  },
  method_not_allowed: {
    status: 405,
    type: 'invalid_request_error',
    meaning: 'The path exists, but not with this method.'
  },
  request_timeout: {
    status: 408,
    type: 'invalid_request_error',
    meaning: 'The request was not sent to its end within `--request-timeout-ms`.'
  },
  body_too_large: {
    status: 413,
    type: 'invalid_request_error',
    meaning: 'The body is larger than `--body-limit-bytes`, before it is decompressed or after, or comes in too many ' +
      'chunks.'
  },
  uri_too_long: {
    status: 414,
    type: 'invalid_request_error',
    meaning: 'An id or a name in the path is longer than any there can be.'
  },
  unsupported_media_type: {
    status: 415,
    type: 'invalid_request_error',
    meaning: 'The body is not `application/json`, or is encoded in a way that is not understood.'
  },
  upgrade_required: {
    status: 426,
    type: 'invalid_request_error',
    meaning: 'The path is a WebSocket: connect with a WebSocket client.'
  },
  reward_below_threshold: {
    status: 422,
    type: 'invalid_request_error',
    meaning: 'No answer reached `min_reward`, and `fallback` is `error`.'
  },
  rate_limit_exceeded: {
    status: 429,
    type: 'rate_limit_error',
    meaning: 'A limit of the key, or the queue, is full, or what is kept for it in memory has no room. Wait as ' +
      'long as `Retry-After` says.'
  },
  headers_too_large: {
    status: 431,
    type: 'invalid_request_error',
    meaning: 'The request line and the headers have more bytes than the message says.'
  },
  request_cancelled: {
    status: 499,
    type: 'invalid_request_error',
    meaning: 'The request was cancelled, or its client disconnected before it was answered.'
  },
  internal_error: {
    status: 500,
    type: 'server_error',
    meaning: 'A fault of the server, logged with its cause under the request’s `x-request-id`. Please report it.'
  },
  scorer_failed: {
    status: 502,
    type: 'server_error',
    meaning: 'A reward gave no finite score: a remote scorer failed or was too slow, or a classifier answered ' +
      'nonsense. Try again, or look at the scorer.'
  },
  unavailable: {
    status: 503,
    type: 'server_error',
    meaning: 'The server is starting, draining or out of memory for this. Try again later.'
  },
  store_unavailable: {
    status: 503,
    type: 'server_error',
    meaning: 'The store that replicas share (`--store`) cannot be reached or is too slow; requests that do not need ' +
      'it are answered. Try again later.'
  },
  storage_failed: {
    status: 507,
    type: 'server_error',
    meaning: 'The data directory could not be written, or stored chats and feedback have the bytes that they may ' +
      'have; nothing was changed. Make room on the disk, or delete some.'
  }
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

/** Longest message and name of a field, characters: parts of a request that they tell again may have megabytes. */
const [maxMessageLength, maxParamLength] = [4096, 256]

const cut = (text: string, length: number): string => text.length > length ? `${text.slice(0, length - 1)}…` : text

/** An error the caller can act on. The message says the field, the rule and the value given. */
export class RequestError extends Error {
  readonly code: ErrorCode
  readonly param: string | null
  /** How long to wait before a new try is worth it, in milliseconds; null where waiting does not help. */
  readonly retryAfterMs: number | null

  constructor (code: ErrorCode, message: string, { param = null, retryAfterMs = null, cause }: {
    param?: string | null, retryAfterMs?: number | null, cause?: unknown
  } = {}) {
    super(cut(message, maxMessageLength), cause === undefined ? undefined : { cause })
    this.name = 'RequestError'
    this.code = code
    this.param = param === null ? null : cut(param, maxParamLength)
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
