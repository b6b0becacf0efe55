/**
 * An engine in a process of its own that runs only while it is measured: in between it is stopped (SIGSTOP), so that no
 * thread of it spins and takes time from the others. Knows no engine.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import type { About, Failed, Measured, Task } from './protocol.js'

/** A program and its arguments. */
export type Command = readonly [program: string, ...args: string[]]

/** How much of what an engine said is shown when it fails, characters. */
const shownLog = 2000

export class EngineProcess {
  readonly #child: ChildProcess
  readonly #answers: AsyncIterator<string>
  readonly #ended: Promise<string>
  #log = ''

  private constructor ([program, ...args]: Command) {
    this.#child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe', 'pipe'] })
    const keep = (chunk: Buffer): void => { this.#log = (this.#log + String(chunk)).slice(-shownLog) }
    this.#child.stdout!.on('data', keep)
    this.#child.stderr!.on('data', keep)
    // Writing to a process that has ended; its exit is what is reported.
    this.#child.stdin!.on('error', () => {})
    this.#answers = createInterface(this.#child.stdio[3] as Readable)[Symbol.asyncIterator]()
    // A stopped process would outlive this one.
    const kill = (): void => { this.kill() }
    process.once('exit', kill)
    this.#child.once('close', () => { process.off('exit', kill) })
    this.#ended = new Promise(resolve => {
      this.#child.once('error', error => { resolve(error.message) })
      this.#child.once('close',
        (code, signal) => { resolve(`it ended with ${signal ?? `code ${String(code)}`}: ${this.#log.trim()}`) })
    })
  }

  /** Starts a program and waits for its model to be loaded. @throws Error with what it said, if it ends instead */
  static async start (command: Command): Promise<{ engine: EngineProcess, about: About }> {
    const engine = new EngineProcess(command)
    try {
      const about = await engine.#next<About>()
      engine.#stop()
      return { engine, about }
    } catch (error) {
      engine.kill()
      throw error
    }
  }

  get pid (): number | undefined { return this.#child.pid }

  /**
   * Lets the process go on for one task.
   * @throws Error with what the engine says went wrong, or said before it ended
   */
  measure (task: Task): Promise<Measured> { return this.ask<Measured>(task) }

  /** The same for a process that is asked something else. */
  async ask <Answer extends object> (task: object): Promise<Answer> {
    this.#child.kill('SIGCONT')
    this.#child.stdin!.write(`${JSON.stringify(task)}\n`)
    const answer = await this.#next<Answer | Failed>()
    this.#stop()
    if ('error' in answer) throw new Error(answer.error)
    return answer
  }

  /** Ends the process, whatever it is doing. */
  kill (): void { this.#child.kill('SIGKILL') }

  #stop (): void { this.#child.kill('SIGSTOP') }

  async #next <T> (): Promise<T> {
    const line = await Promise.race([this.#answers.next(), this.#ended])
    // Without an answer the descriptor closes, and then the process ends.
    if (typeof line === 'string' || line.done) throw new Error(await this.#ended)
    return JSON.parse(line.value) as T
  }
}
