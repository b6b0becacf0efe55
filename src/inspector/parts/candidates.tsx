/** The candidates of a run: as lanes, as a tree, by step, as an outline. */
import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { placed } from '../logic/geometry.js'
import { byReward, drawnAsTree, firstToSee, inOrder } from '../logic/lineages.js'
import { plural } from '../logic/formats.js'
import type { Run } from '../../journal/fold.js'
import { onKeys } from '../state/keyboard.js'
import { togglePin } from '../state/pins.js'
import type { Session } from '../state/session.js'
import { link } from '../server/link.js'
import { CandidateMenu } from './candidate-menu.js'
import { CandidateRows, type Row } from './candidate-rows.js'
import { RewardChart } from './reward-chart.js'
import { Steps } from './steps.js'
import { Tree } from './tree.js'

const tabs = ['lanes', 'tree', 'steps', 'outline'] as const
type Tab = (typeof tabs)[number]
const titles: Readonly<Record<Tab, string>> = { lanes: 'Lanes', tree: 'Tree', steps: 'Steps', outline: 'Outline' }

/** Rows of an outline: each below what it was forked from. */
function outlineRows (run: Run, hidesDropped: boolean): Row[] {
  const places = placed(run, ({ droppedAt }) => !hidesDropped || droppedAt === null)
  const levels = new Map<number, number>()
  return places.map(({ lineage }) => {
    const level = (levels.get(lineage.parent ?? -1) ?? 0) + 1
    levels.set(lineage.index, level)
    return { lineage, level, hasChildren: places.some(one => one.lineage.parent === lineage.index) }
  })
}

function laneRows (run: Run, sorted: boolean, hidesDropped: boolean): Row[] {
  return (sorted ? byReward(run) : inOrder(run)).filter(({ droppedAt }) => !hidesDropped || droppedAt === null)
    .map(lineage => ({ lineage, level: 1, hasChildren: false }))
}

/** The focus goes to the answer's tokens, or to what there is of it. */
function focusDetail (): void {
  const detail = document.querySelector<HTMLElement>('#detail')
  const token = detail?.querySelector<HTMLElement>('[data-token][tabindex="0"]')
  const target = token ?? detail
  target?.focus()
}

/** Says of sent text what is certain already. */
function Committed ({ run }: { readonly run: Run }) {
  if (run.choices.length === 0 || run.done) return null
  return (
    <p class='small'>
      committed: {run.choices.map(({ characters }) => plural(characters, 'character')).join(', ')} already
      sent to the client
    </p>
  )
}

export function Candidates ({ session }: { readonly session: Session }) {
  const chosenTab = useSignal<Tab | null>(null)
  const sorted = useSignal(false)
  const hidesDropped = useSignal(false)
  useEffect(() => onKeys(key => {
    if (key !== 'p') return false
    hidesDropped.value = !hidesDropped.value
    return true
  }), [])
  const { run } = session.shown.value
  const strategy = run.start?.strategy ?? ''
  const tab = chosenTab.value ?? (drawnAsTree(strategy) ? 'tree' : 'lanes')
  const selected = session.selected.value ?? firstToSee(run)
  const select = (index: number): void => { session.selected.value = index }
  const anyDropped = [...run.candidates.values()].some(({ droppedAt }) => droppedAt !== null)
  const rows = tab === 'lanes'
    ? laneRows(run, sorted.value, hidesDropped.value)
    : outlineRows(run, hidesDropped.value)
  return (
    <section class='card candidates' aria-label='Candidates'>
      <div class='bar-row'>
        <h2>Candidates</h2>
        <div class='segments' role='group' aria-label='Show as'>
          {tabs.map(one => (
            <button
              key={one} type='button'
              aria-pressed={tab === one}
              onClick={() => { chosenTab.value = one }}
            >{titles[one]}
            </button>
          ))}
        </div>
        <span class='grow' />
        {anyDropped &&
          <button
            type='button' class='link'
            aria-pressed={hidesDropped.value}
            onClick={() => { hidesDropped.value = !hidesDropped.value }}
          >
            {hidesDropped.value ? 'show dropped' : 'hide dropped'}
          </button>}
        {tab === 'lanes' && !session.isLive &&
          <button
            type='button' class='link'
            aria-pressed={sorted.value}
            onClick={() => { sorted.value = !sorted.value }}
          >{sorted.value ? 'in order drawn' : 'sort by reward'}
          </button>}
      </div>
      {tab === 'lanes' && <RewardChart run={run} selected={selected} onSelect={select} />}
      {tab === 'tree' && <Tree
        run={run} selected={selected}
        hidesDropped={hidesDropped.value}
        onSelect={select}
                         />}
      {tab === 'steps'
        ? <Steps
            run={run} onSeek={step => {
              const entries = session.entries.flatMap((entry, at) => 'step' in entry ? [at + 1] : [])
              session.seek(entries[step] ?? null)
            }}
          />
        : <CandidateRows
            run={run} rows={rows}
            label='Candidates' selected={selected}
            isLive={session.isLive}
            className={tab === 'tree' ? 'sr-only' : tab} onSelect={select}
            onOpen={focusDetail}
            {...(link.value.state === 'file' ? {} : { onPin: lineage => { togglePin(run, lineage) } })}
          />}
      <Committed run={run} />
      <CandidateMenu run={run} />
    </section>
  )
}
