/** What the Run view holds while other views are looked at: the form, and the run. */
import { computed, effect, signal } from '@preact/signals'
import { samplingFields, strategyForms } from '../logic/form.js'
import { chatBody, draftOf, firstDraft, type Draft } from '../logic/request.js'
import { openapi } from '../server/connection.js'
import { isReady } from '../server/link.js'
import { chosenModel, modelRewards } from './model.js'
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

/** Why a run cannot be started now; null where it can. */
export const refusal = computed(() => {
  if (!isReady.value) return 'The server is not ready.'
  if (draft.value.prompt.trim() === '') return 'A prompt is needed.'
  if (draft.value.strategy !== 'plain' && draft.value.rewards.length === 0) return 'A reward is needed.'
  return null
})

export async function startRun (): Promise<void> {
  if (refusal.value !== null || session.isLive) return
  const of = draft.value.beginning === '' ? null : branch.value
  await session.start(chatBody(draft.value, chosenModel.value), of ?? undefined)
}

/** Opens what was recorded, its request in the form. */
export function openRun (entries: Parameters<Session['open']>[0], file: string | null = null): void {
  session.open(entries, file)
  const request = session.run.head?.request
  if (request) draft.value = draftOf(request)
}
