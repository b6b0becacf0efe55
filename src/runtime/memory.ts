/**
 * Native memory by address: copying, and giving it back to the system. What lies there, and that it is there, is the
 * caller's to know.
 */
import { loadLibrary } from './native-library.js'

/** The C library, by platform; elsewhere the process has it loaded. */
const libraries: Partial<Record<NodeJS.Platform, string>> = { win32: 'ucrtbase.dll' }

/** MADV_DONTNEED and MADV_FREE of madvise(2). */
const advice: Partial<Record<NodeJS.Platform, number>> = { linux: 4, darwin: 5 }

/** A multiple of every page size of the platforms served. */
const granularity = 65536n

interface Functions {
  readonly memmove: (target: bigint, source: bigint, bytes: number) => unknown
  readonly madvise: ((address: bigint, bytes: bigint, advice: number) => number) | null
  readonly trim: { async: (pad: number, done: (error: Error | null) => void) => void } | null
}

let loaded: Functions | undefined

/** Loaded on first use. */
function functions (): Functions {
  if (loaded) return loaded
  const library = loadLibrary(libraries[process.platform] ?? null)
  loaded = {
    memmove: library.func('void *memmove(uintptr_t target, uintptr_t source, size_t bytes)'),
    madvise: process.platform in advice
      ? library.func('int madvise(uintptr_t address, size_t bytes, int advice)')
      : null,
    trim: process.platform === 'linux' ? library.func('int malloc_trim(size_t pad)') : null
  }
  return loaded
}

/** Copies bytes; the ranges may overlap. */
export function copyMemory (
  target: bigint, source: bigint, bytes: number
): void { functions().memmove(target, source, bytes) }

/**
 * Gives the whole pages of a range of bytes back to the system while their addresses stay valid: what was there is
 * lost, pages come again when they are written. On Linux and macOS; elsewhere the memory stays with the process.
 */
export function discardPages (address: bigint, bytes: number): void {
  const first = (address + granularity - 1n) / granularity * granularity
  const end = (address + BigInt(bytes)) / granularity * granularity
  if (end > first) functions().madvise?.(first, end - first, advice[process.platform]!)
}

/**
 * Gives memory that was freed back to the system, off the event loop. On Linux, whose C library keeps what was used to
 * compile sessions: about as much as a model's weights.
 */
export async function returnFreedMemory (): Promise<void> {
  const { trim } = functions()
  if (trim) {
    await new Promise<void>((resolve, reject) => {
      trim.async(0, error => { if (error) reject(error); else resolve() })
    })
  }
}
