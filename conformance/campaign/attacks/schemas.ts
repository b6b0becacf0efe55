/** JSON Schemas of answers that are cheap to send and dear to compile. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Attack, Attacker } from '../attack.js'

type Schema = Record<string, unknown>

/** A chat request whose answer must follow a schema. */
const constrained = (model: string, schema: Schema, strict = false): object => ({
  model,
  messages: [{ role: 'user', content: 'hi' }],
  max_tokens: 4,
  response_format: { type: 'json_schema', json_schema: { name: 'answer', strict, schema } }
})

/** Sends schemas at once. */
const sendSchemas = async ({ victim, send }: Attacker, schemas: readonly Schema[], strict = false): Promise<void> => {
  await Promise.all(schemas.map(schema =>
    send('/v1/chat/completions', constrained(victim.model, schema, strict))))
}

const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index)

const object = (properties: Schema, more: Schema = {}): Schema =>
  ({ type: 'object', properties, required: Object.keys(properties), additionalProperties: false, ...more })

/** Properties s0, s1, … of strings whose least lengths all differ. */
const manyLengths = (count: number, more: Schema = {}): Schema => Object.fromEntries(range(count).map(index =>
  [`s${index}`, { type: 'string', minLength: index, maxLength: 256, ...more }]))

/** Runs into the grammar thread's limit of time. */
const slowSchema = (salt: number): Schema => ({
  ...object(Object.fromEntries(range(64).map(index => [`p${index}`, { $ref: '#/$defs/many' }]))),
  $defs: { many: object(manyLengths(256, { description: String(salt) })) }
})

/** Longest that another caller's small schema may take beside these, ms. */
const otherCallersMs = 10_000

async function abandonedSchemas (attacker: Attacker): Promise<void> {
  const { victim, send, tally } = attacker
  for (let round = 0; round < 3; round++) {
    const gone = new AbortController()
    const sent = send('/v1/chat/completions', constrained(victim.model, slowSchema(round)), { signal: gone.signal })
    await Promise.race([sent, sleep(2500)])
    gone.abort()
  }
  const small = object({ ok: { type: 'boolean' } })
  const { ms, status } = await send('/v1/chat/completions', constrained(victim.model, small), { holder: 'canary' })
  if (ms > otherCallersMs || status !== 200) {
    tally.faults.push(`another caller's small schema took ${(ms / 1000).toFixed(1)} s (status ${status})`)
  }
}

const nested = (depth: number): Schema =>
  range(depth).reduce<Schema>(inner => ({ type: 'array', items: inner }), { type: 'string' })

/** A pattern that a backtracking engine tries in exponentially many ways. */
const patterns = ['^(a+)+$', '^(\\w{1,20}\\s?){1,50}$', '^(a|a?)+$', '^([a-z]{1,999}){1,999}$',
  '^((((a{99}){99}){99}){99})$']

export const schemaAttacks: readonly Attack[] = [
  {
    name: 'const-options',
    what: 'strict schema, oneOf of 8,000 consts',
    run: attacker => sendSchemas(attacker,
      [object({ x: { oneOf: range(8000).map(index => ({ const: `v${index}` })) } })], true)
  },
  {
    name: 'length-ranges',
    what: '256 strings with minLength 0 … 255',
    run: attacker => sendSchemas(attacker, [object(manyLengths(256))])
  },
  {
    name: 'length-references',
    what: '64 $refs to an object of 256 strings with minLength 0 … 255',
    run: attacker => sendSchemas(attacker, [slowSchema(0)])
  },
  {
    name: 'required-names',
    what: '30,000 required names beside additionalProperties',
    run: attacker => sendSchemas(attacker, [{
      type: 'object', properties: {}, additionalProperties: true, required: range(30_000).map(index => `n${index}`)
    }])
  },
  {
    name: 'abandoned-schemas',
    what: 'three slow schemas whose client is gone, then the small one of another caller',
    run: abandonedSchemas
  },
  {
    name: 'shared-beginnings',
    what: 'enum of texts that share 5,000 characters',
    run: attacker => sendSchemas(attacker, [
      object({ x: { enum: ['b', 'c'].map(end => 'a'.repeat(5000) + end) } }),
      object({ x: { enum: range(200).map(index => 'a'.repeat(index * 25)) } })
    ])
  },
  {
    name: 'deep-schemas',
    what: 'schemas nested 50 to 20,000 deep, circles of $ref, anyOf of anyOf',
    run: attacker => sendSchemas(attacker, [
      ...[50, 500, 5000, 20_000].map(depth => object({ x: nested(depth) })),
      { $ref: '#/$defs/a', $defs: { a: { $ref: '#/$defs/b' }, b: { $ref: '#/$defs/a' } } },
      { $ref: '#/$defs/a', $defs: { a: { anyOf: range(64).map(() => ({ $ref: '#/$defs/a' })) } } },
      range(12).reduce<Schema>(inner => ({ anyOf: [inner, inner] }), { type: 'string' }),
      object({ x: { type: 'array', items: { type: 'integer' }, minItems: 100_000, maxItems: 1e9 } }),
      object({ x: { type: 'integer', minimum: -9e15, maximum: 9e15, multipleOf: 7 } })
    ])
  },
  {
    name: 'patterns',
    what: 'patterns that backtrack or count high',
    run: attacker => sendSchemas(attacker, patterns.map(pattern => object({ x: { type: 'string', pattern } })))
  },
  {
    name: 'many-tools',
    what: '128 tools of 100 parameters each',
    run: async ({ victim, send }) => {
      await send('/v1/chat/completions', {
        model: victim.model,
        messages: [{ role: 'user', content: 'hi' }],
        max_tokens: 4,
        tool_choice: 'required',
        tools: range(128).map(tool => ({
          type: 'function', function: { name: `t${tool}`, strict: true, parameters: object(manyLengths(100)) }
        }))
      })
    }
  }
]
