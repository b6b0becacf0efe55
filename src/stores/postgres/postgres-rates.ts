/** Buckets of callers in a database, so that a caller has what it may have at all replicas together. */
import { rateState, type Counted, type Rate, type Rates, type RateState } from '../rates.js'
import type { Database } from './database.js'

/** @param before the level that a bucket has before something is taken, in SQL: $5 where there is one at least */
const taken = (before: string): string => `${before} - CASE WHEN ${before} >= 1 THEN $5::float8 ELSE 0 END`

/**
 * Fills a bucket of $3 a minute, takes the $4 that were used, then $5 if there is one. Without a row it was full. The
 * database's clock is everybody's.
 */
const change = `
  INSERT INTO fairlead.rates AS old (caller, counted, level, filled, before)
  VALUES ($1, $2, ${taken('($3::float8 - $4::float8)')}, clock_timestamp(), $3::float8 - $4::float8)
  ON CONFLICT (caller, counted) DO UPDATE SET (level, filled, before) = (
    SELECT ${taken('now.level')}, now.at, now.level FROM (
      SELECT at, LEAST($3::float8,
        old.level + GREATEST(0, EXTRACT(EPOCH FROM at - old.filled)::float8) * $3::float8 / 60) - $4::float8 AS level
      FROM clock_timestamp() AS at
    ) AS now
  )
  RETURNING level, before
`

class PostgresRate implements Rate {
  readonly #database: Database
  readonly #key: readonly [caller: string, counted: Counted, limit: number]
  /** What was used and not counted yet. */
  #owed = 0

  constructor (database: Database, key: readonly [string, Counted, number]) {
    this.#database = database
    this.#key = key
  }

  async #change (taken: 0 | 1): Promise<RateState> {
    const owed = this.#owed
    this.#owed = 0
    try {
      const [row] = await this.#database.rows(change, [...this.#key, owed, taken])
      return rateState(this.#key[2], row!['level'] as number, row!['before'] as number)
    } catch (error) {
      this.#owed += owed
      throw error
    }
  }

  take (): Promise<RateState> { return this.#change(1) }
  look (): Promise<RateState> { return this.#change(0) }

  spend (amount: number): void {
    this.#owed += amount
    // What cannot be counted is owed still.
    this.#change(0).catch(() => {})
  }
}

/** @param database its connections are used as long as it is open */
export function postgresRates (database: Database): Rates {
  return { of: (...key) => new PostgresRate(database, key) }
}
