/** Does a piece of work on each of many items, some of them at a time. */

/**
 * Works on the items in their order, at most `width` at once; after one has failed none is begun.
 * @throws what the first failed with, when all that were begun have ended
 */
export async function sideBySide<T> (
  items: readonly T[], width: number, work: (item: T) => Promise<void>
): Promise<void> {
  let next = 0
  let failed = false
  const worker = async (): Promise<void> => {
    while (next < items.length && !failed) {
      try {
        await work(items[next++]!)
      } catch (error) {
        failed = true
        throw error
      }
    }
  }
  const ended = await Promise.allSettled(Array.from({ length: Math.min(width, items.length) }, worker))
  const rejected = ended.find(one => one.status === 'rejected')
  if (rejected) throw rejected.reason
}
