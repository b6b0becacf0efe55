/** A remote scorer on loopback that answers as it is told, and remembers what it was asked. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface FakeScorer {
  readonly origin: string
  /** Bodies received, in order. */
  readonly asked: Array<Record<string, any>>
  close (): Promise<void>
}

/** @param answer what to send for a body: an object as JSON, a text as it is, or whatever it writes itself */
export async function fakeScorer (
  answer: (body: Record<string, any>, response: ServerResponse, request: IncomingMessage) => object | string | undefined
): Promise<FakeScorer> {
  const asked: Array<Record<string, any>> = []
  const server = createServer(async (request, response) => {
    let text = ''
    for await (const chunk of request) text += String(chunk)
    const body = JSON.parse(text) as Record<string, any>
    asked.push(body)
    const answered = answer(body, response, request)
    if (answered !== undefined) response.end(typeof answered === 'string' ? answered : JSON.stringify(answered))
  })
  await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    close: () => new Promise(resolve => { server.close(() => { resolve() }); server.closeAllConnections() })
  }
}
