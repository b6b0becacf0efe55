/** Closed-loop load over WebSockets, several requests at a time on each socket. */
import { once } from 'node:events'
import { WebSocket } from 'ws'
import { addUsage, emptySamples, type Samples } from './measurement.js'
import type { Scenario } from './scenarios.js'

const requestsPerSocket = 4

interface StreamEvent {
  readonly type: string
  readonly id: string
  readonly chunk?: { readonly choices: ReadonlyArray<{ readonly delta: { readonly content?: string } }> }
  readonly completion?: { readonly usage: Parameters<typeof addUsage>[1] }
}

/** One request on a socket, to its end. */
async function oneRequest (socket: WebSocket, id: string, body: object, samples: Samples): Promise<void> {
  const started = performance.now()
  let last = 0
  await new Promise<void>(resolve => {
    const end = (): void => {
      socket.off('message', read)
      socket.off('close', lost)
      resolve()
    }
    const lost = (): void => { samples.errors++; end() }
    const read = (data: unknown): void => {
      const event = JSON.parse(String(data)) as StreamEvent
      if (event.id !== id) return
      const now = performance.now()
      if (event.type === 'chunk' && event.chunk?.choices[0]?.delta.content) {
        if (last === 0) samples.firstTexts.push(now - started)
        else samples.gaps.push(now - last)
        last = now
      } else if (event.type === 'completed') {
        samples.latencies.push(now - started)
        addUsage(samples, event.completion!.usage)
        end()
      } else if (event.type === 'error') lost()
    }
    socket.on('message', read)
    socket.on('close', lost)
    socket.send(JSON.stringify({ type: 'create', id, request: body }))
  })
}

/** As `httpLoad`, over sockets. */
export async function websocketLoad (url: string, scenario: Scenario, { requests, maxSeconds, signal }: { requests: number, maxSeconds: number, signal: AbortSignal }): Promise<{ samples: Samples, seconds: number }> {
  const samples = emptySamples()
  const sockets = await Promise.all(Array.from({ length: Math.ceil(scenario.concurrency / requestsPerSocket) }, async () => {
    const socket = new WebSocket(`${url.replace(/^http/, 'ws')}/v1/stream`)
    socket.setMaxListeners(0)
    await once(socket, 'open')
    return socket
  }))
  let index = 0
  const started = performance.now()
  const stop = (): void => { for (const socket of sockets) socket.close() }
  signal.addEventListener('abort', stop, { once: true })
  const timer = setTimeout(stop, maxSeconds * 1000)
  await Promise.all(Array.from({ length: scenario.concurrency }, async (_, lane) => {
    const socket = sockets[lane % sockets.length]!
    while (index < requests && socket.readyState === WebSocket.OPEN) {
      const number = index++
      await oneRequest(socket, String(number), scenario.body(number), samples)
    }
  }))
  const seconds = (performance.now() - started) / 1000
  clearTimeout(timer)
  signal.removeEventListener('abort', stop)
  stop()
  return { samples, seconds }
}
