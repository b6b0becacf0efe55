/** Settings that list models as `name=model`. */
import { RequestError } from '../errors.js'

/** A model, as it is asked for: a path or a name in the box. */
export interface NamedModel { readonly name: string, readonly model: string }

/** The error of such a setting. */
export const refuseModels = (setting: string, problem: string): RequestError =>
  new RequestError('invalid_request', `${setting}: ${problem}`, { param: setting })

/** @param setting its name, for errors. @throws RequestError naming the setting, the rule and the entry */
export function readNamedModels (setting: string, entries: readonly string[]): NamedModel[] {
  const models = entries.map(entry => {
    const found = /^([\w.-]+)=(.+)$/.exec(entry)
    if (!found) {
      throw refuseModels(setting,
        `must hold models as name=path, with letters, digits, _, . and - in names; got ${JSON.stringify(entry)}`)
    }
    return { name: found[1]!, model: found[2]! }
  })
  const twice = models.find(({ name }, index) => models.findIndex(other => other.name === name) < index)
  if (twice) throw refuseModels(setting, `${twice.name} is there twice`)
  return models
}
