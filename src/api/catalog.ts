/** What a request's `model` may be: a model, or a model with one of its profiles, `model:profile`. Knows names, not what runs behind them. */
import type { ModelInfo } from '../inference/protocol.js'
import { unknownModel } from '../inference/unknown-model.js'
import type { Profiles } from './profiles.js'

/** A model with the alignment that a request means. */
export interface ChosenModel { readonly model: ModelInfo, readonly alignment: object | null }

export class Catalog {
  readonly #models: readonly ModelInfo[]
  readonly #profiles: Profiles

  /** @param models the default first */
  constructor (models: readonly ModelInfo[], profiles: Profiles) {
    this.#models = models
    this.#profiles = profiles
  }

  /** The model of requests that name none. */
  get default (): ModelInfo { return this.#models[0]! }

  /** @throws RequestError model_not_found, listing what there is */
  find (name: string): ModelInfo {
    const found = this.#models.find(({ id }) => id === name)
    if (!found) throw unknownModel(name, this.#models.map(({ id }) => id))
    return found
  }

  /**
   * What a request means by its model and its alignment.
   * @param name `model` or `model:profile`
   * @throws RequestError model_not_found for an unknown model or profile, field_locked for a field that the profile keeps
   */
  choose (name: string, alignment: object | null): ChosenModel {
    const colon = name.lastIndexOf(':')
    const isModel = colon < 0 || this.#models.some(({ id }) => id === name)
    const [model, profile] = isModel ? [this.find(name), null] : [this.find(name.slice(0, colon)), name.slice(colon + 1)]
    return { model, alignment: this.#profiles.apply(model.id, profile, alignment) }
  }
}
