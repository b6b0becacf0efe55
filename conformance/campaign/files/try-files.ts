/**
 * Tries odd files of every kind in processes with little heap and a limit of time for each file. What ends a process,
 * or keeps it longer than the limit, is told with the seed that makes the file again.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileKinds } from './kinds.js'

/** What became of the files of a kind. */
export interface FileResult {
  readonly kind: string
  loaded: number
  refused: number
  /** Slowest file, ms. */
  longestMs: number
  /** Most memory that a process had, bytes. */
  mostBytes: number
  /** What must not be, with the file's seed. */
  readonly faults: string[]
}

/** What is granted to a process that reads files. */
export const fileLimits = { heapMegabytes: 256, mostBytes: 1 << 30, fileMs: 5000 } as const

/** Notes a line of a child. @returns the seed that it is at now */
function hear (line: string, result: FileResult): number | null {
  const [word, seed, ms, kilobytes, outcome, ...words] = line.split(' ')
  if (word === 'begin') return Number(seed)
  if (outcome === 'loaded' || outcome === 'refused') result[outcome]++
  else result.faults.push(`seed ${seed}: ${words.join(' ')}`)
  result.longestMs = Math.max(result.longestMs, Number(ms))
  result.mostBytes = Math.max(result.mostBytes, Number(kilobytes) * 1024)
  return null
}

/** Ends a process that is at one file for too long. @returns what stops watching */
function watch (child: ChildProcess, begun: () => number | null): () => void {
  const timer = setInterval(() => {
    const since = begun()
    if (since !== null && performance.now() - since > fileLimits.fileMs) child.kill('SIGKILL')
  }, 500)
  return () => { clearInterval(timer) }
}

/** Reads files from a seed on. @returns the seed that it did not survive; null where it is through, or time is over */
async function runChild (
  result: FileResult, seed: number, count: number, over: AbortSignal
): Promise<{ seed: number, why: string } | null> {
  const child = spawn(process.execPath, [`--max-old-space-size=${fileLimits.heapMegabytes}`,
    new URL('load-child.js', import.meta.url).pathname, result.kind, String(seed), String(count)],
  { stdio: ['ignore', 'pipe', 'ignore'] })
  let [at, since] = [null as number | null, null as number | null]
  createInterface(child.stdout!).on('line', line => {
    at = hear(line, result)
    since = at === null ? null : performance.now()
    // Between files: one that takes long has its time.
    if (over.aborted && at === null) child.kill('SIGTERM')
  })
  const stopWatching = watch(child, () => since)
  const [code, signal] = await once(child, 'close') as [number | null, string | null]
  stopWatching()
  if (signal === 'SIGTERM' || code === 0) return null
  const ended = `ended by ${signal ?? `code ${code}`}`
  return { seed: at ?? seed, why: signal === 'SIGKILL' ? `longer than ${fileLimits.fileMs / 1000} s` : ended }
}

async function tryKind (kind: string, seed: number, count: number, over: AbortSignal): Promise<FileResult> {
  const result: FileResult = { kind, loaded: 0, refused: 0, longestMs: 0, mostBytes: 0, faults: [] }
  const end = seed + count
  for (let from = seed; from < end && !over.aborted;) {
    const lost = await runChild(result, from, end - from, over)
    if (!lost) break
    result.faults.push(`seed ${lost.seed}: ${lost.why}`)
    from = lost.seed + 1
  }
  if (result.mostBytes > fileLimits.mostBytes) {
    result.faults.push(`a process had ${(result.mostBytes / 2 ** 20).toFixed(0)} MB`)
  }
  return result
}

/** @param words kinds whose names contain one of these; `all` is every one @param count files of each */
export async function tryFiles (
  words: readonly string[], { seed, count, seconds }: { seed: number, count: number, seconds: number },
  tell: (result: FileResult) => void
): Promise<FileResult[]> {
  const kinds = Object.keys(fileKinds)
    .filter(name => words.some(word => word === 'all' || `file-${name}`.includes(word)))
  const results: FileResult[] = []
  for (const kind of kinds) {
    const result = await tryKind(kind, seed * 1_000_000, count, AbortSignal.timeout(seconds * 1000))
    results.push(result)
    tell(result)
  }
  return results
}
