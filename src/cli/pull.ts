/** `fairlead pull` */
import { loadConfig } from '../config.js'
import { findManifest, pullModel, resolveModel } from '../models/store/model-store.js'
import { say, type Command } from './command.js'
import { settingFlags, settingOptions, type Options } from './options.js'

const options: Options = {
  force: { type: 'boolean', help: 'download again even if cached' },
  ...settingOptions(['model', 'cacheDir'])
}

export const pull: Command = {
  usage: '[MODEL] [OPTIONS]',
  options,
  maxPositionals: 1,
  async run (values, [name]) {
    const { model, cacheDir } = loadConfig(settingFlags(values))
    const wanted = name ?? model
    if (values['force'] === true) console.log(await pullModel(findManifest(wanted), { cacheDir, onProgress: say }))
    else console.log((await resolveModel(wanted, { cacheDir, onProgress: say })).path)
  }
}
