/**
 * Gives the memory behind part of a tensor back to the system while its addresses stay valid: what was there is lost, pages come again when they are
 * written. Linux and macOS; elsewhere it does nothing, and the memory stays with the process. Source: madvise(2).
 */
import koffi from 'koffi'

/** MADV_DONTNEED, MADV_FREE. */
const advice: Partial<Record<NodeJS.Platform, number>> = { linux: 4, darwin: 5 }

/** A multiple of every page size of the platforms served. */
const granularity = 65536n

let madvise: ((address: bigint, bytes: bigint, advice: number) => number) | null = null

/** Discards the whole pages of a range of bytes. */
export function discardPages (address: bigint, bytes: number): void {
  const kind = advice[process.platform]
  if (kind === undefined) return
  const first = (address + granularity - 1n) / granularity * granularity
  const end = (address + BigInt(bytes)) / granularity * granularity
  madvise ??= koffi.load(null).func('int madvise(uintptr_t address, size_t bytes, int advice)')
  if (end > first) madvise!(first, end - first, kind)
}
