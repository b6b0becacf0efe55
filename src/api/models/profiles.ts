/**
 * Profiles: alignment objects that the operator names, for clients that cannot send extra fields. `model:
 * "smollm2-135m:helpful-16"` picks one; a profile may say which of its fields a request may change and which model it
 * is for, and one may be what a request without `alignment` gets.
 */
import { isDeepStrictEqual } from 'node:util'
import { Type } from 'typebox'
import { Checker, checkedApart, nullable } from '../../checker.js'
import { parseAlignment } from '../../decoding/strategies/parse-alignment.js'
import { schemaOf } from '../../decoding/strategies/strategy-schemas.js'
import { RequestError } from '../../errors.js'
import { isObject, refuse } from '../../validation.js'

/** A named `alignment` object of the settings file. */
export interface Profile {
  readonly name: string
  readonly description: string
  /** The model it is for; null is every one. */
  readonly model: string | null
  readonly alignment: Readonly<Record<string, unknown>>
  /** Fields of `alignment` that a request may set; null is every one. */
  readonly overridable: readonly string[] | null
  /** Whether it is what requests get that name none. */
  readonly isDefault: boolean
}

const profileChecker = new Checker(Type.Object({
  description: Type.String({ default: '' }),
  model: nullable(Type.String()),
  alignment: checkedApart<Record<string, unknown>>({}, 'object'),
  overridable: nullable(Type.Array(Type.String())),
  default: Type.Boolean({ default: false })
}, { additionalProperties: false }))

const plainName = /^[\w.-]{1,64}$/

/** A request's field where a profile says the same under another name. */
const aliases: Readonly<Record<string, string>> = { reward: 'rewards', rewards: 'reward' }

function readProfile (name: string, value: unknown): Profile {
  const path = `profiles.${name}`
  if (!plainName.test(name)) {
    throw refuse('profiles', 'must have names of letters, digits, points, hyphens and underscores', name)
  }
  const { description, model, alignment, overridable, default: isDefault } = profileChecker.check(value, path)
  try {
    const known = ['strategy', 'reward', ...Object.keys(schemaOf(parseAlignment(alignment).strategy).properties)]
    const unknown = overridable?.find(field => !known.includes(field))
    if (unknown !== undefined) throw refuse(`${path}.overridable`, 'must name fields of its strategy', unknown)
  } catch (error) {
    if (!(error instanceof RequestError)) throw error
    throw new RequestError('invalid_request', `profile ${name}: ${error.message}`, { param: path })
  }
  return { name, description, model, alignment, overridable, isDefault }
}

/**
 * @param models that are served
 * @throws RequestError for a model that is not, two defaults of one, and a name that a model has already
 */
function checkModels (profiles: readonly Profile[], models: readonly string[]): void {
  for (const { name, model } of profiles) {
    if (model !== null && !models.includes(model)) {
      throw refuse(`profiles.${name}.model`, `must be one of ${models.join(', ')}`, model)
    }
  }
  for (const model of models) {
    const own = profiles.filter(profile => isFor(profile, model))
    const defaults = own.filter(({ isDefault }) => isDefault)
    if (defaults.length > 1) {
      throw refuse('profiles', `may have one default for the model ${model}`, defaults.map(({ name }) => name))
    }
    const taken = own.find(({ name }) => models.includes(`${model}:${name}`))
    if (taken) {
      throw refuse(`profiles.${taken.name}`, 'must have another name: with that of its model it is a model’s',
        `${model}:${taken.name}`)
    }
  }
}

const isFor = (profile: Profile, model: string): boolean => profile.model === null || profile.model === model

/** The profiles of a settings file, checked. */
export class Profiles {
  readonly #profiles: readonly Profile[]

  /**
   * @param given name → profile, as the settings file has it
   * @param models names of those that are served
   * @throws RequestError naming the profile, the field, the rule and the value
   */
  constructor (given: unknown, models: readonly string[]) {
    if (!isObject(given)) throw refuse('profiles', 'must be an object of profiles by name', given)
    this.#profiles = Object.entries(given).map(([name, value]) => readProfile(name, value))
    checkModels(this.#profiles, models)
  }

  /** Those of a model. */
  of (model: string): readonly Profile[] { return this.#profiles.filter(profile => isFor(profile, model)) }

  /**
   * What a request to a model means by its alignment.
   * @param name of a profile; null is the default, if there is one
   * @throws RequestError model_not_found for an unknown profile, field_locked for a field that the profile keeps
   */
  apply (model: string, name: string | null, alignment: object | null): object | null {
    const own = this.of(model)
    const profile = own.find(one => name === null ? one.isDefault : one.name === name)
    if (profile) return merge(profile, alignment)
    if (name === null) return alignment
    const names = own.map(one => one.name)
    throw new RequestError('model_not_found', `The model ${JSON.stringify(`${model}:${name}`)} does not exist: ` +
      `${names.length > 0 ? `there are the profiles ${names.join(', ')}` : 'this server has no profiles for it'}`,
    { param: 'model' })
  }
}

/** A profile's alignment with what a request changes of it. */
function merge ({ name, alignment, overridable }: Profile, asked: object | null): object {
  const changes = Object.entries(asked ?? {})
    .filter(([field, value]) => value !== null && !isDeepStrictEqual(value, alignment[field]))
  for (const [field, value] of changes) {
    const path = `alignment.${field}`
    if (field === 'strategy') throw refuse(path, `must be left as it is with the profile ${name}`, value)
    if (overridable && !overridable.includes(field)) {
      throw new RequestError('field_locked', `${path} is set by the profile ` +
        `${name}${overridable.length > 0 ? `, which lets a request change ${overridable.join(', ')}` : ''}`,
      { param: path })
    }
  }
  const replaced = changes.map(([field]) => aliases[field])
  const kept = Object.entries(alignment).filter(([field]) => !replaced.includes(field))
  return { ...Object.fromEntries(kept), ...Object.fromEntries(changes) }
}
