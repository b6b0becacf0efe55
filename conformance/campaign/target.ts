/**
 * The server that the campaign is against: a process of its own with little heap and default limits, a key for the
 * attacker and another for the canary. Knows no attack.
 */
import { createHash, randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startTarget, type Target } from '../../bench/harness/server-process.js'
import { writeTinyGguf } from '../../tests/helpers/tiny-gguf.js'

/** Old-space heap of every thread of the server, MB. */
const heapMegabytes = 512
/** Memory that the server's own settings let it take, so that what is held beyond it is seen, bytes. */
const settings = ['--prefix-cache-bytes', String(32 << 20), '--kv-cache-bytes', String(512 << 20)]

/** Holders of keys: who attacks, who is not to be hurt, who looks at metrics, and who may ask twice a minute. */
export type Holder = 'attacker' | 'canary' | 'admin' | 'limited'

/** Requests a minute of the key `limited`. */
export const limitedRate = 2

/** A server under attack. */
export interface Victim extends Target {
  readonly model: string
  /** The key of a holder, as it is sent. */
  readonly keys: Readonly<Record<Holder, string>>
}

/** What the model is: `tiny` is made here, random and without a download. */
export type ModelName = 'tiny' | (string & {})

const makeKeys = (): Record<Holder, string> => Object.fromEntries(
  (['attacker', 'canary', 'admin', 'limited'] as const).map(name => [name, `${name}-${randomBytes(12).toString('hex')}`])
) as Record<Holder, string>

function writeKeys (file: string, keys: Record<Holder, string>): void {
  writeFileSync(file, JSON.stringify(Object.entries(keys).map(([name, key]) => ({
    name,
    sha256: createHash('sha256').update(key).digest('hex'),
    role: name === 'admin' ? 'admin' : 'inference',
    ...name === 'limited' ? { requests_per_minute: limitedRate } : {}
  }))))
}

/** Starts one with empty data and waits until it is ready. Its folder goes when it is stopped or killed. */
export async function startVictim (model: ModelName): Promise<Victim> {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-campaign-'))
  const end = (): void => { rmSync(folder, { recursive: true, force: true }) }
  const keys = makeKeys()
  writeKeys(join(folder, 'keys.json'), keys)
  mkdirSync(join(folder, 'data'))
  const flags = ['--api-keys-file', join(folder, 'keys.json'), '--data-dir', join(folder, 'data'), '--threads', '2',
    ...settings]
  if (model === 'tiny') {
    writeTinyGguf(join(folder, 'tiny.gguf'), { contextLength: 4096 })
    flags.push('--model', join(folder, 'tiny.gguf'), '--cache-dir', join(folder, 'cache'))
  } else flags.push('--model', model)
  try {
    const target = await startTarget(flags, [`--max-old-space-size=${heapMegabytes}`])
    return {
      ...target,
      model: model === 'tiny' ? 'tiny' : model,
      keys,
      stop: () => target.stop().finally(end),
      kill: () => target.kill().finally(end)
    }
  } catch (error) {
    end()
    throw error
  }
}
