/** Stored completions and the feedback on them in a database that replicas share. */
import { randomUUID } from 'node:crypto'
import type { ChatMessage } from '../../rewards/scorer.js'
import {
  checkRoomForFeedback, completionNotFound, feedbackNotFound, missingBytes, pageLength, type ChatLimits, type Chats,
  type FeedbackEntry, type FeedbackPage, type FeedbackQuery, type StoredCompletion, type Verdict
} from '../chats.js'
import { lockUsed, type Client, type Database, type Row } from './database.js'

/** A caller's completions that may go, with how many and how many bytes there are up to each, newest first. */
const evictable = `
  SELECT sequence, bytes, ROW_NUMBER() OVER newest AS count, SUM(bytes) OVER newest AS held
  FROM fairlead.completions AS c
  WHERE caller = $1 AND NOT EXISTS (SELECT 1 FROM fairlead.feedback WHERE completion_id = c.id)
  WINDOW newest AS (ORDER BY sequence DESC)
`

const entryOf = (row: Row): FeedbackEntry => ({
  id: row['id'] as string,
  completionId: row['completion_id'] as string,
  dataset: row['dataset'] as string,
  created: Number(row['created']),
  messages: JSON.parse(row['messages'] as string) as ChatMessage[],
  verdict: JSON.parse(row['verdict'] as string) as Verdict
})

const completionOf = (id: string, row: Row): StoredCompletion => ({
  id,
  caller: row['caller'] as string,
  messages: JSON.parse(row['messages'] as string) as ChatMessage[],
  completion: JSON.parse(row['completion'] as string) as object
})

export class PostgresChats implements Chats {
  readonly #database: Database
  readonly #limits: ChatLimits

  constructor (database: Database, limits: ChatLimits) {
    this.#database = database
    this.#limits = limits
  }

  async check (caller: string, messages: readonly ChatMessage[]): Promise<void> {
    const [row] = await this.#database.rows(
      `SELECT bytes, (SELECT MAX(held) FROM (${evictable}) AS own) AS held FROM fairlead.used WHERE kind = 'chats'`,
      [caller])
    missingBytes(Buffer.byteLength(JSON.stringify(messages)), Number(row!['bytes']), Number(row!['held'] ?? 0),
      this.#limits)
  }

  async storeCompletion ({ id, caller, messages, completion }: StoredCompletion): Promise<void> {
    const texts = [JSON.stringify(messages), JSON.stringify(completion)] as const
    const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0)
    await this.#database.transaction(async client => {
      await this.#makeRoom(client, caller, bytes)
      await client.query('INSERT INTO fairlead.completions (id, caller, messages, completion, bytes) VALUES ($1, $2, ' +
        '$3, $4, $5)', [id, caller, ...texts, bytes])
    })
  }

  /** @throws RequestError storage_failed where there can be none */
  async #makeRoom (client: Client, caller: string, bytes: number): Promise<void> {
    const used = await lockUsed(client, 'chats')
    const { rows: [own] } = await client.query(`SELECT MAX(held) AS held FROM (${evictable}) AS own`, [caller])
    const held = Number(own.held ?? 0)
    const missing = missingBytes(bytes, used, held, this.#limits)
    const { completions, bytesPerCaller } = this.#limits
    await client.query(`DELETE FROM fairlead.completions WHERE sequence IN (SELECT sequence FROM (${evictable}) AS own ` +
      'WHERE count >= $2 OR held > $3)', [caller, completions, Math.min(bytesPerCaller - bytes, held - missing)])
  }

  async completion (id: string, param = 'id'): Promise<StoredCompletion> {
    const [row] = await this.#database.rows('SELECT * FROM fairlead.completions WHERE id = $1', [id])
    if (!row) throw completionNotFound(id, param)
    return completionOf(id, row)
  }

  /** Locks in the order in which all others do. @returns how many went */
  async #delete (sql: string, id: string): Promise<number> {
    return await this.#database.transaction(async client => {
      await lockUsed(client, 'chats')
      return (await client.query(sql, [id])).rowCount ?? 0
    })
  }

  async deleteCompletion (id: string): Promise<void> {
    await this.#delete('DELETE FROM fairlead.completions WHERE id = $1', id)
  }

  async add (completionId: string, dataset: string, verdict: Verdict): Promise<FeedbackEntry> {
    const said = JSON.stringify(verdict)
    const bytes = Buffer.byteLength(said)
    const [id, created] = [`fb-${randomUUID()}`, Math.floor(Date.now() / 1000)]
    const { messages } = await this.#database.transaction(async client => {
      checkRoomForFeedback(bytes, await lockUsed(client, 'chats'), this.#limits)
      const { rows: [row] } = await client.query('SELECT * FROM fairlead.completions WHERE id = $1', [completionId])
      if (!row) throw completionNotFound(completionId, 'id')
      await client.query('INSERT INTO fairlead.feedback (id, completion_id, dataset, kind, created, verdict, bytes) ' +
        'VALUES ($1, $2, $3, $4, $5, $6, $7)', [id, completionId, dataset, verdict.kind, created, said, bytes])
      return completionOf(completionId, row)
    })
    return { id, completionId, dataset, created, messages, verdict }
  }

  async list ({ dataset, limit, after }: FeedbackQuery): Promise<FeedbackPage> {
    const from = after === undefined
      ? 0
      : (await this.#database.rows('SELECT sequence FROM fairlead.feedback WHERE id = $1', [after]))[0]?.['sequence']
    if (from === undefined) throw feedbackNotFound(after!, 'after')
    const rows = (fields: string, count: number): Promise<Row[]> => this.#database.rows(`SELECT ${fields} FROM ` +
      'fairlead.feedback f JOIN fairlead.completions c ON c.id = f.completion_id WHERE f.sequence > $1 AND ' +
      '($2::text IS NULL OR f.dataset = $2) ORDER BY f.sequence LIMIT $3', [from, dataset ?? null, count])
    const sizes = (await rows('c.bytes + f.bytes AS bytes', limit + 1)).map(row => Number(row['bytes']))
    const count = pageLength(sizes, limit)
    return { entries: (await rows('f.*, c.messages', count)).map(entryOf), hasMore: sizes.length > count }
  }

  async dataset (name: string): Promise<FeedbackEntry[]> {
    return (await this.#database.rows('SELECT f.*, c.messages FROM fairlead.feedback f JOIN fairlead.completions c ' +
      'ON c.id = f.completion_id WHERE f.dataset = $1 ORDER BY f.sequence', [name])).map(entryOf)
  }

  async delete (id: string): Promise<void> {
    if (await this.#delete('DELETE FROM fairlead.feedback WHERE id = $1', id) === 0) throw feedbackNotFound(id, 'id')
  }
}
