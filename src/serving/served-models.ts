/** Which models the settings say are served, and what requests call them. Loads nothing. */
import type { Config } from '../settings.js'
import { modelName } from '../models/store/model-store.js'
import { readNamedModels, refuseModels, type NamedModel } from './named-models.js'

/** The setting that names all but the default. */
export const moreModels = 'more-models'

/** The default first. @throws RequestError for names that are no names, and for one that two would have */
export function servedModels (config: Pick<Config, 'model' | 'moreModels'>): readonly NamedModel[] {
  const name = modelName(config.model)
  const more = readNamedModels(moreModels, config.moreModels)
  if (more.some(one => one.name === name)) {
    throw refuseModels(moreModels, `${name} is what the default model is called; another must have another name`)
  }
  return [{ name, model: config.model }, ...more]
}
