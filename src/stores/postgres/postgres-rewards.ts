/** Rewards in a database that replicas share. */
import { basename } from 'node:path'
import type { KeptReward, KeptRewards } from '../../rewards/kept-rewards.js'
import type { Database } from './database.js'

export class PostgresRewards implements KeptRewards {
  readonly isShared = true
  readonly #database: Database

  constructor (database: Database) { this.#database = database }

  fileOf (name: string): string { return `${this.#database.name}/rewards/${name}.json` }

  async list (): Promise<KeptReward[]> {
    const rows = await this.#database.rows('SELECT name, version FROM fairlead.rewards ORDER BY name')
    return rows.map(row => ({ file: this.fileOf(row['name'] as string), version: row['version'] as string }))
  }

  async read (file: string): Promise<string | null> {
    const [row] =
      await this.#database.rows('SELECT descriptor FROM fairlead.rewards WHERE name = $1', [basename(file, '.json')])
    return (row?.['descriptor'] as string | undefined) ?? null
  }

  async save (name: string, text: string, replace: boolean): Promise<KeptReward | null> {
    const [row] = await this.#database.rows('INSERT INTO fairlead.rewards VALUES ($1, $2, ' +
      "nextval('fairlead.reward_versions')) ON CONFLICT (name) DO UPDATE SET descriptor = excluded.descriptor, " +
      'version = excluded.version WHERE $3::boolean RETURNING version', [name, text, replace])
    return row ? { file: this.fileOf(name), version: row['version'] as string } : null
  }

  async delete (file: string): Promise<void> {
    await this.#database.run('DELETE FROM fairlead.rewards WHERE name = $1', [basename(file, '.json')])
  }
}

/** A number that changes with the rewards. */
export async function rewardsRevision (database: Database): Promise<number> {
  const [row] = await database.rows('SELECT revision FROM fairlead.rewards_revision')
  return Number(row!['revision'])
}
