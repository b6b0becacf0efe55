/** Calls of the API that this page came from: documented endpoints only, with the caller's key. */
import { keyStored } from '../state/key.js'

/** Why a call failed: the server's own words, or that it could not be reached. */
export class ApiFailure extends Error {
  /** Code of the API's error, or `network`. */
  readonly code: string
  readonly status: number
  /** Field that the error is about. */
  readonly param: string | null
  readonly retryAfterSeconds: number | null
  readonly requestId: string | null

  constructor (
    code: string, message: string,
    more: { status?: number, param?: string | null, retryAfterSeconds?: number | null, requestId?: string | null } = {}
  ) {
    super(message)
    this.name = 'ApiFailure'
    this.code = code
    this.status = more.status ?? 0
    this.param = more.param ?? null
    this.retryAfterSeconds = more.retryAfterSeconds ?? null
    this.requestId = more.requestId ?? null
  }
}

/** What a request may say of itself. */
export interface CallOptions {
  readonly method?: 'GET' | 'POST' | 'DELETE'
  readonly body?: object
  readonly signal?: AbortSignal
}

/** Address of a path of the API, wherever the page is mounted. */
export const apiUrl = (path: string): string => new URL(`..${path}`, new URL('.', document.baseURI)).href

async function failureOf (response: Response): Promise<ApiFailure> {
  const more = {
    status: response.status,
    retryAfterSeconds: Number(response.headers.get('retry-after') ?? NaN) || null,
    requestId: response.headers.get('x-request-id')
  }
  try {
    const { error } = await response.json() as { error: { code: string | null, message: string, param: string | null } }
    return new ApiFailure(error.code ?? 'internal_error', error.message, { ...more, param: error.param })
  } catch {
    return new ApiFailure('internal_error', `The server answered ${response.status} without an explanation`, more)
  }
}

/** @throws ApiFailure; the signal's reason where it was aborted */
async function send (path: string, { method, body, signal }: CallOptions): Promise<Response> {
  const key = keyStored()
  let response
  try {
    response = await fetch(apiUrl(path), {
      method: method ?? (body ? 'POST' : 'GET'),
      headers: {
        ...(body ? { 'content-type': 'application/json' } : {}),
        ...(key === null ? {} : { authorization: `Bearer ${key}` })
      },
      credentials: 'omit',
      ...(body ? { body: JSON.stringify(body) } : {}),
      ...(signal ? { signal } : {})
    })
  } catch (error) {
    if (signal?.aborted) throw signal.reason
    throw new ApiFailure('network', String(error))
  }
  if (!response.ok) throw await failureOf(response)
  return response
}

/** A call's answer as JSON. @throws ApiFailure */
export async function call<T> (path: string, options: CallOptions = {}): Promise<T> {
  return await (await send(path, options)).json() as T
}

interface ErrorFrame { readonly error?: { code: string | null, message: string, param: string | null } }

/**
 * The data of a call's server-sent events, parsed, until `[DONE]`.
 * @param body null for a GET
 * @throws ApiFailure where the call is refused, the stream brings an error, or ends before its end
 */
export async function * events<T extends object> (
  path: string, body: object | null, signal: AbortSignal
): AsyncGenerator<T> {
  const response = await send(path, { ...(body ? { body } : {}), signal })
  const requestId = response.headers.get('x-request-id')
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
  let rest = ''
  try {
    for (;;) {
      let chunk
      try {
        chunk = await reader.read()
      } catch (error) {
        if (signal.aborted) throw signal.reason
        throw new ApiFailure('network', String(error), { requestId })
      }
      if (chunk.done) throw new ApiFailure('network', 'The connection ended before the answer did', { requestId })
      const frames = (rest + chunk.value).split(/\r?\n\r?\n/)
      rest = frames.pop()!
      for (const frame of frames) {
        const data = frame.split(/\r?\n/).filter(line => line.startsWith('data:')).map(line => line.slice(5).trim())
        if (data.length === 0) continue
        if (data[0] === '[DONE]') return
        const value = JSON.parse(data.join('\n')) as T & ErrorFrame
        if (value.error) {
          const { code, message, param } = value.error
          throw new ApiFailure(code ?? 'internal_error', message, { param, requestId })
        }
        yield value as T as Awaited<T>
      }
    }
  } finally {
    reader.cancel().catch(() => {})
  }
}
