/** A vLLM of this machine's own, as a process group that is started, asked over HTTP and killed. Knows no checks. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

export type Json = Record<string, any>

export interface VllmOptions {
  /** Python of an environment with vLLM. */
  readonly python: string
  /** Folder of the model, and what it is called. */
  readonly model: string
  readonly name: string
  /** Folder of head descriptors for the plugin; none where it is not to be there. */
  readonly rewards?: string
  readonly flags?: readonly string[]
}

/** An answer and its status. */
export interface Answered { readonly status: number, readonly json: Json }

/** How long it may take until it answers, s: three processes import torch. */
const startSeconds = 600

async function freePort (): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}

/** What every start says: on CPUs blocks are of 128 tokens otherwise, and a prompt read in parts can end the engine. */
const commonFlags = ['--dtype', 'float32', '--max-model-len', '2048', '--max-num-seqs', '32', '--enforce-eager',
  '--block-size', '32', '--max-num-batched-tokens', '16384', '--enable-prompt-tokens-details', '--enable-scale-out']

export class VllmEngine {
  readonly url: string
  readonly name: string
  readonly #child
  readonly #kill = (): void => { this.#killGroup() }
  #log = ''

  private constructor (port: number, { python, model, name, rewards, flags = [] }: VllmOptions) {
    this.url = `http://127.0.0.1:${port}`
    this.name = name
    this.#child = spawn(python, ['-m', 'vllm.entrypoints.openai.api_server', '--host', '127.0.0.1',
      '--port', String(port), '--model', model, '--served-model-name', name, ...commonFlags,
      '--kv-cache-memory-bytes', String(256 << 20), ...flags], {
      // Its engine and worker are processes of their own: the group is killed.
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        VLLM_NO_USAGE_STATS: '1',
        // Compiled once: each of its processes would compile all that it imports, half a minute of a core.
        PYTHONDONTWRITEBYTECODE: '',
        HF_HUB_OFFLINE: '1',
        TRANSFORMERS_OFFLINE: '1',
        VLLM_PLUGINS: rewards === undefined ? '' : 'fairlead',
        ...rewards === undefined ? {} : { FAIRLEAD_REWARDS: rewards }
      }
    })
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream.on('data', (chunk: Buffer) => { this.#log = (this.#log + String(chunk)).slice(-4000) })
    }
    // Whoever ends this process ends the group, too.
    process.once('exit', this.#kill)
  }

  /** Starts it and waits until it answers. @throws Error with what it said, if it does not */
  static async start (options: VllmOptions): Promise<VllmEngine> {
    const engine = new VllmEngine(await freePort(), options)
    try {
      for (let second = 0; second < startSeconds; second++) {
        if (await fetch(`${engine.url}/health`).then(({ ok }) => ok, () => false)) return engine
        if (engine.#ended) break
        await sleep(1000)
      }
      throw new Error(`vLLM did not start: ${engine.#log.trim()}`)
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
      ...signal ? { signal } : {}
    })
    return { status: response.status, json: await response.json() as Json }
  }

  /** The text of a path. */
  async get (path: string): Promise<string> { return await (await fetch(`${this.url}${path}`)).text() }

  /** Kills the whole group. */
  async close (): Promise<void> {
    const closed = this.#ended ? null : once(this.#child, 'close')
    process.removeListener('exit', this.#kill)
    this.#killGroup()
    await closed
  }

  #killGroup (): void {
    try {
      process.kill(-this.#child.pid!, 'SIGKILL')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
  }
}
