/** Names of models, and what settings give each by name: `name=model`, `name=file`. Loads no model. */
import { readFile } from 'node:fs/promises'
import type { Config } from '../settings.js'
import { RequestError } from '../errors.js'
import { modelName } from '../models/store/model-store.js'

/** A model, as it is asked for: a path or a built-in name. */
export interface NamedModel { readonly name: string, readonly model: string }

/** The setting that names all served models but the default. */
export const moreModels = 'more-models'

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

/** The models that are served, the default first. @throws RequestError for bad names, and for one that two have */
export function servedModelNames (config: Pick<Config, 'model' | 'moreModels'>): readonly NamedModel[] {
  const name = modelName(config.model)
  const more = readNamedModels(moreModels, config.moreModels)
  if (more.some(one => one.name === name)) {
    throw refuseModels(moreModels, `${name} is what the default model is called; another must have another name`)
  }
  return [{ name, model: config.model }, ...more]
}

/** The setting that gives models chat templates. */
const chatTemplate = 'chat-template'

/** The file with the chat template that settings give a model; undefined where they give none. */
function templateFile (
  config: Pick<Config, 'model' | 'moreModels' | 'chatTemplate'>, name: string
): string | undefined {
  const names = servedModelNames(config).map(model => model.name)
  const files = config.chatTemplate.map(entry => {
    const [, of = '', file = ''] = /^([\w.-]+)=(.+)$/.exec(entry) ?? []
    return names.includes(of) ? { of, file } : { of: names[0]!, file: entry }
  })
  const mine = files.filter(({ of }) => of === name)
  if (mine.length > 1) throw refuseModels(chatTemplate, `${name} is given two`)
  return mine[0]?.file
}

/**
 * The chat template that settings give a model.
 * @throws RequestError naming the setting and the file where it cannot be read
 */
export async function givenTemplate (
  config: Pick<Config, 'model' | 'moreModels' | 'chatTemplate'>, name: string
): Promise<string | undefined> {
  const file = templateFile(config, name)
  if (file === undefined) return undefined
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(await readFile(file))
  } catch (cause) {
    throw new RequestError('invalid_request', `${chatTemplate}: ${file} must be a file in UTF-8; it cannot be read ` +
      `(${(cause as Error).message})`, { param: chatTemplate, cause })
  }
}

/** The error for a name that no model has. @param names those there are */
export function unknownModel (name: string, names: readonly string[]): RequestError {
  return new RequestError('model_not_found',
    `The model ${JSON.stringify(name)} does not exist; this server has ${names.join(', ')}`, { param: 'model' })
}
