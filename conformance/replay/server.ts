/**
 * A fresh server for the replay, as a process of its own: empty data, no prefix cached, settings that are the same
 * everywhere. Knows of the server only its command line and what it says when it listens and is ready.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'

/** What sums are rounded by depends on it, so that it is not left to the machine. */
const threads = 2

export interface FreshServer {
  readonly address: string
  close (): Promise<void>
}

/** Folders of the cache that are shared with the user's own: what takes a download, or a while, to make. */
const sharedCaches = ['models', 'weights']

/** Settings of a server to replay against. @param folder with this script's settings and rewards */
function settings (folder: string, scratch: string): string[] {
  return [
    '--threads', `${threads}`, '--format', 'i8', '--model', 'smollm2-135m', '--contrast-models', 'twin=smollm2-135m',
    '--config', join(folder, 'settings.yaml'), '--rewards-dir', join(folder, 'rewards'),
    '--data-dir', join(scratch, 'data')
  ]
}

/** How a server is started by hand that the replay can be pointed at. */
export function commandLine (folder: string): string {
  return `node dist/src/cli/main.js serve ${settings(folder, 'EMPTY_FOLDER').join(' ')}`
}

/** A cache without features of rewards: those in the user's own would hide how they are computed now. */
function makeCache (scratch: string): string {
  const own = process.env['FAIRLEAD_CACHE_DIR'] ?? join(homedir(), '.cache', 'fairlead')
  const cache = join(scratch, 'cache')
  mkdirSync(cache)
  for (const name of sharedCaches) {
    mkdirSync(join(own, name), { recursive: true })
    symlinkSync(join(own, name), join(cache, name), 'junction')
  }
  return cache
}

/** Waits for a line of what a process says. @throws Error where it ends before */
function said (child: ChildProcess, pattern: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    const hear = (data: Buffer): void => {
      text += data.toString()
      const found = pattern.exec(text)
      if (found) resolve(found[1] ?? found[0])
    }
    child.stdout!.on('data', hear)
    child.stderr!.on('data', hear)
    child.once('exit', code => { reject(new Error(`the server ended with code ${String(code)}:\n${text}`)) })
  })
}

async function end (child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  await ended
}

/**
 * Starts it and waits until it is ready.
 * @param checkout whose built server is started
 * @param folder with this script's settings and rewards
 */
export async function startFresh (checkout: string, folder: string): Promise<FreshServer> {
  const scratch = mkdtempSync(join(tmpdir(), 'fairlead-replay-'))
  const flags = [...settings(folder, scratch), '--cache-dir', makeCache(scratch), '--port', '0', '--log-level', 'error']
  // Settings of the user's own server are in the environment.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('FAIRLEAD_')))
  const program = join(checkout, 'dist/src/cli/main.js')
  const child = spawn(process.execPath, [program, 'serve', ...flags], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  const close = async (): Promise<void> => {
    await end(child)
    rmSync(scratch, { recursive: true, force: true })
  }
  try {
    const [address] = await Promise.all([said(child, /listening on (http:\S+)/), said(child, /^ready$/m)])
    return { address, close }
  } catch (error) {
    await close()
    throw error
  }
}
