/** The tables that replicas share, in a schema of their own, one step a version: a released step stays as it is. */

/** Bytes of chats with their feedback, and of responses, are counted as rows come and go, whoever changes them. */
const first = `
  CREATE TABLE fairlead.used (kind text PRIMARY KEY, bytes bigint NOT NULL);
  INSERT INTO fairlead.used VALUES ('chats', 0), ('responses', 0);

  CREATE FUNCTION fairlead.count_bytes () RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      UPDATE fairlead.used SET bytes = used.bytes + CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END *
        (SELECT COALESCE(SUM(changed.bytes), 0) FROM changed) WHERE kind = TG_ARGV[0];
      RETURN NULL;
    END $$;

  CREATE TABLE fairlead.completions (
    sequence bigserial PRIMARY KEY, id text NOT NULL UNIQUE, caller text NOT NULL, messages text NOT NULL,
    completion text NOT NULL, bytes bigint NOT NULL
  );
  CREATE INDEX ON fairlead.completions (caller, sequence);
  CREATE TABLE fairlead.feedback (
    sequence bigserial PRIMARY KEY, id text NOT NULL UNIQUE,
    completion_id text NOT NULL REFERENCES fairlead.completions (id) ON DELETE CASCADE,
    dataset text NOT NULL, kind text NOT NULL, created bigint NOT NULL, verdict text NOT NULL, bytes bigint NOT NULL
  );
  CREATE INDEX ON fairlead.feedback (dataset, sequence);
  CREATE INDEX ON fairlead.feedback (completion_id);

  -- A replica names itself in a row while it runs the response, and says every second that it is alive.
  CREATE SEQUENCE fairlead.response_uses;
  CREATE TABLE fairlead.responses (
    caller text NOT NULL, id text NOT NULL, used bigint NOT NULL DEFAULT nextval('fairlead.response_uses'),
    response text NOT NULL, input text[] NOT NULL, item_ids text[] NOT NULL, is_background boolean NOT NULL,
    events text[], bytes bigint NOT NULL, replica text, alive timestamptz, is_cancelled boolean NOT NULL DEFAULT false,
    PRIMARY KEY (caller, id)
  );
  CREATE INDEX ON fairlead.responses (caller, used);
  CREATE INDEX ON fairlead.responses USING gin (item_ids);
  CREATE INDEX ON fairlead.responses (replica) WHERE replica IS NOT NULL;

  -- What a crash of the database may forget: every bucket is full then.
  CREATE UNLOGGED TABLE fairlead.rates (
    caller text NOT NULL, counted text NOT NULL, level double precision NOT NULL, filled timestamptz NOT NULL,
    before double precision NOT NULL, PRIMARY KEY (caller, counted)
  );

  CREATE SEQUENCE fairlead.reward_versions;
  CREATE TABLE fairlead.rewards (name text PRIMARY KEY, descriptor text NOT NULL, version bigint NOT NULL);
  CREATE TABLE fairlead.rewards_revision (revision bigint NOT NULL);
  INSERT INTO fairlead.rewards_revision VALUES (0);
  CREATE FUNCTION fairlead.count_revision () RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      UPDATE fairlead.rewards_revision SET revision = revision + 1;
      RETURN NULL;
    END $$;
  CREATE TRIGGER revision AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON fairlead.rewards
    FOR EACH STATEMENT EXECUTE FUNCTION fairlead.count_revision();
`

const counted = [['completions', 'chats'], ['feedback', 'chats'], ['responses', 'responses']]

const counters = counted.flatMap(([table, kind]) => [['INSERT', 'NEW'], ['DELETE', 'OLD']].map(([event, rows]) =>
  `CREATE TRIGGER count_${event!.toLowerCase()} AFTER ${event} ON fairlead.${table} REFERENCING ${rows} TABLE AS ` +
  `changed FOR EACH STATEMENT EXECUTE FUNCTION fairlead.count_bytes('${kind}');`)).join('\n')

/** Steps from an empty database on. */
export const migrations: readonly string[] = [first + counters]
