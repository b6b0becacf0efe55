/**
 * Stored completions and the feedback on them in one SQLite file. Deleted rows are overwritten in the file. SQLite
 * comes with a binding that has Node's own interface (`node:sqlite`, from Node 22 on) and brings its binaries along.
 */
import { randomUUID } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from '@photostructure/sqlite'
import { storageError } from '../../atomic-file.js'
import type { ChatMessage } from '../../rewards/scorer.js'
import {
  checkRoomForFeedback, completionNotFound, feedbackNotFound, missingBytes, pageLength, type ChatLimits, type Chats,
  type FeedbackEntry, type FeedbackPage, type FeedbackQuery, type StoredCompletion, type Verdict
} from '../chats.js'
import { evictable, migration, schema, usedBytes } from './sqlite-tables.js'

type Database = InstanceType<typeof DatabaseSync>
type Value = string | number | null
type Row = Readonly<Record<string, string | number>>

const entryOf = (row: Row): FeedbackEntry => ({
  id: row['id'] as string,
  completionId: row['completion_id'] as string,
  dataset: row['dataset'] as string,
  created: row['created'] as number,
  messages: JSON.parse(row['messages'] as string) as ChatMessage[],
  verdict: JSON.parse(row['verdict'] as string) as Verdict
})

/** The completions and feedback of one folder. The database is opened on first use. */
export class SqliteChats implements Chats {
  readonly #directory: string
  readonly #limits: ChatLimits
  #database: Database | null = null

  /**
   * Opens nothing yet: a server that stores nothing writes nothing.
   * @param directory of the file; need not be there
   */
  constructor (directory: string, limits: ChatLimits) {
    this.#directory = directory
    this.#limits = limits
  }

  /** @throws RequestError storage_failed */
  #use<T> (work: (database: Database) => T): T {
    try {
      if (!this.#database) {
        mkdirSync(this.#directory, { recursive: true })
        const database = new DatabaseSync(join(this.#directory, 'feedback.sqlite'))
        database.exec(schema)
        if (database.prepare('PRAGMA user_version').get()!['user_version'] === 0) database.exec(migration)
        this.#database = database
      }
      return work(this.#database)
    } catch (cause) {
      throw storageError('completions and feedback', this.#directory, cause)
    }
  }

  #rows (
    sql: string, ...values: Value[]
  ): Row[] { return this.#use(database => database.prepare(sql).all(...values) as unknown as Row[]) }

  #run (
    sql: string, ...values: Value[]
  ): number { return this.#use(database => Number(database.prepare(sql).run(...values).changes)) }

  get #used (): number { return this.#rows(usedBytes)[0]!['used'] as number }

  /** Bytes that the caller's oldest must make room for. @throws RequestError storage_failed */
  #missing (caller: string, bytes: number): number {
    const [own] = this.#rows(`SELECT MAX(held) AS held FROM (${evictable})`, caller)
    return missingBytes(bytes, this.#used, Number(own!['held'] ?? 0), this.#limits)
  }

  async check (caller: string, messages: readonly ChatMessage[]): Promise<void> {
    this.#use(database => { database.exec('BEGIN IMMEDIATE; ROLLBACK') })
    this.#missing(caller, Buffer.byteLength(JSON.stringify(messages)))
  }

  async storeCompletion ({ id, caller, messages, completion }: StoredCompletion): Promise<void> {
    const texts = [JSON.stringify(messages), JSON.stringify(completion)] as const
    const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0)
    const { completions, bytesPerCaller } = this.#limits
    const missing = this.#missing(caller, bytes)
    this.#run(`DELETE FROM completions WHERE sequence IN (SELECT sequence FROM (${evictable}) WHERE count >= ? OR ` +
      `held > ? OR held > (SELECT MAX(held) FROM (${evictable})) - ?)`, caller, completions, bytesPerCaller - bytes,
    caller, missing)
    this.#run('INSERT INTO completions (id, caller, messages, completion, bytes) VALUES (?, ?, ?, ?, ?)', id, caller,
      ...texts, bytes)
  }

  async completion (id: string, param = 'id'): Promise<StoredCompletion> {
    const [row] = this.#rows('SELECT * FROM completions WHERE id = ?', id)
    if (!row) throw completionNotFound(id, param)
    return {
      id,
      caller: row['caller'] as string,
      messages: JSON.parse(row['messages'] as string) as ChatMessage[],
      completion: JSON.parse(row['completion'] as string) as object
    }
  }

  async deleteCompletion (id: string): Promise<void> { this.#run('DELETE FROM completions WHERE id = ?', id) }

  async add (completionId: string, dataset: string, verdict: Verdict): Promise<FeedbackEntry> {
    const { messages } = await this.completion(completionId)
    const said = JSON.stringify(verdict)
    checkRoomForFeedback(Buffer.byteLength(said), this.#used, this.#limits)
    const [id, created] = [`fb-${randomUUID()}`, Math.floor(Date.now() / 1000)]
    this.#run('INSERT INTO feedback (id, completion_id, dataset, kind, created, verdict) VALUES (?, ?, ?, ?, ?, ?)', id,
      completionId, dataset, verdict.kind, created, said)
    return { id, completionId, dataset, created, messages, verdict }
  }

  async list ({ dataset, limit, after }: FeedbackQuery): Promise<FeedbackPage> {
    const from =
      after === undefined ? 0 : this.#rows('SELECT sequence FROM feedback WHERE id = ?', after)[0]?.['sequence']
    if (from === undefined) throw feedbackNotFound(after!, 'after')
    const rows = (fields: string, count: number): Row[] => this.#rows(`SELECT ${fields} FROM feedback f JOIN ` +
      'completions c ON c.id = f.completion_id WHERE f.sequence > ? AND (? IS NULL OR f.dataset = ?) ORDER BY ' +
      'f.sequence LIMIT ?', from, dataset ?? null, dataset ?? null, count)
    const sizes = rows('c.bytes + length(f.verdict) AS bytes', limit + 1).map(row => row['bytes'] as number)
    const count = pageLength(sizes, limit)
    return { entries: rows('f.*, c.messages', count).map(entryOf), hasMore: sizes.length > count }
  }

  async dataset (name: string): Promise<FeedbackEntry[]> {
    return this.#rows('SELECT f.*, c.messages FROM feedback f JOIN completions c ON c.id = f.completion_id WHERE ' +
      'f.dataset = ? ORDER BY f.sequence', name).map(entryOf)
  }

  async delete (id: string): Promise<void> {
    if (this.#run('DELETE FROM feedback WHERE id = ?', id) === 0) throw feedbackNotFound(id, 'id')
  }

  close (): void {
    this.#database?.close()
    this.#database = null
  }
}
