/**
 * Stored completions and the feedback on them in one SQLite file: training data of rewards. A caller's completions are
 * bounded in number and bytes, those with feedback apart; the file is bounded in bytes. Where room is needed the
 * caller's own oldest go, never another's. Deleted rows are overwritten in the file. SQLite comes with a binding that
 * has Node's own interface (`node:sqlite`, from Node 22 on) and brings its binaries along.
 */
import { randomUUID } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from '@photostructure/sqlite'
import { RequestError } from '../errors.js'
import { storageError } from '../atomic-file.js'
import type { Examples } from '../fitting/examples.js'
import type { ChatMessage } from '../rewards/scorer.js'
import { evictable, migration, schema, usedBytes } from './feedback-tables.js'

/** A stored completion: the response as it was sent, and what it answered. */
export interface StoredCompletion {
  readonly id: string
  /** Name of the API key that asked for it. */
  readonly caller: string
  readonly messages: readonly ChatMessage[]
  readonly completion: object
}

/**
 * Feedback on a completion: one answer is better than another, an answer is good (1) or bad (0), or how good it is.
 */
export type Verdict =
  | { readonly kind: 'pairs', readonly chosen: string, readonly rejected: string }
  | { readonly kind: 'labels', readonly answer: string, readonly label: 0 | 1 }
  | { readonly kind: 'scores', readonly answer: string, readonly score: number }

/** One piece of feedback on a stored completion. */
export interface FeedbackEntry {
  readonly id: string
  readonly completionId: string
  readonly dataset: string
  /** Seconds since the epoch. */
  readonly created: number
  readonly messages: readonly ChatMessage[]
  readonly verdict: Verdict
}

/** How much is kept. */
export interface FeedbackLimits {
  /** Completions of a caller without feedback. */
  readonly completions: number
  /** Their bytes. */
  readonly bytesPerCaller: number
  /** Bytes of all completions and feedback. */
  readonly bytes: number
}

type Database = InstanceType<typeof DatabaseSync>
type Value = string | number | null

/** Bytes of a page of feedback with its messages, at most, unless a single entry has more. */
const maxListBytes = 8 << 20

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
export class FeedbackStore {
  readonly #directory: string
  readonly #limits: FeedbackLimits
  #database: Database | null = null

  /**
   * Opens nothing yet: a server that stores nothing writes nothing.
   * @param directory of the file; need not be there
   */
  constructor (directory: string, limits: FeedbackLimits) {
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

  /**
   * Makes sure that a completion can be stored, before work is done that would be lost.
   * @throws RequestError storage_failed
   */
  check (caller: string, messages: readonly ChatMessage[]): void {
    this.#use(database => { database.exec('BEGIN IMMEDIATE; ROLLBACK') })
    this.#missing(caller, Buffer.byteLength(JSON.stringify(messages)))
  }

  /**
   * Bytes that the caller's oldest must make room for; 0 where there is room.
   * @throws RequestError storage_failed where that is more than they have
   */
  #missing (caller: string, bytes: number): number {
    const { bytesPerCaller, bytes: most } = this.#limits
    const [file] = this.#rows(usedBytes)
    const missing = Math.max(0, bytes - (most - (file!['used'] as number)))
    const [own] = this.#rows(`SELECT MAX(held) AS held FROM (${evictable})`, caller)
    if (bytes > bytesPerCaller || missing > Number(own!['held'] ?? 0)) {
      throw new RequestError('storage_failed', 'There is no room to store the chat: ' + (bytes > bytesPerCaller
        ? `it has ${bytes} bytes, an API key may store ${bytesPerCaller} (stored-completion-bytes-per-key)`
        : `all chats and feedback may have ${most} bytes (stored-completion-bytes); delete some`))
    }
    return missing
  }

