/**
 * Keys of the whole page; views add their own. Single letters act only outside text fields, and can be switched off.
 */
import { signal } from '@preact/signals'
import { letterKeys } from './preferences.js'
import { go } from './router.js'

/** What the key of commands is called here. */
export const commandKey = /Mac|iPhone|iPad/.test(navigator.userAgent) ? '⌘' : 'Ctrl'

/** Whether the list of keys is shown. */
export const showsKeys = signal(false)

/** What a view does on a key: `Enter+ctrl`, `Escape`, `s`. @returns whether it did something */
export type KeyHandler = (key: string, event: KeyboardEvent) => boolean

const handlers: KeyHandler[] = []

/** Adds a view's keys. @returns what takes them away */
export function onKeys (handler: KeyHandler): () => void {
  handlers.push(handler)
  return () => { handlers.splice(handlers.indexOf(handler), 1) }
}

const views: Readonly<Record<string, string>> = { r: 'run', c: 'compare', t: 'teach', w: 'rewards', h: 'runs' }
let goesSince = 0

const isWriting = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement && target.closest('input, textarea, select, [contenteditable]') !== null

/** @returns whether the key was for the page as a whole */
function pageKey (key: string): boolean {
  if (key === '?') showsKeys.value = true
  else if (key === 'g') goesSince = Date.now()
  else if (key in views && Date.now() - goesSince < 1500) {
    goesSince = 0
    go(views[key]!)
  } else return false
  return true
}

function handle (event: KeyboardEvent): void {
  if (event.defaultPrevented || event.isComposing || document.querySelector('dialog[open]')) return
  const command = event.ctrlKey || event.metaKey
  const isLetter = event.key.length === 1
  if (isLetter && !command && (isWriting(event.target) || letterKeys.value === 'off')) return
  if (command && event.key !== 'Enter') return
  if (!isLetter && !command && event.key !== 'Escape' && isWriting(event.target)) return
  const key = command ? `${event.key}+ctrl` : event.key
  if ((isLetter && Date.now() - goesSince < 1500 && pageKey(key)) ||
      [...handlers].reverse().some(handler => handler(key, event)) || (isLetter && pageKey(key))) event.preventDefault()
}

export function listenToKeys (): void { addEventListener('keydown', handle) }
