/** What can be done with one candidate: a menu, opened from its row, its details, or the key for menus. */
import { signal } from '@preact/signals'
import { useEffect, useRef } from 'preact/hooks'
import type { Run } from '../../journal/fold.js'
import { link } from '../server/link.js'
import { isPinned, togglePin } from '../state/pins.js'
import { saveFile } from './save.js'

interface Opened {
  readonly index: number
  /** Where, in the window, px. */
  readonly x: number
  readonly y: number
  /** What has the focus before and after. */
  readonly from: HTMLElement
}

const opened = signal<Opened | null>(null)

/** Opens it below an element. @param from what has the focus again afterwards */
export function openMenu (index: number, below: Element, from: HTMLElement): void {
  const { left, bottom } = below.getBoundingClientRect()
  opened.value = { index, x: left, y: bottom, from }
}

/** The button that opens it. */
export function MenuButton ({ index, inRow = false }: { readonly index: number, readonly inRow?: boolean }) {
  return (
    <button
      type='button' class='quiet small more-button'
      aria-label={`What to do with candidate ${index}`} aria-haspopup='menu'
      // For keys and screen readers a row has the key for menus, and the details this button.
      tabIndex={inRow ? -1 : 0} aria-hidden={inRow}
      onClick={event => {
        const button = event.currentTarget
        openMenu(index, button, button.closest<HTMLElement>('[role="treeitem"]') ?? button)
      }}
    >⋯
    </button>
  )
}

/** Moves the focus among the items. */
function onKeyDown (event: KeyboardEvent & { readonly currentTarget: HTMLElement }): void {
  const items = [...event.currentTarget.querySelectorAll<HTMLElement>('[role="menuitem"]')]
  const at = items.indexOf(document.activeElement as HTMLElement)
  const places: Readonly<Record<string, number>> = {
    ArrowDown: (at + 1) % items.length, ArrowUp: (at - 1 + items.length) % items.length, Home: 0, End: items.length - 1
  }
  event.stopPropagation()
  if (event.key === 'Tab') event.currentTarget.hidePopover()
  if (!(event.key in places)) return
  event.preventDefault()
  items[places[event.key]!]!.focus()
}

function Menu ({ run, at }: { readonly run: Run, readonly at: Opened }) {
  const element = useRef<HTMLDivElement>(null)
  const closed = (): void => { if (opened.peek() === at) opened.value = null }
  useEffect(() => {
    const menu = element.current!
    // The browser gives the focus back to what had it when the menu was opened.
    at.from.focus({ preventScroll: true })
    menu.showPopover()
    const { width, height } = menu.getBoundingClientRect()
    menu.style.left = `${Math.max(4, Math.min(at.x, innerWidth - width - 4))}px`
    menu.style.top = `${Math.max(4, Math.min(at.y, innerHeight - height - 4))}px`
    menu.querySelector<HTMLElement>('[role="menuitem"]')!.focus()
    return closed
  }, [])
  const lineage = run.candidates.get(at.index)
  if (!lineage) return null
  const item = (label: string, act: () => void, key?: string) => (
    <button
      type='button' role='menuitem'
      tabIndex={-1}
      onClick={() => {
        element.current!.hidePopover()
        act()
      }}
    >{label}{key && <kbd>{key}</kbd>}
    </button>
  )
  return (
    <div
      ref={element} class='menu'
      popover='auto'
      role='menu' aria-label={`Candidate ${at.index}`}
      onKeyDown={onKeyDown}
      onToggle={event => { if (event.newState === 'closed') closed() }}
    >
      {link.value.state !== 'file' &&
        item(isPinned(run, at.index) ? 'Take the pin out' : 'Pin for Compare', () => {
          togglePin(run, lineage)
        }, 'Space')}
      {item('Save its text', () => {
        saveFile(`${run.head?.id ?? 'run'}-${at.index}.txt`, lineage.text, 'text/plain')
      })}
    </div>
  )
}

/** The menu while it is open; once in a page. */
export function CandidateMenu ({ run }: { readonly run: Run }) {
  return opened.value && <Menu key={opened.value.index} run={run} at={opened.value} />
}
