/** A way to an engine that spoils answers, or refuses calls as a busy engine does, while it is told to. */
import { once } from 'node:events'
import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What is done to calls for tokens: nothing, the answer is spoiled after its first message, or 429. */
export type Doing =
  | { readonly kind: 'none' }
  | { readonly kind: 'corrupt' }
  | { readonly kind: 'refuse', readonly retryAfter: number }

export class FaultyWay {
  readonly url: string
  doing: Doing = { kind: 'none' }
  /** Calls that something was done to. */
  spoiled = 0
  /** Calls for tokens that nobody has ended or left yet. */
  open = 0
  readonly #server: Server
  readonly #target: string

  private constructor (target: string, server: Server) {
    this.#target = target
    this.#server = server
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    server.on('request', (incoming: IncomingMessage, outgoing: ServerResponse) => { this.#pass(incoming, outgoing) })
  }

  static async start (target: string): Promise<FaultyWay> {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new FaultyWay(target, server)
  }

  #pass (incoming: IncomingMessage, outgoing: ServerResponse): void {
    const isForTokens = /generate$|completions$/.test(incoming.url!)
    const doing: Doing = isForTokens ? this.doing : { kind: 'none' }
    if (doing.kind !== 'none') this.spoiled++
    if (isForTokens) {
      this.open++
      outgoing.once('close', () => { this.open-- })
    }
    if (doing.kind === 'refuse') {
      incoming.resume()
      outgoing.writeHead(429, { 'content-type': 'application/json', 'retry-after': String(doing.retryAfter) })
      outgoing.end(JSON.stringify({ error: { message: 'made to order', code: 429 } }))
      return
    }
    const { method, headers } = incoming
    const there = request(`${this.#target}${incoming.url!}`, { method: method!, headers }, answer => {
      outgoing.writeHead(answer.statusCode!, answer.headers)
      if (doing.kind === 'none') {
        answer.pipe(outgoing)
        return
      }
      answer.once('data', (chunk: Buffer) => {
        answer.destroy()
        outgoing.end(Buffer.concat([chunk, Buffer.from('\n\ndata: {"choices": [{"token_ids": ["x"]}]}\n\n')]))
      })
    })
    there.on('error', () => { outgoing.destroy() })
    // Who leaves here leaves there.
    outgoing.once('close', () => { there.destroy() })
    incoming.pipe(there)
  }

  async close (): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.#server.closeAllConnections()
    await closed
  }
}
