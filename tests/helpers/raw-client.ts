/** Bytes over a connection, as a client that is no library sends them, and what is answered. */
import { connect, type Socket } from 'node:net'

/** One connection. */
export class RawClient {
  readonly socket: Socket
  #text = ''

  /** @param address of the server, http://host:port */
  constructor (address: string) {
    const { hostname, port } = new URL(address)
    this.socket = connect(Number(port), hostname)
    this.socket.on('error', () => {})
    this.socket.on('data', data => { this.#text += data.toString('latin1') })
  }

  write (...lines: ReadonlyArray<string | Buffer>): this {
    for (const line of lines) this.socket.write(typeof line === 'string' ? Buffer.from(line, 'latin1') : line)
    return this
  }

  /** Waits until the server has closed the connection. @returns what came */
  async closed (): Promise<string> {
    while (!this.socket.closed) await this.#next()
    return this.#text
  }

  /** The next answer that has a content-length; `hasBody` is false of HEAD. */
  async answer (hasBody = true): Promise<RawAnswer> {
    for (;;) {
      const found = parse(this.#text, hasBody)
      if (found) {
        this.#text = found.rest
        return found.answer
      }
      if (this.socket.closed) throw new Error(`the connection was closed after ${JSON.stringify(this.#text)}`)
      await this.#next()
    }
  }

  /** Waits for more, or the end. */
  async #next (): Promise<void> {
    await new Promise<void>(resolve => {
      const end = (): void => {
        this.socket.off('data', end).off('close', end)
        resolve()
      }
      this.socket.on('data', end).on('close', end)
    })
  }
}

export interface RawAnswer {
  readonly status: number
  /** By names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

function parse (text: string, hasBody: boolean): { readonly answer: RawAnswer, readonly rest: string } | null {
  const end = text.indexOf('\r\n\r\n')
  if (end < 0) return null
  const [first, ...lines] = text.slice(0, end).split('\r\n') as [string, ...string[]]
  const status = Number(first.split(' ')[1])
  // An interim answer.
  if (status === 100) return parse(text.slice(end + 4), hasBody)
  const headers = Object.fromEntries(lines.map(line => {
    const [name, ...value] = line.split(':') as [string, ...string[]]
    return [name.toLowerCase(), value.join(':').trim()]
  }))
  const length = hasBody ? Number(headers['content-length'] ?? 0) : 0
  const bodyEnd = end + 4 + length
  if (text.length < bodyEnd) return null
  const body = Buffer.from(text.slice(end + 4, bodyEnd), 'latin1').toString()
  return { answer: { status, headers, body }, rest: text.slice(bodyEnd) }
}
