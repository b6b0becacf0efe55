/**
 * A PostgreSQL database that replicas share: connections, tables, timeouts, and what is said while it cannot be
 * reached. Nothing waits long for it: statements have a time, those that wait for a connection are bounded in number,
 * and once a look at it has failed everything is refused at once until one succeeds.
 */
import { createRequire } from 'node:module'
import type pg from 'pg'
import { RequestError } from '../../errors.js'
import { migrations } from './schema.js'

/** Loads the driver when a database is named: most servers have none, and their threads start sooner without it. */
const driver = (): typeof pg => createRequire(import.meta.url)('pg') as typeof pg

export type Row = Readonly<Record<string, unknown>>
export type Client = Pick<pg.PoolClient, 'query'>

/** Until a connection is there, a lock is had, a statement has ended, ms. */
const [connectMs, lockMs, statementMs] = [3000, 3000, 5000]
/** Until a look at it must have succeeded, and between two, ms. */
const [lookMs, lookEveryMs] = [2000, 1000]
/** Statements that may wait for a connection. */
const maxWaiting = 256
/** Names the lock under which tables are made. */
const migrationLock = 0x66_61_69_72

/** What it is called, without user, password and parameters. */
function shownName (url: string): string {
  const { hostname, port, pathname } = new URL(url)
  return `postgresql://${hostname || 'localhost'}:${port || '5432'}${pathname}`
}

/**
 * SQLSTATE classes of what a statement of ours did wrong; all other errors are of the connection, of the server or of
 * what its operator allows.
 */
const ownFaults = /^(?:21|22|23|42(?!501)|P0)/

const isOurs = (error: unknown): boolean => error instanceof driver().DatabaseError && ownFaults.test(error.code ?? '')

function messageOf (error: unknown): string {
  // What all addresses of a host say.
  if (error instanceof AggregateError) return error.errors.map(messageOf).join(', ')
  return error instanceof Error ? error.message : String(error)
}

const ignore = (): void => {}

export class Database {
  /** For messages and the log. */
  readonly name: string
  readonly #pool: pg.Pool
  #prepared: Promise<void> | null = null
  #problem: RequestError | null = null
  /** When it was first found; rejects with store_unavailable where it is closed before. */
  readonly reached: Promise<void>
  #settleReached: (error: RequestError | null) => void = () => {}
  #wasReached = false
  #watch: NodeJS.Timeout | undefined
  #closed: Promise<void> | null = null

