/** The line of status, which screen readers hear: at most every three seconds. */
import { signal } from '@preact/signals'

export const status = signal('')

const everyMs = 3000
let last = 0
let timer: ReturnType<typeof setTimeout> | undefined

/** @param urgent whether it is said at once: ends and failures */
export function say (text: string, urgent = false): void {
  clearTimeout(timer)
  const write = (): void => {
    last = Date.now()
    status.value = text
  }
  if (urgent || Date.now() - last >= everyMs) write()
  else timer = setTimeout(write, last + everyMs - Date.now())
}
