/**
 * Single requests over HTTP (undici) and over WebSockets, several at a time on each socket. A request gives a sample or
 * fails.
 */
import { once } from 'node:events'
import { Agent, request } from 'undici'
import { WebSocket } from 'ws'
import { AnswerReader, usageOf } from './answer-reader.js'
import type { RequestSample, WireUsage } from './measurement.js'

/**
 * Sends one request and waits for its end.
 * @throws Error for any answer but a whole one, and when the signal is aborted
 */
export type Send = (body: object, signal: AbortSignal) => Promise<RequestSample>

export interface Client {
  readonly send: Send
  close (): Promise<void>
}

/** Over HTTP: a connection for every request in flight. */
export function httpClient (url: string): Client {
  const dispatcher = new Agent({ connections: 512, bodyTimeout: 0, headersTimeout: 0 })
  return {
    async send (body, signal) {
      const reader = new AnswerReader()
      const response = await request(`${url}/v1/chat/completions`, {
        method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body), dispatcher, signal
      })
      let text = ''
      for await (const chunk of response.body) {
        const piece = String(chunk)
        text += piece
        reader.piece(piece)
      }
      const usage = response.statusCode === 200 ? usageOf(text) : null
      if (!usage) throw new Error(`HTTP ${response.statusCode}: ${text.slice(0, 200)}`)
      return reader.end(usage)
    },
    close: () => dispatcher.close()
  }
}

interface StreamEvent {
  readonly type: string
  readonly id: string
  readonly chunk?: { readonly choices: ReadonlyArray<{ readonly delta: { readonly content?: string } }> }
  readonly completion?: { readonly usage: WireUsage }
  readonly error?: { readonly message: string }
}

const requestsPerSocket = 4

/** Over WebSockets: `inFlight` requests, four to a socket; more than that wait on the sockets there are. */
export async function websocketClient (url: string, inFlight: number): Promise<Client> {
  const sockets = await Promise.all(Array.from({ length: Math.ceil(inFlight / requestsPerSocket) }, async () => {
    const socket = new WebSocket(`${url.replace(/^http/, 'ws')}/v1/stream`)
    await once(socket, 'open')
    return socket
  }))
  /** Who waits for events, by id. */
  const waiting = new Map<string, { readonly event: (event: StreamEvent) => void, readonly lost: () => void }>()
  for (const socket of sockets) {
    socket.on('message', (data: unknown) => {
      const event = JSON.parse(String(data)) as StreamEvent
      waiting.get(event.id)?.event(event)
    })
    socket.on('close', () => { for (const one of waiting.values()) one.lost() })
  }
  let index = 0
  return {
    async send (body, signal) {
      const id = String(index++)
      const socket = sockets[Number(id) % sockets.length]!
      const reader = new AnswerReader()
      const cancel = (): void => { socket.send(JSON.stringify({ type: 'cancel', id })) }
      signal.addEventListener('abort', cancel, { once: true })
      try {
        return await new Promise<RequestSample>((resolve, reject) => {
          waiting.set(id, {
            event: ({ type, chunk, completion, error }) => {
              if (type === 'chunk' && chunk?.choices[0]?.delta.content) reader.text()
              else if (type === 'completed') resolve(reader.end(completion!.usage))
              else if (type === 'error') reject(new Error(error?.message))
            },
            lost: () => { reject(new Error('the socket was closed')) }
          })
          signal.throwIfAborted()
          socket.send(JSON.stringify({ type: 'create', id, request: body }))
        })
      } finally {
        waiting.delete(id)
        signal.removeEventListener('abort', cancel)
      }
    },
    async close () {
      await Promise.all(sockets.map(async socket => {
        socket.close()
        if (socket.readyState !== WebSocket.CLOSED) await once(socket, 'close')
      }))
    }
  }
}
