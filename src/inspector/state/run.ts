/** What the Run view holds while other views are looked at: the form, and the run. */
import { computed, effect, signal } from '@preact/signals'
import type { Entry } from '../../journal/entries.js'
import { fold, type Run } from '../../journal/fold.js'
import { againBody, againRefusal } from '../logic/again.js'
import { samplingFields, strategyForms } from '../logic/form.js'
import { presetsFor } from '../logic/presets.js'
import { chatBody, draftOf, firstDraft, type Draft } from '../logic/request.js'
import { models, openapi } from '../server/connection.js'
import { isReady } from '../server/link.js'
import { chosenModel, modelProfiles, modelRewards } from './model.js'
import { Session } from './session.js'

export const session = new Session()
export const draft = signal<Draft>(firstDraft)

/** The run that the next one goes on from. */
export const branch = signal<{ of: string, candidate: number, token: number } | null>(null)

export const strategies = computed(() => strategyForms(openapi.value))
export const sampling = computed(() => samplingFields(openapi.value))

export function change (changes: Partial<Draft>): void { draft.value = { ...draft.value, ...changes } }

// The first reward that fits the model, until another is chosen.
effect(() => {
  const [first] = modelRewards.value
  if (!first || draft.peek().rewards.length > 0) return
  change({ rewards: [{ name: first.id, weight: 1 }] })
})

/** A recorded run, and the file it was in. */
interface Recorded { readonly run: Run, readonly entries: readonly Entry[], readonly file: string | null }

/** The recorded run that the one at hand was made of again; null for none. */
export const original = signal<Recorded | null>(null)

/** Why a run cannot be started now; null where it can. */
export const refusal = computed(() => {
  if (!isReady.value) return 'The server is not ready.'
  if (draft.value.prompt.trim() === '') return 'A prompt is needed.'
  if (draft.value.strategy !== 'plain' && draft.value.rewards.length === 0) {
    return modelRewards.value.length === 0 ? 'The server has no reward that fits this model.' : 'A reward is needed.'
  }
  return null
})

export async function startRun (): Promise<void> {
  if (refusal.value !== null || session.isLive) return
  original.value = null
  const of = draft.value.beginning === '' ? null : branch.value
  await session.start(chatBody(draft.value, chosenModel.value), of ?? undefined)
}

/** Opens what was recorded, its request in the form. */
export function openRun (entries: readonly Entry[], file: string | null = null): void {
  original.value = null
  session.open(entries, file)
  const request = session.run.head?.request
  if (request) draft.value = draftOf(request)
}

/** Follows a run that the server keeps. */
export async function followRun (id: string): Promise<void> {
  original.value = null
  await session.follow(id)
}

/** What Compare offers: made of the run at hand, or of the form where there is none. */
export const presets = computed(() => {
  const { run: { head, start } } = session.shown.value
  const asked = head ? draftOf(head.request) : draft.value
  const form = strategies.value.find(({ name }) => name === asked.strategy)
  return presetsFor(asked, head ? 'this run' : 'Run’s form', form, start?.resolved ?? {}, modelProfiles.value)
})

/** Why the run at hand cannot be run again here; null where it can. */
export function whyNotAgain (): string | null {
  if (session.isLive || !isReady.value) return 'The server is not ready.'
  return againRefusal(session.run)
}

/** Runs a recorded run's request again, with its seed, to be compared: on its model, or the one that is chosen. */
export async function runAgain (): Promise<void> {
  if (whyNotAgain() !== null) return
  const { entries, file: { value: file } } = session
  const run = fold(entries)
  const { model } = run.head!
  const body = againBody(run, models.value.some(({ id }) => id === model) ? model : chosenModel.value)
  original.value = { run, entries, file }
  await session.start(body)
}
