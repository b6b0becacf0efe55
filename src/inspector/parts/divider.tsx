/** A line between two columns that moves by hand or by key; where it was put is kept in this browser. */
import type { Signal } from '@preact/signals'
import { clampWidth, type Limits } from '../logic/widths.js'

interface DividerProps {
  readonly label: string
  /** Id of the column whose width it sets. */
  readonly controls: string
  /** Width of that column, px. */
  readonly width: Signal<number>
  readonly limits: Limits
  /** Whether that column is on its right. */
  readonly isOnRight?: boolean
}

/** What an arrow key moves it by, px. */
const keyStep = 16

export function Divider ({ label, controls, width, limits, isOnRight = false }: DividerProps) {
  const direction = isOnRight ? -1 : 1
  const set = (px: number): void => { width.value = clampWidth(px, limits) }
  const onKeyDown = (event: KeyboardEvent): void => {
    const places: Readonly<Record<string, number>> = {
      ArrowLeft: width.value - direction * keyStep,
      ArrowRight: width.value + direction * keyStep,
      Home: limits.least,
      End: limits.most,
      Enter: limits.initial
    }
    if (!(event.key in places) || event.ctrlKey || event.metaKey || event.altKey) return
    event.preventDefault()
    event.stopPropagation()
    set(places[event.key]!)
  }
  const onPointerDown = (event: PointerEvent & { readonly currentTarget: HTMLElement }): void => {
    const line = event.currentTarget
    const [from, before] = [event.clientX, width.value]
    const move = (moved: PointerEvent): void => { set(before + direction * (moved.clientX - from)) }
    line.setPointerCapture(event.pointerId)
    line.addEventListener('pointermove', move)
    line.addEventListener('lostpointercapture', () => { line.removeEventListener('pointermove', move) }, { once: true })
  }
  return (
    <div
      role='separator' aria-orientation='vertical'
      class={`divider${isOnRight ? ' right' : ''}`} tabIndex={0}
      aria-label={label} aria-controls={controls}
      aria-valuemin={limits.least} aria-valuemax={limits.most}
      aria-valuenow={width.value} aria-valuetext={`${width.value} pixels`}
      onKeyDown={onKeyDown} onPointerDown={onPointerDown}
      onDblClick={() => { set(limits.initial) }}
    />
  )
}
