/** A server of Fairlead's for the time of some checks. */
import { loadConfig } from '../src/config.js'
import { startServer } from '../src/server.js'
import type { SettingName } from '../src/settings.js'

/** Runs something against a server of Fairlead's. */
export async function withFairlead (
  settings: Partial<Record<SettingName, string>>, work: (address: string) => Promise<void>
): Promise<void> {
  const server = await startServer(loadConfig({ port: '0', logLevel: 'warn', ...settings }), () => {})
  try {
    await server.ready
    await work(server.address)
  } finally {
    await server.close()
  }
}
