/** Names of models, and what settings give each by name: `name=model`, `name=file`. Loads no model. */
import { readFile } from 'node:fs/promises'
import { settings, type Config } from '../settings.js'
import { RequestError } from '../errors.js'
import { modelName } from '../models/store/model-store.js'

/** A model on an inference engine elsewhere. */
export interface RemoteAddress {
  /** Base URLs of its replicas, without a slash at the end; at least one. */
  readonly urls: readonly string[]
  /** What the engine calls the model; null for the only one that it has. */
  readonly model: string | null
}

/** A model, as it is asked for. */
export interface NamedModel {
  readonly name: string
  /** A path or a built-in name; of a remote one the first URL. */
  readonly model: string
  /** Where it runs; null for a model of this process. */
  readonly remote: RemoteAddress | null
}

/** The setting of the inference engine that runs the default model, and that of its tokenizer. */
export const [policySetting, tokenizerSetting] = ['policy', 'policy-tokenizer'] as const

/** What the model of an engine is called where the settings do not say. */
const unnamedPolicy = 'policy'

/** The setting that names all served models but the default. */
export const moreModels = 'more-models'

/** The error of such a setting. */
export const refuseModels = (setting: string, problem: string): RequestError =>
  new RequestError('invalid_request', `${setting}: ${problem}`, { param: setting })

/** @param setting its name, for errors. @throws RequestError naming the setting, the rule and the entry */
export function readNamedModels (
  setting: string, entries: readonly string[]
): Array<Pick<NamedModel, 'name' | 'model'>> {
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

const isUrl = (text: string): boolean => /^https?:/i.test(text)

/** An address without what may be a secret. */
const shown = (url: string): string => url.replace(/\/\/[^/@]*@/, '//…@').replace(/\?.*$/s, '?…')

/**
 * URLs of one engine's replicas, the model's name behind a # of one or all of them.
 * @param setting its name, for errors
 * @throws RequestError naming the setting, the rule and the entry
 */
export function readAddress (setting: string, entries: readonly string[]): RemoteAddress {
  const read = entries.map(entry => {
    const url = isUrl(entry) && URL.canParse(entry) ? new URL(entry) : null
    if (!url || url.username !== '' || url.password !== '' || url.search !== '') {
      throw refuseModels(setting, 'must be a URL such as http://127.0.0.1:8000#model, without user, password and ' +
        `query (policy-api-key-env names a variable with a key); got ${JSON.stringify(shown(entry))}`)
    }
    return { base: `${url.origin}${url.pathname}`.replace(/\/(v1\/?)?$/, ''), model: decodeURIComponent(url.hash.slice(1)) }
  })
  const models = [...new Set(read.map(({ model }) => model).filter(model => model !== ''))]
  if (models.length > 1) throw refuseModels(setting, `replicas must have one model; got ${models.join(' and ')}`)
  const urls = read.map(({ base }) => base)
  const twice = urls.find((url, index) => urls.indexOf(url) < index)
  if (twice !== undefined) throw refuseModels(setting, `${twice} is there twice`)
  return { urls, model: models[0] ?? null }
}

/** The default model. @throws RequestError for settings of two */
function defaultModel ({ model, policy }: Pick<Config, 'model' | 'policy'>): NamedModel {
  if (policy.length === 0) return { name: modelName(model), model, remote: null }
  if (model !== settings.model.default) {
    throw refuseModels(policySetting, `it runs the default model in place of --model; got both, model ${model}: serve ` +
      'that one by --more-models')
  }
  const remote = readAddress(policySetting, policy)
  return { name: remote.model ?? unnamedPolicy, model: remote.urls[0]!, remote }
}

/** The models that are served, the default first. @throws RequestError for bad names, and for one that two have */
export function servedModelNames (config: Pick<Config, 'model' | 'moreModels' | 'policy'>): readonly NamedModel[] {
  const first = defaultModel(config)
  const more = readNamedModels(moreModels, config.moreModels).map(({ name, model }): NamedModel =>
    ({ name, model, remote: isUrl(model) ? readAddress(moreModels, [model]) : null }))
  if (more.some(one => one.name === first.name)) {
    throw refuseModels(moreModels, `${first.name} is what the default model is called; another must have another name`)
  }
  return [first, ...more]
}

/** The setting that gives models chat templates. */
const chatTemplate = 'chat-template'

type Names = Pick<Config, 'model' | 'moreModels' | 'policy'>

/**
 * The path that a setting gives a model, by `name=path` or, for the default model, by the path alone; undefined where
 * it gives none.
 */
function pathFor (setting: string, entries: readonly string[], config: Names, name: string): string | undefined {
  const names = servedModelNames(config).map(model => model.name)
  const paths = entries.map(entry => {
    const [, of = '', path = ''] = /^([^=]+)=(.+)$/.exec(entry) ?? []
    return names.includes(of) ? { of, path } : { of: names[0]!, path: entry }
  })
  const mine = paths.filter(({ of }) => of === name)
  if (mine.length > 1) throw refuseModels(setting, `${name} is given two`)
  return mine[0]?.path
}

/** Where settings say that the tokenizer of a model on an engine elsewhere is; undefined where they do not. */
export const givenTokenizer = (config: Names & Pick<Config, 'policyTokenizer'>, name: string): string | undefined =>
  pathFor(tokenizerSetting, config.policyTokenizer, config, name)

/**
 * The chat template that settings give a model.
 * @throws RequestError naming the setting and the file where it cannot be read
 */
export async function givenTemplate (
  config: Names & Pick<Config, 'chatTemplate'>, name: string
): Promise<string | undefined> {
  const file = pathFor(chatTemplate, config.chatTemplate, config, name)
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
