/** Responses in a database that replicas share. */
import { randomUUID } from 'node:crypto'
import type { ResponseLimits, ResponseState, ResponseTexts, SharedResponses } from '../responses.js'
import { lockUsed, type Client, type Database, type Row } from './database.js'

/** A replica that has not been heard of for this long is gone. */
const goneAfter = "interval '30 seconds'"

/** A row that a replica works on. */
const isRunning = `(replica IS NOT NULL AND alive > clock_timestamp() - ${goneAfter})`

const state = `CASE WHEN replica IS NULL THEN 'ended' WHEN is_cancelled THEN 'cancelled' WHEN ${isRunning} ` +
  "THEN 'running' ELSE 'lost' END"

/** A caller's responses that may go: how many there are up to each, newest first; bytes of those that go before it. */
const evictable = `
  SELECT id, bytes, ROW_NUMBER() OVER (ORDER BY used DESC) AS count, SUM(bytes) OVER (ORDER BY used) - bytes AS freed
  FROM fairlead.responses WHERE caller = $1 AND NOT ${isRunning}
`

const textsOf = (row: Row): ResponseTexts => ({
  response: row['response'] as string,
  input: row['input'] as string[],
  itemIds: row['item_ids'] as string[],
  isBackground: row['is_background'] as boolean,
  events: row['events'] as string[] | null,
  bytes: Number(row['bytes'])
})

export class PostgresResponses implements SharedResponses {
  readonly #database: Database
  readonly #limits: ResponseLimits
  /** Names this process. */
  readonly #replica = randomUUID()
  /** Ids of what runs here. */
  readonly #running = new Set<string>()
  readonly #listeners: Array<(id: string) => void> = []

  constructor (database: Database, limits: ResponseLimits) {
    this.#database = database
    this.#limits = limits
  }

  async find (caller: string, id: string): ReturnType<SharedResponses['find']> {
    const one = [caller, id]
    // Read apart from what is written: an update would not find one whose end is being put in its place.
    const [row] = await this.#database.rows(
      `SELECT *, ${state} AS state FROM fairlead.responses WHERE caller = $1 AND id = $2`, one)
    if (!row) return null
    await this.#database.run("UPDATE fairlead.responses SET used = nextval('fairlead.response_uses') " +
      'WHERE caller = $1 AND id = $2', one)
    return { texts: textsOf(row), state: row['state'] as ResponseState }
  }

  async holders (caller: string, itemIds: readonly string[]): Promise<Map<string, string>> {
    const rows = await this.#database.rows('SELECT DISTINCT ON (item) item, id FROM fairlead.responses, ' +
      'unnest(item_ids) AS item WHERE caller = $1 AND replica IS NULL AND item_ids && $2::text[] AND ' +
      'item = ANY ($2::text[]) ORDER BY item, used DESC', [caller, itemIds])
    return new Map(rows.map(row => [row['item'] as string, row['id'] as string]))
  }

  /** Makes room for a response more of so many bytes. @returns whether there is any */
  async #makeRoom (client: Client, caller: string, bytes: number): Promise<boolean> {
    const used = await lockUsed(client, 'responses')
    const { rows: [own] } = await client.query('SELECT COALESCE(SUM(bytes), 0) AS bytes, ' +
      `COALESCE(SUM(bytes) FILTER (WHERE ${isRunning}), 0) AS running, ` +
      `COUNT(*) FILTER (WHERE ${isRunning}) AS runs FROM fairlead.responses WHERE caller = $1`, [caller])
    const { responses, bytesPerCaller, bytes: most } = this.#limits
    const missing = bytes - Math.min(bytesPerCaller - Number(own.bytes), most - used)
    if (missing > Number(own.bytes) - Number(own.running) || Number(own.runs) >= responses) return false
    await client.query(`DELETE FROM fairlead.responses WHERE caller = $1 AND id IN (SELECT id FROM (${evictable}) AS ` +
      'own WHERE count >= $2 OR freed < $3)', [caller, responses - Number(own.runs), missing])
    return true
  }

  /** @param replica what runs it; null where it has ended */
  async #insert (
    client: Client, caller: string, id: string, texts: ResponseTexts, replica: string | null
  ): Promise<boolean> {
    if (!await this.#makeRoom(client, caller, texts.bytes)) return false
    await client.query('INSERT INTO fairlead.responses (caller, id, response, input, item_ids, is_background, ' +
      'events, bytes, replica, alive) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, clock_timestamp())',
    [caller, id, texts.response, texts.input, texts.itemIds, texts.isBackground, texts.events, texts.bytes, replica])
    return true
  }

  async keep (caller: string, id: string, texts: ResponseTexts): Promise<boolean> {
    return await this.#database.transaction(client => this.#insert(client, caller, id, texts, null))
  }

  async begin (caller: string, id: string, texts: ResponseTexts): Promise<boolean> {
    const isKept =
      await this.#database.transaction(client => this.#insert(client, caller, id, texts, this.#replica))
    if (isKept) this.#running.add(id)
    return isKept
  }

  async end (caller: string, id: string, texts: ResponseTexts): Promise<void> {
    await this.#database.transaction(async client => {
      await lockUsed(client, 'responses')
      const { rowCount } = await client.query('DELETE FROM fairlead.responses WHERE caller = $1 AND id = $2 AND ' +
        'replica = $3', [caller, id, this.#replica])
      if (rowCount === 1) await this.#insert(client, caller, id, texts, null)
    })
    this.#running.delete(id)
  }

  async cancel (caller: string, id: string): Promise<boolean> {
    return await this.#database.run('UPDATE fairlead.responses SET is_cancelled = true WHERE caller = $1 AND id = $2 ' +
      `AND ${isRunning}`, [caller, id]) > 0
  }

  async delete (caller: string, id: string): Promise<boolean> {
    return await this.#database.transaction(async client => {
      await lockUsed(client, 'responses')
      const { rowCount } =
        await client.query('DELETE FROM fairlead.responses WHERE caller = $1 AND id = $2', [caller, id])
      return rowCount === 1
    })
  }

  onEnded (listener: (id: string) => void): void { this.#listeners.push(listener) }

  /** To be called every second: says that what runs here is alive, and learns what was ended elsewhere. */
  async look (): Promise<void> {
    if (this.#running.size === 0) return
    const asked = [...this.#running]
    const rows = await this.#database.rows('UPDATE fairlead.responses SET alive = clock_timestamp() ' +
      'WHERE replica = $1 RETURNING id, is_cancelled', [this.#replica])
    const alive = new Set(rows.filter(row => row['is_cancelled'] === false).map(row => row['id']))
    for (const id of asked) if (!alive.has(id)) for (const listener of this.#listeners) listener(id)
  }
}