  /** @throws RequestError storage_failed */
  storeCompletion ({ id, caller, messages, completion }: StoredCompletion): void {
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

  /** @throws RequestError not_found; storage_failed */
  completion (id: string, param = 'id'): StoredCompletion {
    const [row] = this.#rows('SELECT * FROM completions WHERE id = ?', id)
    if (!row) {
      throw new RequestError('not_found', `Chat completion with id ${JSON.stringify(id)} not found: it was not ` +
        'stored (store: true), was deleted or evicted (stored-completions, stored-completion-bytes-per-key)', { param })
    }
    return {
      id,
      caller: row['caller'] as string,
      messages: JSON.parse(row['messages'] as string) as ChatMessage[],
      completion: JSON.parse(row['completion'] as string) as object
    }
  }

  /** Deletes a completion and the feedback on it. @throws RequestError storage_failed */
  deleteCompletion (id: string): void { this.#run('DELETE FROM completions WHERE id = ?', id) }

  /** @throws RequestError not_found for the completion; storage_failed */
  add (completionId: string, dataset: string, verdict: Verdict): FeedbackEntry {
    const { messages } = this.completion(completionId)
    const [file] = this.#rows(usedBytes)
    const said = JSON.stringify(verdict)
    if ((file!['used'] as number) + Buffer.byteLength(said) > this.#limits.bytes) {
      throw new RequestError('storage_failed', 'There is no room for more feedback: all chats and feedback may have ' +
        `${this.#limits.bytes} bytes (stored-completion-bytes); delete some`)
    }
    const [id, created] = [`fb-${randomUUID()}`, Math.floor(Date.now() / 1000)]
    this.#run('INSERT INTO feedback (id, completion_id, dataset, kind, created, verdict) VALUES (?, ?, ?, ?, ?, ?)', id,
      completionId, dataset, verdict.kind, created, said)
    return { id, completionId, dataset, created, messages, verdict }
  }

  /**
   * A page of feedback, oldest first: of fewer entries than `limit` where they are long.
   * @param after id of the entry before the first
   * @throws RequestError not_found for `after`; storage_failed
   */
  list ({ dataset, limit, after }: {
    readonly dataset?: string | undefined, readonly limit: number, readonly after?: string | undefined
  }): { readonly entries: readonly FeedbackEntry[], readonly hasMore: boolean } {
    const from =
      after === undefined ? 0 : this.#rows('SELECT sequence FROM feedback WHERE id = ?', after)[0]?.['sequence']
    if (from === undefined) {
      throw new RequestError('not_found', `Feedback with id ${JSON.stringify(after)} not found`, { param: 'after' })
    }
    const rows = (fields: string, count: number): Row[] => this.#rows(`SELECT ${fields} FROM feedback f JOIN ` +
      'completions c ON c.id = f.completion_id WHERE f.sequence > ? AND (? IS NULL OR f.dataset = ?) ORDER BY ' +
      'f.sequence LIMIT ?', from, dataset ?? null, dataset ?? null, count)
    const sizes = rows('c.bytes + length(f.verdict) AS bytes', limit + 1)
    let bytes = 0
    const beyond = sizes.findIndex((row, index) => (bytes += row['bytes'] as number) > maxListBytes && index > 0)
    const count = Math.min(limit, beyond < 0 ? sizes.length : beyond)
    return { entries: rows('f.*, c.messages', count).map(entryOf), hasMore: sizes.length > count }
  }

  #all (dataset: string): FeedbackEntry[] {
    return this.#rows('SELECT f.*, c.messages FROM feedback f JOIN completions c ON c.id = f.completion_id WHERE ' +
      'f.dataset = ? ORDER BY f.sequence', dataset).map(entryOf)
  }

  /** @throws RequestError not_found; storage_failed */
  delete (id: string): void {
    if (this.#run('DELETE FROM feedback WHERE id = ?', id) === 0) {
      throw new RequestError('not_found', `Feedback with id ${JSON.stringify(id)} not found`, { param: 'id' })
    }
  }

  /**
   * A data set as examples of one kind.
   * @param kind null where all entries are of one kind
   * @throws RequestError where there are none, or several kinds and none was chosen; storage_failed
   */
  examples (dataset: string, kind: Examples['kind'] | null): Examples {
    const entries = this.#all(dataset)
    const kinds = [...new Set(entries.map(({ verdict }) => verdict.kind))]
    const chosen = kind ?? (kinds.length === 1 ? kinds[0]! : null)
    if (entries.length === 0) {
      throw new RequestError('invalid_request',
        `feedback.dataset must name a dataset with feedback; "${dataset}" has none`, { param: 'feedback.dataset' })
    }
    if (chosen === null || !kinds.includes(chosen)) {
      throw new RequestError('invalid_request', `feedback.kind must be one of those in "${dataset}", ` +
        `${kinds.join(', ')}; got ${chosen === null ? 'nothing' : `"${chosen}"`}`, { param: 'feedback.kind' })
    }
    return examplesOf(entries, chosen)
  }

  close (): void {
    this.#database?.close()
    this.#database = null
  }
}

function examplesOf (entries: readonly FeedbackEntry[], kind: Examples['kind']): Examples {
  const of = <K extends Verdict['kind']>(one: K): Array<FeedbackEntry
    & { readonly verdict: Extract<Verdict, { kind: K }> }> =>
      entries.filter((entry): entry is FeedbackEntry & { readonly verdict: Extract<Verdict, { kind: K }> } =>
        entry.verdict.kind === one)
  switch (kind) {
    case 'pairs': return {
      kind, pairs: of(kind).map(({ messages, verdict: { chosen, rejected } }) => ({ messages, chosen, rejected }))
    }
    case 'labels': return {
      kind, labelled: of(kind).map(({ messages, verdict: { answer, label } }) => ({ messages, answer, label }))
    }
    case 'scores': return {
      kind, scored: of(kind).map(({ messages, verdict: { answer, score } }) => ({ messages, answer, score }))
    }
  }
}