  /**
   * Connects on first use.
   * @param url postgresql://USER:PASSWORD@HOST:PORT/DATABASE, with libpq's parameters
   * @param connections at most
   */
  constructor (url: string, connections: number) {
    this.name = shownName(url)
    this.#pool = new (driver().Pool)({
      connectionString: url,
      max: connections,
      connectionTimeoutMillis: connectMs,
      statement_timeout: statementMs,
      query_timeout: statementMs + 1000,
      lock_timeout: lockMs,
      idle_in_transaction_session_timeout: statementMs,
      keepAlive: true,
      application_name: 'fairlead'
    })
    // A connection that breaks while it is idle has left the pool.
    this.#pool.on('error', ignore)
    this.reached = new Promise((resolve, reject) => {
      this.#settleReached = error => { if (error) reject(error); else resolve() }
    })
    // Nobody need wait for it.
    this.reached.catch(() => {})
  }

  /** Why it cannot be used, as it was last seen; null where it can. */
  get problem (): RequestError | null { return this.#problem }
  get wasReached (): boolean { return this.#wasReached }

  /**
   * Looks at it from now on, every second.
   * @param onLook called after each look that found it
   * @param say receives when it is lost and found
   */
  watch (onLook: () => Promise<void>, say: (message: string) => void): void {
    this.#problem = this.#unavailable('it has not been reached yet')
    let said = ''
    const look = async (): Promise<void> => {
      try {
        await this.#prepare()
        await this.#pool.query({ text: 'SELECT 1', query_timeout: lookMs } as pg.QueryConfig)
        this.#problem = null
        await onLook()
        this.#wasReached = true
        this.#settleReached(null)
      } catch (error) {
        if (this.#closed) return
        this.#problem = this.#unavailable(error)
      }
      const now = this.#problem?.message ?? `The store ${this.name} can be used`
      if (now !== said) say(said = now)
      if (!this.#closed) this.#watch = setTimeout(look, lookEveryMs)
    }
    this.#watch = setTimeout(look, 0)
  }

  #unavailable (reason: unknown): RequestError {
    if (reason instanceof RequestError) return reason
    return new RequestError('store_unavailable', `The store ${this.name} cannot be used: ${messageOf(reason)}`,
      { retryAfterMs: lookEveryMs, cause: reason })
  }

  /** Makes the tables that are missing, once. @throws what stands in the way */
  #prepare (): Promise<void> {
    this.#prepared ??= this.#migrate().catch((error: unknown) => {
      this.#prepared = null
      throw error
    })
    return this.#prepared
  }

  async #migrate (): Promise<void> {
    await this.#inTransaction(async client => {
      await client.query('SELECT pg_advisory_xact_lock($1)', [migrationLock])
      // Asked first, so that a role that may not make schemas can use one that was made for it.
      const { rows: [made] } = await client.query("SELECT to_regnamespace('fairlead') IS NOT NULL AS schema, " +
        "to_regclass('fairlead.version') IS NOT NULL AS version")
      if (!made.schema) await client.query('CREATE SCHEMA fairlead')
      if (!made.version) {
        await client.query('CREATE TABLE fairlead.version (version integer NOT NULL)')
        await client.query('INSERT INTO fairlead.version VALUES (0)')
      }
      const { rows: [{ version }] } = await client.query('SELECT version FROM fairlead.version')
      if (version > migrations.length) {
        throw this.#unavailable(`its tables are of version ${version as number}, this Fairlead knows ` +
          `${migrations.length}; update it`)
      }
      for (const step of migrations.slice(version)) await client.query(step)
      await client.query('UPDATE fairlead.version SET version = $1', [migrations.length])
    })
  }

  async #inTransaction<T> (work: (client: Client) => Promise<T>): Promise<T> {
    const client = await this.#pool.connect()
    // A connection that breaks while it is in use says so to the statement, too.
    client.on('error', ignore)
    let broken = true
    try {
      await client.query('BEGIN')
      const result = await work(client)
      await client.query('COMMIT')
      broken = false
      return result
    } finally {
      // Closing the connection of a failed transaction rolls it back, whatever state it is in.
      client.off('error', ignore)
      client.release(broken)
    }
  }

  async #use<T> (work: () => Promise<T>): Promise<T> {
    if (this.#problem) throw this.#problem
    if (this.#pool.waitingCount >= maxWaiting) throw this.#unavailable('too much waits for it')
    try {
      await this.#prepare()
      return await work()
    } catch (error) {
      throw error instanceof RequestError || isOurs(error) ? error : this.#unavailable(error)
    }
  }

  /** The rows of one statement. @throws RequestError store_unavailable */
  async rows (sql: string, values: readonly unknown[] = []): Promise<Row[]> {
    return await this.#use(async () => (await this.#pool.query(sql, [...values])).rows as Row[])
  }

  /** How many rows a statement has changed. @throws RequestError store_unavailable */
  async run (sql: string, values: readonly unknown[] = []): Promise<number> {
    return await this.#use(async () => (await this.#pool.query(sql, [...values])).rowCount ?? 0)
  }

  /** All of some statements, or none. @throws RequestError store_unavailable, and what `work` throws */
  async transaction<T> (work: (client: Client) => Promise<T>): Promise<T> {
    return await this.#use(() => this.#inTransaction(work))
  }

  /** Waits for what runs. Idempotent. */
  close (): Promise<void> {
    clearTimeout(this.#watch)
    this.#settleReached(this.#problem)
    return (this.#closed ??= this.#pool.end())
  }
}

/**
 * Bytes that are kept of a kind. Whoever adds some holds the count until it is done, so that all replicas together keep
 * to the limits.
 */
export async function lockUsed (client: Client, kind: 'chats' | 'responses'): Promise<number> {
  const { rows: [row] } = await client.query('SELECT bytes FROM fairlead.used WHERE kind = $1 FOR UPDATE', [kind])
  return Number(row.bytes)
}
