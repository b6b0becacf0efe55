/** `fairlead serve` */
import { inspectorPath, servesInspector } from '../api/inspector/inspector-route.js'
import { loadConfig } from '../config.js'
import { settingNames } from '../settings.js'
import { startServer } from '../server.js'
import { say, type Command } from './command.js'
import { settingFlags, settingOptions } from './options.js'

/** What somebody who starts the server by hand may want next. */
const welcome = (address: string, inspects: boolean): string => `
  OpenAI-compatible base URL  ${address}/v1
${inspects ? `  Inspector                   ${address}${inspectorPath}\n` : ''}  API reference               ${address}/docs
  Check this machine          npx fairlead doctor
  Stop                        Ctrl-C
`

export const serve: Command = {
  usage: '[OPTIONS]',
  options: settingOptions(settingNames),
  maxPositionals: 0,
  async run (values) {
    const config = loadConfig(settingFlags(values))
    const server = await startServer(config, say)
    const inspects = servesInspector(config)
    say(`listening on ${server.address}`)
    if (inspects) say(`inspector: ${server.address}${inspectorPath}`)
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
      if (process.stderr.isTTY) say(welcome(server.address, inspects))
    } catch (error) {
      await server.close()
      throw error
    }
  }
}
