/** Whether memory grows: the slope of a line through what a process held, and how sure it is. Pure. */

export interface MemorySample { readonly seconds: number, readonly bytes: number }

export interface Growth {
  readonly megabytesPerMinute: number
  readonly standardError: number
  /** Whether it grows by more than noise: the slope less two standard errors is above `tolerated`. */
  readonly leaks: boolean
}

/** Growth that is no leak yet, MB a minute: caches fill and heaps breathe. */
export const tolerated = 2
/** Neighbouring samples are alike: means of so many are taken as one. */
const block = 10

/**
 * Growth over the second half, after caches and compiled shapes are there; null where there are too few samples to
 * tell.
 */
export function memoryGrowth (samples: readonly MemorySample[]): Growth | null {
  const late = samples.slice(samples.length >> 1)
  const points = Array.from({ length: Math.floor(late.length / block) }, (_, index) => {
    const own = late.slice(index * block, (index + 1) * block)
    return {
      x: own.reduce((sum, { seconds }) => sum + seconds, 0) / block / 60,
      y: own.reduce((sum, { bytes }) => sum + bytes, 0) / block / 1e6
    }
  })
  const count = points.length
  if (count < 4) return null
  const [meanX, meanY] = [points.reduce((sum, { x }) => sum + x, 0) / count,
    points.reduce((sum, { y }) => sum + y, 0) / count]
  const spread = points.reduce((sum, { x }) => sum + (x - meanX) ** 2, 0)
  const slope = points.reduce((sum, { x, y }) => sum + (x - meanX) * (y - meanY), 0) / spread
  const residual = points.reduce((sum, { x, y }) => sum + (y - meanY - slope * (x - meanX)) ** 2, 0)
  const standardError = Math.sqrt(residual / (count - 2) / spread)
  return { megabytesPerMinute: slope, standardError, leaks: slope - 2 * standardError > tolerated }
}
