/**
 * One call of the replay and how it is sent: over HTTP, whole or as server-sent events, or over a WebSocket. A call
 * may be made of what the calls before it in the same request answered. Knows nothing of what is compared.
 */
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { WebSocket } from 'ws'

export type Json = Record<string, any>

/** A value, or how it is made of what was answered before. */
export type FromEarlier<T> = T | ((earlier: readonly Json[]) => T)

interface Narrowed {
  /** What of the answer is compared, where some of it depends on timing. */
  readonly keep?: (answer: any) => unknown
}

export interface HttpCall extends Narrowed {
  readonly method: 'GET' | 'POST' | 'DELETE'
  readonly path: FromEarlier<string>
  /** JSON, or a text that is sent as it is. */
  readonly body?: FromEarlier<Json | string>
  /** Asks again until this holds; only the last answer counts. */
  readonly until?: (body: Json) => boolean
}

/** What is sent on a socket, made of the events before it, and the event that ends the wait for what it brings. */
export interface Message {
  readonly send: FromEarlier<Json | string>
  readonly until: (event: Json) => boolean
}

export interface SocketCall extends Narrowed {
  readonly socket: string
  readonly messages: readonly Message[]
}

export type Call = HttpCall | SocketCall

/** An answer as it came. Of a stream `body` is the list of its events, of a socket too. */
export interface Answer {
  readonly status: number
  readonly type: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: any
}

/** Longer than any of the calls takes on a crowded machine; a fit takes the longest. */
const longestWaitMs = 900_000
/** Headers that say something of the answer; others are of the connection or are times. */
const recordedHeaders = ['x-fairlead-ignored', 'allow', 'retry-after']

function valueOf<T> (value: FromEarlier<T>, earlier: readonly Json[]): T {
  return typeof value === 'function' ? (value as (earlier: readonly Json[]) => T)(earlier) : value
}

/** One server-sent event: its data, and its name where it has one that the data does not say. */
function readEvent (frame: string): unknown {
  const lines = frame.split('\n')
  const fields = (name: string): string[] => (
    lines.filter(line => line.startsWith(`${name}: `)).map(line => line.slice(name.length + 2))
  )
  const data = fields('data').join('\n')
  if (data === '[DONE]') return data
  const [name] = fields('event')
  const event = JSON.parse(data) as Json
  return name === undefined || name === event['type'] ? event : { event: name, ...event }
}

function readBody (type: string, text: string): unknown {
  if (type === 'text/event-stream') {
    return text.split('\n\n').filter(frame => /^(data|event): /m.test(frame)).map(readEvent)
  }
  return type === 'application/json' ? JSON.parse(text) : text
}

async function ask (url: string, method: string, body: Json | string | undefined): Promise<Answer> {
  const sent = body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: textOf(body) }
  const response = await fetch(url, { method, signal: AbortSignal.timeout(longestWaitMs), ...sent })
  const type = (response.headers.get('content-type') ?? '').split(';')[0]!
  const recorded = recordedHeaders.flatMap(name =>
    response.headers.has(name) ? [[name, response.headers.get(name)!]] : [])
  const read = readBody(type, await response.text())
  return { status: response.status, type, headers: Object.fromEntries(recorded), body: read }
}

const textOf = (body: Json | string): string => typeof body === 'string' ? body : JSON.stringify(body)

async function sendHttp (address: string, call: HttpCall, earlier: readonly Json[]): Promise<Answer> {
  const url = address + valueOf(call.path, earlier)
  const body = call.body === undefined ? undefined : valueOf(call.body, earlier)
  for (;;) {
    const answer = await ask(url, call.method, body)
    if (!call.until || answer.status !== 200 || call.until(answer.body)) return answer
    await sleep(50)
  }
}

/** One message after the other, each when what the one before it asked for has come. */
async function sendSocket (address: string, { socket: path, messages }: SocketCall): Promise<Answer> {
  const socket = new WebSocket(address.replace('http', 'ws') + path)
  const events: Json[] = []
  socket.on('message', data => {
    events.push(JSON.parse(String(data)) as Json)
    socket.emit('event')
  })
  const signal = AbortSignal.timeout(longestWaitMs)
  await once(socket, 'open', { signal })
  try {
    for (const { send, until } of messages) {
      const from = events.length
      socket.send(textOf(valueOf(send, events)))
      while (!events.slice(from).some(until)) await once(socket, 'event', { signal })
    }
  } finally {
    socket.close()
  }
  return { status: 101, type: 'websocket', headers: {}, body: events }
}

/** @param earlier bodies of the calls before it @throws Error where no answer comes */
export function send (address: string, call: Call, earlier: readonly Json[]): Promise<Answer> {
  return 'socket' in call ? sendSocket(address, call) : sendHttp(address, call, earlier)
}
