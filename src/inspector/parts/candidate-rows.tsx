/**
 * Candidates as rows, in a tree that keys walk: side by side (lanes) or each below what it was forked from (outline).
 * Rows keep their place while a run goes on. Of many rows only those in sight are drawn.
 */
import { useEffect, useRef, useState } from 'preact/hooks'
import type { Lineage, Run } from '../../journal/fold.js'
import { cut, oneLine, signed, tail, visible } from '../logic/formats.js'
import { chosenOf, fateOf, fateText, firstToSee, glyphs, labelOf, scoresAlong } from '../logic/lineages.js'
import { isPinned } from '../state/pins.js'
import { MenuButton, openMenu } from './candidate-menu.js'

/** A row of the list. */
export interface Row {
  readonly lineage: Lineage
  /** From 1. */
  readonly level: number
  /** Whether children are below it. */
  readonly hasChildren: boolean
}

interface RowsProps {
  readonly run: Run
  readonly rows: readonly Row[]
  readonly label: string
  readonly selected: number | null
  readonly isLive: boolean
  readonly className: string
  readonly onSelect: (index: number) => void
  readonly onOpen?: () => void
  /** Pins a candidate, or takes the pin out; absent where there is no Compare. */
  readonly onPin?: (lineage: Lineage) => void
}

/** More rows than these are drawn only where they are in sight. */
const mostDrawn = 64
const [sparkWidth, sparkHeight] = [44, 16]

function Spark ({ run, lineage }: { readonly run: Run, readonly lineage: Lineage }) {
  const scores = scoresAlong(run, lineage)
  if (scores.length < 2) return <span class='spark' />
  const values = scores.map(([, reward]) => reward)
  const [low, high, end] = [Math.min(...values), Math.max(...values), scores.at(-1)![0] || 1]
  const point = ([tokens, reward]: readonly [number, number]): string =>
    `${(tokens / end * (sparkWidth - 2) + 1).toFixed(1)},` +
    `${(sparkHeight - 2 - (reward - low) / (high - low || 1) * (sparkHeight - 4)).toFixed(1)}`
  return (
    <svg
      class='spark' width={sparkWidth}
      height={sparkHeight}
      aria-hidden='true'
    >
      <polyline points={scores.map(point).join(' ')} />
    </svg>
  )
}

function RowBody ({ run, lineage }: { readonly run: Run, readonly lineage: Lineage }) {
  const fate = fateOf(run, lineage)
  const text = fate === 'dropped' && lineage.text === ''
    ? fateText(run, lineage)
    : fate === 'growing'
      ? tail(oneLine(visible(lineage.text.slice(-220))), 110)
      : oneLine(visible(cut(lineage.text, 200)))
  // The row's name says all of this in words.
  return (
    <span class='parts-of-row' aria-hidden='true'>
      <span class={`glyph ${fate}`}>{glyphs[fate]}</span>
      <span class='index'>{lineage.index}</span>
      <span class={`number reward${(lineage.reward ?? 0) < 0 ? ' below' : ''}`}>{signed(lineage.reward)}</span>
      <Spark run={run} lineage={lineage} />
      <span class='number tokens'>{lineage.tokens}</span>
      <bdi class='text' dir='auto'>{isPinned(run, lineage.index) && '⚑ '}{text}</bdi>
    </span>
  )
}

/** The part of a long list that is in sight. */
function useWindow (count: number) {
  const list = useRef<HTMLUListElement>(null)
  const [first, setFirst] = useState(0)
  const [rowHeight, setRowHeight] = useState(36)
  useEffect(() => {
    const row = list.current?.querySelector<HTMLElement>('li[role]')
    if (row && row.offsetHeight > 0) setRowHeight(row.offsetHeight)
  }, [count > 0])
  const windowed = count > mostDrawn
  const onScroll = (): void => {
    if (windowed) setFirst(Math.max(0, Math.floor(list.current!.scrollTop / rowHeight) - 8))
  }
  const begin = windowed ? Math.min(first, Math.max(0, count - 40)) : 0
  return { list, rowHeight, onScroll, begin, end: windowed ? Math.min(count, begin + 40) : count }
}

export function CandidateRows ({ run, rows, label, selected, isLive, className, onSelect, onOpen, onPin }: RowsProps) {
  const { list, rowHeight, onScroll, begin, end } = useWindow(rows.length)
  const current = rows.findIndex(({ lineage }) => lineage.index === (selected ?? firstToSee(run)))
  const chosen = chosenOf(run)
  const focusRow = (place: number): void => {
    const row = rows[Math.max(0, Math.min(rows.length - 1, place))]
    if (!row) return
    onSelect(row.lineage.index)
    const element = list.current!
    const top = rows.indexOf(row) * rowHeight
    const isInSight = top >= element.scrollTop && top <= element.scrollTop + element.clientHeight - rowHeight
    if (rows.length > mostDrawn && !isInSight) {
      element.scrollTop = top - element.clientHeight / 2
    }
    requestAnimationFrame(() => {
      list.current?.querySelector<HTMLElement>(`[data-candidate="${row.lineage.index}"]`)?.focus()
    })
  }
  const parentPlace = (place: number): number =>
    rows.findLastIndex(({ level }, at) => at < place && level < rows[place]!.level)
  const onKeyDown = (event: KeyboardEvent): void => {
    const moves: Readonly<Record<string, () => number>> = {
      ArrowDown: () => current + 1,
      ArrowUp: () => current - 1,
      Home: () => 0,
      End: () => rows.length - 1,
      ArrowRight: () => rows[current]?.hasChildren ? current + 1 : current,
      ArrowLeft: () => Math.max(parentPlace(current), -1) === -1 ? current : parentPlace(current),
      c: () => chosen.length > 0 ? rows.findIndex(({ lineage }) => lineage.index === chosen[0]) : current
    }
    if (event.key === 'Enter') onOpen?.()
    else if (event.key === ' ' && rows[current] && onPin) onPin(rows[current].lineage)
    else if (event.ctrlKey || event.metaKey || event.altKey || !(event.key in moves)) return
    else focusRow(moves[event.key]!())
    event.preventDefault()
    event.stopPropagation()
  }
  return (
    <ul
      ref={list} role='tree'
      aria-label={label} aria-busy={isLive}
      class={`rows ${className}`}
      onKeyDown={onKeyDown} onScroll={onScroll}
    >
      {begin > 0 && <li class='space' role='presentation' style={{ height: `${begin * rowHeight}px` }} />}
      {rows.slice(begin, end).map(({ lineage, level, hasChildren }, at) => (
        <li
          key={lineage.index} role='treeitem'
          data-candidate={lineage.index}
          aria-level={level} aria-posinset={begin + at + 1}
          aria-setsize={rows.length}
          aria-selected={lineage.index === selected} {...(hasChildren ? { 'aria-expanded': true } : {})}
          tabIndex={begin + at === Math.max(current, 0) ? 0 : -1} class={`${fateOf(run, lineage)} level-${Math.min(level, 8)}`}
          onClick={() => { onSelect(lineage.index) }}
          onContextMenu={event => {
            event.preventDefault()
            onSelect(lineage.index)
            openMenu(lineage.index, event.currentTarget, event.currentTarget)
          }}
        >
          <span class='sr-only'>{labelOf(run, lineage)}{isPinned(run, lineage.index) && ', pinned'}</span>
          <RowBody run={run} lineage={lineage} />
          <MenuButton index={lineage.index} inRow />
        </li>
      ))}
      {end < rows.length &&
        <li class='space' role='presentation' style={{ height: `${(rows.length - end) * rowHeight}px` }} />}
    </ul>
  )
}
