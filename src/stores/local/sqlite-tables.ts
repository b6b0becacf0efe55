/** The tables of stored completions and feedback, in SQL, and what is asked of their sizes. */

/** Tables as they were first made, and what holds for a connection. */
export const schema = `
  PRAGMA foreign_keys = ON;
  PRAGMA secure_delete = ON;
  PRAGMA synchronous = FULL;
  PRAGMA busy_timeout = 2000;
  CREATE TABLE IF NOT EXISTS completions (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, caller TEXT NOT NULL, messages TEXT NOT NULL, completion TEXT NOT NULL
  );
  CREATE TABLE IF NOT EXISTS feedback (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, completion_id TEXT NOT NULL REFERENCES completions (id) ON DELETE CASCADE,
    dataset TEXT NOT NULL, kind TEXT NOT NULL, created INTEGER NOT NULL, verdict TEXT NOT NULL
  );
  CREATE INDEX IF NOT EXISTS feedback_by_dataset ON feedback (dataset, sequence);
  CREATE INDEX IF NOT EXISTS feedback_by_completion ON feedback (completion_id);
`

/** Since version 1 the bytes of a completion are kept beside it. */
export const migration = `
  BEGIN IMMEDIATE;
  ALTER TABLE completions ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;
  UPDATE completions SET bytes = length(CAST(messages AS BLOB)) + length(CAST(completion AS BLOB));
  CREATE INDEX completions_by_caller ON completions (caller, sequence, bytes, id);
  PRAGMA user_version = 1;
  COMMIT;
`

/** A caller's completions that may go, newest first, with how many and how many bytes there are up to each. */
export const evictable = `
  SELECT sequence, bytes, ROW_NUMBER() OVER newest AS count, SUM(bytes) OVER newest AS held FROM completions AS c
  WHERE caller = ? AND NOT EXISTS (SELECT 1 FROM feedback WHERE completion_id = c.id)
  WINDOW newest AS (ORDER BY sequence DESC)
`

/** Bytes of the file in use. */
export const usedBytes = `
  SELECT (page_count - freelist_count) * page_size AS used
  FROM pragma_page_count(), pragma_freelist_count(), pragma_page_size()
`
