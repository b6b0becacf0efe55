/** Runs a program for a limited time. Knows nothing of what it does. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'

/** How a program ended. */
export interface Ended {
  /** Null if a signal ended it. */
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly tookTooLong: boolean
  readonly output: string
  readonly errors: string
  readonly seconds: number
}

/** The limit is kept by coreutils' `timeout`, so that it holds when this process is no longer there. */
export async function run (program: string, args: readonly string[], limitSeconds: number): Promise<Ended> {
  const start = performance.now()
  const limit = ['--foreground', '--kill-after=10', String(limitSeconds)]
  const child = spawn('timeout', [...limit, program, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  let [output, errors] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => { output += text })
  child.stderr.setEncoding('utf8').on('data', (text: string) => { errors += text })
  const [code, signal] = await once(child, 'close') as [number | null, NodeJS.Signals | null]
  const seconds = (performance.now() - start) / 1000
  return { code, signal, tookTooLong: code === 124 || code === 137, output, errors, seconds }
}

/** The end of what a program wrote, without QEMU's remarks on features that no program here asks for. */
export function lastWords ({ output, errors }: Ended): string {
  const lines = [output, errors].join('\n').split('\n')
  const telling = lines.filter(line => line.trim() !== '' && !line.includes("TCG doesn't support"))
  return telling.slice(-40).map(line => `    ${line.slice(0, 200)}`).join('\n')
}
