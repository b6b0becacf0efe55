/**
 * The compiled server as a process of its own on a free loopback port, and the check that a given address is of this
 * machine.
 */
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { RequestError } from '../../src/errors.js'
import { packageRoot } from '../../src/package-root.js'

/** Only this machine is a target. @throws RequestError for any other */
export function checkLoopback (url: string): string {
  const hostname = URL.canParse(url) ? new URL(url).hostname : ''
  if (hostname !== 'localhost' && hostname !== '[::1]' && !hostname.startsWith('127.')) {
    throw new RequestError('invalid_request',
      `--url must be of this machine, such as http://127.0.0.1:8000; got ${JSON.stringify(url)}`, { param: 'url' })
  }
  return url
}

/** What a thread did since it began, ms: computed, and was ready to but waited for a core. */
export interface ThreadTimes { readonly ran: number, readonly waited: number }

/** Of the main thread of a process; null where the system does not say. */
export function mainThreadTimes (pid: number): ThreadTimes | null {
  try {
    const [ran, waited] = readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'utf8').split(' ').map(Number)
    return { ran: ran! / 1e6, waited: waited! / 1e6 }
  } catch {
    return null
  }
}

/** A server to drive. */
export interface Target {
  readonly url: string
  /** Of the thread that answers; null where the server is not ours or the system does not say. */
  mainThread (): ThreadTimes | null
  /** Bytes of memory it holds; null where it is not ours or the system does not say. */
  residentBytes (): number | null
  /** Stops it (SIGSTOP) so that no thread of it takes time from others, until `goOn`. */
  pause (): void
  goOn (): void
  /** Whether the process is there; true where it is not ours. */
  isRunning (): boolean
  stop (): Promise<void>
  /** Ends it at once, whatever it does. */
  kill (): Promise<void>
}

/** The engine's state, as /ready tells it. */
export interface EngineState {
  readonly sequences: number,
  readonly runningRequests: number,
  readonly waitingRequests: number,
  readonly kvTokens: number
}

export async function engineState (url: string): Promise<EngineState> {
  const response = await fetch(`${url}/ready`)
  if (!response.ok) throw new Error(`GET /ready: ${response.status}`)
  return (await response.json() as { engine: EngineState }).engine
}

/** The id of the model a server has. */
export async function modelOf (url: string): Promise<string> {
  const response = await fetch(`${url}/v1/models`)
  if (!response.ok) throw new Error(`GET /v1/models: ${response.status}`)
  return (await response.json() as { data: Array<{ id: string }> }).data[0]!.id
}

/** A server that runs already. */
export const runningTarget = (url: string): Target => ({
  url,
  mainThread: () => null,
  residentBytes: () => null,
  pause: () => {},
  goOn: () => {},
  isRunning: () => true,
  stop: async () => {},
  kill: async () => {}
})

/** The command, as it is released. */
export const program = join(packageRoot, 'dist/fairlead/fairlead.js')

/**
 * Starts one and waits until it is ready.
 * @param nodeOptions of Node itself
 * @throws Error with what it said, if it ends instead
 */
export async function startTarget (flags: readonly string[], nodeOptions: readonly string[] = []): Promise<Target> {
  // In a group of its own: Ctrl-C at the terminal is for the load generator, which stops it.
  const server = spawn(process.execPath, [...nodeOptions, program, 'serve', '--port', '0', '--log-level', 'warn',
    ...flags], { stdio: ['ignore', 'inherit', 'pipe'], detached: true })
  const killed = (): void => { server.kill('SIGKILL') }
  process.once('exit', killed)
  // Without a listener a SIGTERM would end this process and leave the server.
  const terminated = (): void => { process.exit(143) }
  process.once('SIGTERM', terminated)
  const ended = new Promise<void>(resolve => { server.once('close', () => { resolve() }) })
  const url = await new Promise<string>((resolve, reject) => {
    let said = ''
    const listen = (chunk: Buffer): void => {
      said += String(chunk)
      const address = /listening on (http:\/\/\S+)/.exec(said)?.[1]
      if (address === undefined || !/^ready$/m.test(said)) return
      resolve(address)
      // Errors of its threads, from now on.
      server.stderr.off('data', listen).pipe(process.stderr)
    }
    server.stderr.on('data', listen)
    ended.then(() => { reject(new Error(`the server ended: ${said.trim()}`)) }, reject)
  })
  const stopBy = async (signal: NodeJS.Signals): Promise<void> => {
    server.kill('SIGCONT')
    server.kill(signal)
    await ended
    process.off('exit', killed)
    process.off('SIGTERM', terminated)
  }
  return {
    url,
    mainThread: () => mainThreadTimes(server.pid!),
    residentBytes () {
      try {
        const kilobytes = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${String(server.pid)}/status`, 'utf8'))?.[1]
        return kilobytes === undefined ? null : Number(kilobytes) * 1024
      } catch {
        return null
      }
    },
    pause () { server.kill('SIGSTOP') },
    goOn () { server.kill('SIGCONT') },
    isRunning: () => server.exitCode === null && server.signalCode === null,
    stop: () => stopBy('SIGTERM'),
    kill: () => stopBy('SIGKILL')
  }
}
