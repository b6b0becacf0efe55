/** The model that runs use, and the rewards that work with it. */
import { computed, effect, signal } from '@preact/signals'
import type { RewardListItem } from '../logic/api-types.js'
import { models, rewards } from '../server/connection.js'

/** Id of the chosen model or profile; the server's first until another is chosen. */
export const chosenModel = signal('')
effect(() => {
  const ids = models.value.map(({ id }) => id)
  if (ids.length > 0 && !ids.includes(chosenModel.peek())) chosenModel.value = ids[0]!
})

/** The model itself, where a profile is chosen. */
export const baseModel = computed(() =>
  models.value.find(({ id }) => id === chosenModel.value)?.parent ?? chosenModel.value)

/** Ids of the model's profiles. */
export const modelProfiles = computed(() =>
  models.value.filter(({ parent }) => parent === baseModel.value).map(({ id }) => id))

/** The rewards that work with it. */
export const modelRewards = computed(() => rewards.value.filter(one => one.models.includes(baseModel.value)))

/** The engine elsewhere that runs the chosen model; null where this server does. */
const engine = computed(() => models.value.find(({ id }) => id === chosenModel.value)?.engine ?? null)
export const engineElsewhere = computed(() => engine.value?.server ?? null)

/** Why a reward cannot judge the chosen model's answers, in words that follow its name; null where it can. */
export function misfit ({ kind, models: fitting }: RewardListItem): string | null {
  if (fitting.includes(baseModel.value)) return null
  return kind === 'head' && engineElsewhere.value !== null
    ? `reads hidden states, which ${engineElsewhere.value} does not give`
    : `does not fit ${baseModel.value}`
}

/** What an engine elsewhere rules out, as a sentence; null where the model runs here. */
export const headless = computed(() => {
  if (engine.value === null) return null
  const beginning = `${baseModel.value} runs on ${engine.value.server}, which gives no hidden states: heads, which ` +
    'read them, cannot be'
  return engine.value.heads.length === 0
    ? `${beginning} used or fitted.`
    : `${beginning} fitted, and used only where it computes them itself (${engine.value.heads.join(', ')}).`
})
