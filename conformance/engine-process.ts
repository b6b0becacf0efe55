/** An engine of this machine's own, as a process group that is started, asked over HTTP and killed. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { Agent, fetch } from 'undici'
import { freePort } from '../bench/harness/free-port.js'

export type Json = Record<string, any>

/** How an engine is run. */
export interface EngineCommand {
  /** What it is, for errors. */
  readonly kind: string
  /** What it calls its model. */
  readonly name: string
  readonly program: string
  readonly args: (port: number) => readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  /** Where it is to listen; absent: on any free port. */
  readonly port?: number
}

/** An answer and its status. */
export interface Answered { readonly status: number, readonly json: Json }

/** How long one may take until it answers, s: vLLM's three processes import torch. */
const startSeconds = 600
/** A connection for each call: engines close those that nobody uses, vLLM after 5 s, whatever is sent just then. */
const dispatcher = new Agent({ pipelining: 0 })

export class EngineProcess {
  readonly url: string
  readonly name: string
  readonly #child
  readonly #kill = (): void => { this.#killGroup() }
  #log = ''

  private constructor (port: number, { name, program, args, environment }: EngineCommand) {
    this.url = `http://127.0.0.1:${port}`
    this.name = name
    this.#child = spawn(program, args(port), {
      // Engines may start processes of their own: the group is killed.
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...environment }
    })
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream.on('data', (chunk: Buffer) => { this.#log = (this.#log + String(chunk)).slice(-4000) })
    }
    // Whoever ends this process ends the group, too.
    process.once('exit', this.#kill)
  }

  /** Starts it and waits until it answers. @throws Error with what it said, if it does not */
  static async start (command: EngineCommand): Promise<EngineProcess> {
    const engine = new EngineProcess(command.port ?? await freePort(), command)
    try {
      for (let second = 0; second < startSeconds; second++) {
        if (await fetch(`${engine.url}/health`, { dispatcher }).then(({ ok }) => ok, () => false)) return engine
        if (engine.#ended) break
        await sleep(1000)
      }
      throw new Error(`${command.kind} did not start: ${engine.#log.trim()}`)
    } catch (error) {
      await engine.close()
      throw error
    }
  }

  get #ended (): boolean { return (this.#child.exitCode ?? this.#child.signalCode) !== null }

  /** Posts a body, the model's name added. */
  async post (path: string, body: object, signal?: AbortSignal): Promise<Answered> {
    const response = await fetch(`${this.url}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: this.name, ...body }),
      dispatcher,
      ...signal ? { signal } : {}
    })
    return { status: response.status, json: await response.json() as Json }
  }

  /** The text of a path. */
  async get (path: string): Promise<string> { return await (await fetch(`${this.url}${path}`, { dispatcher })).text() }

  /** Processor time that the group's processes have used, s. Linux only: from /proc, where a tick is 10 ms. */
  processorSeconds (): number {
    let ticks = 0
    for (const id of readdirSync('/proc').filter(name => /^\d+$/.test(name))) {
      // Behind the name, which may have anything in it: state, parent, group; user and system time are 12th and 13th.
      const fields = statOf(id).split(') ').at(-1)!.split(' ')
      if (Number(fields[2]) === this.#child.pid) ticks += Number(fields[11]) + Number(fields[12])
    }
    return ticks / 100
  }

  /** Sends a signal to the whole group: SIGSTOP makes it hang, SIGCONT go on. */
  signal (name: NodeJS.Signals): void { process.kill(-this.#child.pid!, name) }

  /** Kills the whole group. */
  async close (): Promise<void> {
    const closed = this.#ended ? null : once(this.#child, 'close')
    process.removeListener('exit', this.#kill)
    this.#killGroup()
    await closed
  }

  #killGroup (): void {
    try {
      this.signal('SIGKILL')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
  }
}

/** What the kernel tells of a process; '' where it has ended. */
function statOf (id: string): string {
  try {
    return readFileSync(`/proc/${id}/stat`, 'latin1')
  } catch {
    return ''
  }
}
