/** `fairlead serve` */
import { loadConfig } from '../config.js'
import { settingNames } from '../settings.js'
import { startServer } from '../server.js'
import { say, type Command } from './command.js'
import { settingFlags, settingOptions } from './options.js'

export const serve: Command = {
  name: 'serve',
  usage: '[OPTIONS]',
  summary: 'start the OpenAI-compatible server with reward-guided decoding',
  options: settingOptions(settingNames),
  maxPositionals: 0,
  async run (values) {
    const server = await startServer(loadConfig(settingFlags(values)), say)
    say(`listening on ${server.address}`)
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.once(signal, () => {
        say(`${signal}: finishing in-flight requests`)
        server.close().catch((error: unknown) => {
          console.error(error)
          process.exitCode = 1
        })
      })
    }
    try {
      await server.ready
      say('ready')
    } catch (error) {
      await server.close()
      throw error
    }
  }
}
