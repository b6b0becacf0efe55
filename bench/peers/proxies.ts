/**
 * Best of n by the libraries that do it on the client's side, its_hub and optillm, each driving llama-cpp-python's
 * server, which takes one request at a time. Each library runs in a process of its own (proxy_driver.py); the server is
 * stopped (SIGSTOP) while others are measured.
 */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { packageRoot } from '../../src/package-root.js'
import { EngineProcess } from './engine-process.js'
import { freePort } from '../harness/free-port.js'

export const proxyNames = ['its_hub', 'optillm'] as const
export type ProxyName = (typeof proxyNames)[number]

/** What a library is asked. */
export interface ProxyTask { readonly message: string, readonly candidates: number, readonly newTokens: number }

/** What it took: until the best answer was known, and the tokens that the server drew. */
export interface ProxyAnswer { readonly ms: number, readonly tokens: number }

export interface ProxyOptions {
  /** The interpreter that has llama-cpp-python and the libraries. */
  readonly python: string
  /** The model's file. */
  readonly model: string
  readonly threads: number
  /** Longest prompt and answer, with the judge's prompt around them, tokens. */
  readonly contextLength: number
  /** Where answers are scored. */
  readonly scoreUrl: string
  readonly reward: string
}

/** llama-cpp-python's own server. */
class LlamaServer {
  readonly url: string
  readonly #child
  #log = ''

  private constructor (port: number, { python, model, threads, contextLength }: ProxyOptions) {
    this.url = `http://127.0.0.1:${port}/v1`
    const flags = {
      model,
      host: '127.0.0.1',
      port,
      n_ctx: contextLength,
      n_threads: threads,
      n_threads_batch: threads,
      flash_attn: true,
      interrupt_requests: false
    }
    this.#child = spawn(python, ['-B', '-m', 'llama_cpp.server', ...Object.entries(flags).flatMap(([name, value]) =>
      [`--${name}`, String(value)])], { stdio: ['ignore', 'pipe', 'pipe'] })
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream.on('data', (chunk: Buffer) => { this.#log = (this.#log + String(chunk)).slice(-2000) })
    }
  }

  /** Waits until it answers. @throws Error with what it said, if it ends instead */
  static async start (options: ProxyOptions): Promise<LlamaServer> {
    const server = new LlamaServer(await freePort(), options)
    while (!(await fetch(`${server.url}/models`).then(({ ok }) => ok, () => false))) {
      if ((server.#child.exitCode ?? server.#child.signalCode) !== null) {
        throw new Error(`llama-cpp-python's server ended: ${server.#log.trim()}`)
      }
      await sleep(100)
    }
    server.pause()
    return server
  }

  pause (): void { this.#child.kill('SIGSTOP') }
  goOn (): void { this.#child.kill('SIGCONT') }
  kill (): void { this.#child.kill('SIGKILL') }
}

/** The libraries, ready to be asked. */
export class Proxies {
  readonly #server: LlamaServer
  readonly #drivers = new Map<ProxyName, EngineProcess>()

  private constructor (server: LlamaServer) { this.#server = server }

  static async start (names: readonly ProxyName[], options: ProxyOptions): Promise<Proxies> {
    const proxies = new Proxies(await LlamaServer.start(options))
    try {
      for (const name of names) {
        const command = [options.python, '-B', join(packageRoot, 'bench', 'peers', 'proxy_driver.py'), name,
          proxies.#server.url, options.scoreUrl, options.reward] as const
        proxies.#drivers.set(name, (await EngineProcess.start(command)).engine)
      }
      return proxies
    } catch (error) {
      proxies.kill()
      throw error
    }
  }

  /** Has one of them choose among answers. */
  async ask (name: ProxyName, task: ProxyTask): Promise<ProxyAnswer> {
    this.#server.goOn()
    try {
      return await this.#drivers.get(name)!.ask<ProxyAnswer>(task)
    } finally {
      this.#server.pause()
    }
  }

  kill (): void {
    for (const driver of this.#drivers.values()) driver.kill()
    this.#server.kill()
  }
}
