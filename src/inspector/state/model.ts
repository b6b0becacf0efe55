/** The model that runs use, and the rewards that work with it. */
import { computed, effect, signal } from '@preact/signals'
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

/** The rewards that work with it. */
export const modelRewards = computed(() => rewards.value.filter(one => one.models.includes(baseModel.value)))
