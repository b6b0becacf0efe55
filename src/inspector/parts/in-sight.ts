/** Which parts of something long are in sight: only they need elements for all that they are made of. */
import { useEffect, useState } from 'preact/hooks'
import type { RefObject } from 'preact'

/**
 * Follows the children of an element that have `data-block`. @param blocks how many there are; 0 follows none
 * @returns those in sight or near it; until that is known, the first
 */
export function useBlocksInSight (list: RefObject<Element | null>, blocks: number): ReadonlySet<number> {
  const [seen, setSeen] = useState<ReadonlySet<number>>(() => new Set([0]))
  useEffect(() => {
    if (blocks === 0) return
    const observer = new IntersectionObserver(changes => {
      setSeen(before => {
        const after = new Set(before)
        for (const { target, isIntersecting } of changes) {
          const block = Number((target as HTMLElement).dataset['block'])
          if (isIntersecting) after.add(block)
          else after.delete(block)
        }
        return after
      })
    }, { rootMargin: '200px' })
    for (const block of list.current!.querySelectorAll('[data-block]')) observer.observe(block)
    return () => { observer.disconnect() }
  }, [blocks])
  return seen
}
