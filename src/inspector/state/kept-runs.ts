/** Runs that this page asked for, kept in this browser: the last hundred, or 50 MB. */
import { effect, signal } from '@preact/signals'
import type { Entry } from '../../journal/entries.js'
import type { Run } from '../../journal/fold.js'
import { draftOf } from '../logic/request.js'
import { tokensDrawn } from '../logic/lineages.js'
import { session } from './run.js'
import { readAll, remove, removeAll, write } from './storage.js'

/** A run with what the table says of it. */
export interface KeptRun {
  readonly id: string
  /** Seconds since the epoch. */
  readonly created: number
  readonly model: string
  readonly strategy: string
  readonly rewards: readonly string[]
  readonly prompt: string
  readonly tokens: number
  readonly ms: number
  readonly state: string
  /** Size of the entries as text, characters. */
  readonly size: number
  readonly entries: readonly Entry[]
}

const most = { runs: 100, size: 50_000_000 } as const

/** Newest first; null until they have been read. */
export const keptRuns = signal<readonly KeptRun[] | null>(null)

export async function loadRuns (): Promise<void> {
  keptRuns.value ??= (await readAll<KeptRun>('runs')).sort((a, b) => b.created - a.created)
}

function describe (run: Run, entries: readonly Entry[], state: string): KeptRun | null {
  const { head } = run
  if (!head) return null
  const { strategy, rewards, prompt } = draftOf(head.request)
  return {
    id: head.id,
    created: head.created,
    model: head.model,
    strategy,
    rewards: rewards.map(({ name }) => name),
    prompt,
    tokens: run.done?.usage.generated_tokens ?? tokensDrawn(run),
    ms: run.t,
    state,
    size: JSON.stringify(entries).length,
    entries: [...entries]
  }
}

/** Those that there is no room for, the oldest. */
function surplus (runs: readonly KeptRun[]): readonly KeptRun[] {
  let size = 0
  return runs.filter((run, place) => {
    size += run.size
    return place >= most.runs || size > most.size
  })
}

async function keep (run: KeptRun): Promise<void> {
  await loadRuns()
  const all = [run, ...keptRuns.value!.filter(({ id }) => id !== run.id)]
  const gone = surplus(all)
  await write('runs', run.id, run)
  for (const { id } of gone) await remove('runs', id)
  keptRuns.value = all.filter(one => !gone.includes(one))
}

export async function forgetRun (id: string): Promise<void> {
  await remove('runs', id)
  keptRuns.value = keptRuns.value?.filter(run => run.id !== id) ?? null
}

/** Clears runs and ratings from this browser. */
export async function forgetRuns (): Promise<void> {
  await removeAll('runs')
  keptRuns.value = []
}

/** Keeps runs of the Run view as they end. To be called once. */
export function keepRuns (): void {
  effect(() => {
    const phase = session.phase.value
    if (phase === 'idle' || phase === 'asking' || phase === 'running' || session.file.peek() !== null) return
    const run = describe(session.run, session.entries, phase)
    // A browser that keeps nothing loses the list, not the run.
    if (run) keep(run).catch(() => {})
  })
}
