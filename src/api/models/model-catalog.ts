/**
 * What a request's `model` may be: a model, or a model with one of its profiles, `model:profile`. Knows names, not what
 * runs behind them.
 */
import type { Inference } from '../../serving/inference-client.js'
import type { ModelInfo } from '../../serving/protocol.js'
import { unknownModel } from '../../serving/model-names.js'
import type { Profiles } from './profiles.js'

/** A model with the alignment that a request means. */
export interface ChosenModel { readonly model: ModelInfo, readonly alignment: object | null }

export class Catalog {
  readonly #models: readonly ModelInfo[]
  readonly #rewards: Inference['rewards']
  readonly #profiles: Profiles

  constructor ({ models, rewards }: Pick<Inference, 'models' | 'rewards'>, profiles: Profiles) {
    this.#models = models
    this.#rewards = rewards
    this.#profiles = profiles
  }

  /** The model of requests that name none. */
  get default (): ModelInfo { return this.#models[0]! }

  /**
   * The model that a request about rewards means.
   * @param name null where it names none: then the first model is meant that has all the rewards, or the default if
   * there is none
   * @param rewards their names
   * @throws RequestError model_not_found, listing what there is
   */
  forRewards (name: string | null, rewards: readonly string[]): ModelInfo {
    if (name !== null) return this.find(name)
    const fits = ({ id }: ModelInfo): boolean =>
      rewards.every(reward => this.#rewards.some(one => one.name === reward && one.models.includes(id)))
    return this.#models.find(fits) ?? this.default
  }

  /** @throws RequestError model_not_found, listing what there is */
  find (name: string): ModelInfo {
    const found = this.#models.find(({ id }) => id === name)
    if (!found) throw unknownModel(name, this.#models.map(({ id }) => id))
    return found
  }

  /**
   * What a request means by its model and its alignment.
   * @param name `model` or `model:profile`
   * @throws RequestError model_not_found for an unknown model or profile, field_locked for a field that the profile
   * keeps
   */
  choose (name: string, alignment: object | null): ChosenModel {
    const colon = name.lastIndexOf(':')
    const isModel = colon < 0 || this.#models.some(({ id }) => id === name)
    const [model, profile] =
      isModel ? [this.find(name), null] : [this.find(name.slice(0, colon)), name.slice(colon + 1)]
    return { model, alignment: this.#profiles.apply(model.id, profile, alignment) }
  }
}
