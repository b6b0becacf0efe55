/** The width that an element has, as it changes. */
import { useEffect, useRef, useState } from 'preact/hooks'
import type { RefObject } from 'preact'

/** @param initial before it is known, px */
export function useWidth<T extends Element> (initial: number): readonly [ref: RefObject<T | null>, width: number] {
  const ref = useRef<T>(null)
  const [width, setWidth] = useState(initial)
  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => {
      if (entry && entry.contentRect.width > 0) setWidth(Math.floor(entry.contentRect.width))
    })
    observer.observe(ref.current!)
    return () => { observer.disconnect() }
  }, [])
  return [ref, width]
}
