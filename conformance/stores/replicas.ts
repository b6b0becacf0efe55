/** Servers in processes of their own that share a store, and what stands in front of them in a cluster. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { packageRoot } from '../../src/package-root.js'
import { writeTinyGguf } from '../../tests/helpers/tiny-gguf.js'

/** A folder with a tiny model for all replicas, and with their caches. */
export class Home {
  readonly folder = mkdtempSync(join(tmpdir(), 'fairlead-replicas-'))
  readonly model = join(this.folder, 'tiny.gguf')

  constructor () { writeTinyGguf(this.model, { contextLength: 2048 }) }

  remove (): void { rmSync(this.folder, { recursive: true }) }
}

/** One server. It can be ended as an orchestrator would, and started anew. */
export class Replica {
  readonly #home: Home
  readonly #environment: Readonly<Record<string, string>>
  #process: ChildProcess | null = null
  address = ''
  /** What it said, all starts together. */
  readonly said: string[] = []

  constructor (home: Home, environment: Readonly<Record<string, string>>) {
    this.#home = home
    this.#environment = environment
  }

  /** @param until a line that it says once it has started as far as is wanted */
  async start (until: string | RegExp = 'ready'): Promise<void> {
    const child = spawn(process.execPath, [join(packageRoot, 'dist/fairlead/fairlead.js'), 'serve', '--port', '0',
      '--log-level', 'silent', '--threads', '1'], {
      env: {
        ...process.env,
        FAIRLEAD_MODEL: this.#home.model,
        FAIRLEAD_CACHE_DIR: this.#home.folder,
        FAIRLEAD_DATA_DIR: join(this.#home.folder, 'never'),
        ...this.#environment
      },
      stdio: ['ignore', 'ignore', 'pipe']
    })
    this.#process = child
    await new Promise<void>((resolve, reject) => {
      createInterface(child.stderr!).on('line', line => {
        this.said.push(line)
        const listening = /listening on (\S+)/.exec(line)
        if (listening) this.address = listening[1]!
        if (typeof until === 'string' ? line === until : until.test(line)) resolve()
      })
      child.once('close', () => { reject(new Error(`it has ended:\n${this.said.join('\n')}`)) })
    })
  }

  /** Ends it with SIGTERM. @returns its exit code, once it has */
  async stop (signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    const child = this.#process!
    if (child.exitCode !== null || child.signalCode !== null) return child.exitCode
    const closed = once(child, 'close')
    child.kill(signal)
    return (await closed)[0] as number | null
  }
}

/** Passes each request on to the next of some servers, and everything back as it comes. */
export class Balancer {
  readonly #server: Server
  #targets: readonly string[] = []
  #next = 0

  private constructor () {
    this.#server = createServer((from, to) => { this.#pass(from, to) })
  }

  static async start (): Promise<Balancer> {
    const balancer = new Balancer()
    balancer.#server.listen(0, '127.0.0.1')
    await once(balancer.#server, 'listening')
    return balancer
  }

  get address (): string { return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}` }

  /** Where requests go from now on; those on their way go on. */
  use (...replicas: readonly Replica[]): void { this.#targets = replicas.map(({ address }) => address) }

  #pass (from: IncomingMessage, to: ServerResponse): void {
    const target = this.#targets[this.#next++ % this.#targets.length]!
    const passed = request(`${target}${from.url!}`, { method: from.method!, headers: from.headers, agent: false },
      answer => {
        to.writeHead(answer.statusCode!, answer.headers)
        answer.pipe(to)
      })
    passed.on('error', error => { to.destroy(error) })
    from.pipe(passed)
  }

  close (): void {
    this.#server.close()
    this.#server.closeAllConnections()
  }
}
