/** Opens what the settings ask for: a store of this process alone, or one that replicas share. */
import { join } from 'node:path'
import { RequestError } from '../errors.js'
import { FolderRewards, type KeptRewards } from '../rewards/kept-rewards.js'
import type { Config } from '../settings.js'
import type { ChatLimits, Chats } from './chats.js'
import { localRates } from './local/rate-limit.js'
import { SqliteChats } from './local/sqlite-chats.js'
import { Database } from './postgres/database.js'
import { PostgresChats } from './postgres/postgres-chats.js'
import { postgresRates } from './postgres/postgres-rates.js'
import { PostgresResponses } from './postgres/postgres-responses.js'
import { PostgresRewards, rewardsRevision } from './postgres/postgres-rewards.js'
import type { Store } from './store.js'

/** Connections of the server, and of the thread that runs models, which asks for rewards alone. */
const [serverConnections, rewardConnections] = [8, 1]

/** @throws RequestError for an address of something else, without showing it: a password may be in it */
function checked (url: string): string {
  if (/^postgres(?:ql)?:\/\//.test(url) && URL.canParse(url)) return url
  throw new RequestError('invalid_request',
    'store must be the address of a PostgreSQL database, postgresql://USER:PASSWORD@HOST:PORT/DATABASE, or empty',
    { param: 'store' })
}

function localStore (config: Config, limits: ChatLimits): Store {
  const chats = new SqliteChats(config.dataDir, limits)
  return {
    chats,
    rates: localRates,
    responses: null,
    name: null,
    problem: null,
    wasReached: true,
    reached: Promise.resolve(),
    rewardsRevision: async () => null,
    close: async () => { chats.close() }
  }
}

/**
 * What a server keeps.
 * @param say receives what becomes of a shared store
 * @throws RequestError for a setting that names no store
 */
export function openStore (config: Config, say: (message: string) => void): Store {
  const chatLimits = {
    completions: config.storedCompletions,
    bytesPerCaller: config.storedCompletionBytesPerKey,
    bytes: config.storedCompletionBytes
  }
  if (config.store === '') return localStore(config, chatLimits)
  const database = new Database(checked(config.store), serverConnections)
  const responses = new PostgresResponses(database, {
    responses: config.storedResponses,
    bytesPerCaller: config.storedResponseBytesPerKey,
    bytes: config.storedResponseBytes
  })
  database.watch(() => responses.look(), say)
  return {
    chats: new PostgresChats(database, chatLimits),
    rates: postgresRates(database),
    responses,
    name: database.name,
    get problem () { return database.problem },
    get wasReached () { return database.wasReached },
    reached: database.reached,
    rewardsRevision: () => rewardsRevision(database),
    close: () => database.close()
  }
}

const unlimited: ChatLimits = { completions: Infinity, bytesPerCaller: Infinity, bytes: Infinity }

/** Chats and feedback for a command, which asks once. @throws RequestError for a setting that names no store */
export function openChats (
  { store, dataDir }: Pick<Config, 'store' | 'dataDir'>
): Chats & { close (): void | Promise<void> } {
  if (store === '') return new SqliteChats(dataDir, unlimited)
  const database = new Database(checked(store), 1)
  return Object.assign(new PostgresChats(database, unlimited), { close: () => database.close() })
}

/** Where rewards are kept, and what ends it. @throws RequestError for a setting that names no store */
export function openRewards (
  { store, dataDir }: Pick<Config, 'store' | 'dataDir'>
): { readonly kept: KeptRewards, close (): Promise<void> } {
  if (store === '') return { kept: new FolderRewards(join(dataDir, 'rewards')), close: async () => {} }
  const database = new Database(checked(store), rewardConnections)
  return { kept: new PostgresRewards(database), close: () => database.close() }
}
