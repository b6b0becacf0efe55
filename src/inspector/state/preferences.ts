/** What somebody has set for this page, kept in this browser. */
import { effect, signal, type Signal } from '@preact/signals'
import { keptWidth } from '../logic/widths.js'

function stored (name: string): string | null {
  try {
    return localStorage.getItem(`fairlead-${name}`)
  } catch {
    // Storage may be switched off.
    return null
  }
}

/** Keeps a value as it changes. */
function keeping<T extends string | number> (name: string, value: Signal<T>): Signal<T> {
  effect(() => {
    const now = value.value
    try {
      localStorage.setItem(`fairlead-${name}`, String(now))
    } catch {
      // As above.
    }
  })
  return value
}

function kept<T extends string> (name: string, values: readonly T[]): Signal<T> {
  const before = stored(name)
  return keeping(name, signal(values.find(one => one === before) ?? values[0]!))
}

export const themes = ['system', 'light', 'dark'] as const
export const theme = kept('theme', themes)
/** Whether single letters are commands outside text fields. */
export const letterKeys = kept('letter-keys', ['on', 'off'])

/** Widths of Run's columns, px. */
export const columnLimits = {
  ask: { least: 240, most: 480, initial: 320 }, detail: { least: 300, most: 600, initial: 372 }
} as const
const keptColumn = (name: keyof typeof columnLimits): Signal<number> =>
  keeping(`${name}-width`, signal(keptWidth(stored(`${name}-width`), columnLimits[name])))
export const columnWidths = { ask: keptColumn('ask'), detail: keptColumn('detail') }

effect(() => { document.documentElement.dataset['theme'] = theme.value })

/** Whether movement is unwelcome. */
export const prefersStill = (): boolean => matchMedia('(prefers-reduced-motion: reduce)').matches
