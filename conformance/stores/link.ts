/** A connection to a server that can be cut, or hang: everything that goes through it goes through one port. */
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'

export class Link {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  /** Whether new connections are refused; null: they are taken, and nothing goes through. */
  #state: 'open' | 'cut' | 'hanging' = 'open'

  private constructor (port: number) {
    this.#server = createServer(from => {
      if (this.#state === 'cut') {
        from.destroy()
        return
      }
      const to = connect(port, '127.0.0.1')
      for (const [one, other] of [[from, to], [to, from]] as const) {
        this.#sockets.add(one)
        one.on('data', bytes => { if (this.#state !== 'hanging') other.write(bytes) })
        one.on('error', () => {})
        one.once('close', () => {
          this.#sockets.delete(one)
          other.destroy()
        })
      }
    }).listen(0, '127.0.0.1')
  }

  /** @param port what it leads to */
  static async to (port: number): Promise<Link> {
    const link = new Link(port)
    await once(link.#server, 'listening')
    return link
  }

  get port (): number { return (this.#server.address() as AddressInfo).port }

  /** Ends all connections and refuses new ones. */
  cut (): void {
    this.#state = 'cut'
    for (const socket of this.#sockets) socket.destroy()
  }

  /** Swallows everything. */
  hang (): void { this.#state = 'hanging' }

  /** Lets everything through; what was swallowed is lost with its connection. */
  mend (): void {
    this.#state = 'open'
    for (const socket of this.#sockets) socket.destroy()
  }

  close (): void {
    this.cut()
    this.#server.close()
  }
}
