/** JSON Schemas as pydantic and zod write them: what these take is allowed, what they refuse is not. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { z } from 'zod'
import { Grammars } from '../../../src/grammar/grammars.js'
import { schemaGrammar } from '../../../src/grammar/json-schema-grammar.js'
import { parseOrdered } from '../../../src/grammar/ordered-json.js'
import { packageRoot } from '../../../src/package-root.js'
import { accepts, walkVocabulary } from '../../helpers/grammar-walk.js'

const grammars = new Grammars(walkVocabulary)
after(() => grammars.close())

interface Published {
  readonly name: string
  /** As JSON. */
  readonly schema: string
  /** Texts of values, by whether the library takes them. */
  readonly good: readonly string[]
  readonly bad: readonly string[]
}

/** What cannot be enforced: name → place of the error. */
type Refused = Readonly<Record<string, string>>

async function check ({ name, schema, good, bad }: Published, refused: Refused): Promise<void> {
  const value = parseOrdered(schema)
  const place = refused[name]
  if (place !== undefined) {
    assert.throws(() => schemaGrammar(value, 'schema'), { code: 'invalid_request', param: `schema${place}` }, name)
    return
  }
  const grammar = schemaGrammar(value, 'schema')
  for (const text of good) assert.ok(await accepts(grammars, grammar, text), `${name} allows ${text}: ${schema}`)
  for (const text of bad) assert.ok(!await accepts(grammars, grammar, text), `${name} does not allow ${text}: ${schema}`)
}

test('schemas of pydantic', async () => {
  const refused: Refused = { set: '.uniqueItems', pattern: '.pattern', multiple: '.multipleOf', bytes: '.format' }
  const published = JSON.parse(readFileSync(join(packageRoot, 'tests/fixtures/pydantic-schemas.json'), 'utf8'))
  for (const one of published as Published[]) await check(one, refused)
})

const cat = z.object({ kind: z.literal('cat'), lives: z.int().min(0).max(9) })
const dog = z.object({ kind: z.enum(['dog', 'wolf']), name: z.string() })
const node = z.object({ value: z.number(), get children () { return z.array(node) } })
const described = { id: 'Cat', title: 'A cat', description: 'an animal', deprecated: true }

/** name → [schema, values that it takes, values that it refuses] */
const ofZod: Readonly<Record<string, readonly [z.ZodType, readonly unknown[], readonly unknown[]]>> = {
  literal: [z.literal('a'), ['a'], ['b']],
  'literals of several types': [z.literal(['a', 1, null]), ['a', 1, null], ['b', 2]],
  enum: [z.enum(['red', 'green']), ['red'], ['blue']],
  'discriminated union': [z.discriminatedUnion('kind', [cat, dog]),
    [{ kind: 'cat', lives: 3 }, { kind: 'wolf', name: 'x' }], [{ kind: 'cow' }, { kind: 'dog' }]],
  union: [z.union([z.string(), z.int()]), ['a', 1], [true]],
  nullable: [z.string().max(3).nullable(), ['abc', null], ['abcd', 1]],
  object: [z.object({ a: z.string().optional(), b: z.boolean().default(true), c: z.null() }),
    [{ b: false, c: null }, { a: 'x', b: true, c: null }], [{ a: 'x' }]],
  'strict object': [z.strictObject({ a: z.int() }), [{ a: 1 }], [{ a: 1, b: 2 }]],
  'loose object': [z.looseObject({ a: z.int() }), [{ a: 1 }, { a: 1, b: [2] }], [{ b: 2 }]],
  'object with others': [z.object({ a: z.int() }).catchall(z.string()), [{ a: 1, b: 'x' }], [{ a: 1, b: 2 }]],
  recursive: [node, [{ value: 1, children: [{ value: 2, children: [] }] }], [{ value: 1 }]],
  record: [z.record(z.string(), z.number()), [{}, { a: 1 }], [{ a: 'x' }]],
  'record of an enum': [z.record(z.enum(['x', 'y']), z.boolean()), [{ x: true, y: false }], [{ x: true }, { z: true }]],
  'partial record': [z.partialRecord(z.enum(['x', 'y']), z.boolean()), [{}, { y: false }], [{ z: true }]],
  tuple: [z.tuple([z.int(), z.string()]), [[1, 'a']], [['a', 1]]],
  'tuple with a rest': [z.tuple([z.int()], z.string()), [[1], [1, 'a', 'b']], [['a'], [1, 2]]],
  intersection: [z.intersection(z.object({ a: z.int() }), z.object({ b: z.string() })), [{ a: 1, b: 'x' }],
    [{ a: 1 }, { b: 'x' }]],
  'bounded number': [z.number().gt(0).lte(1), [0.5, 1], [0, 1.5]],
  'bounded text': [z.string().min(1).max(2), ['a', 'ab'], ['', 'abc']],
  'bounded array': [z.array(z.boolean()).min(1).max(2), [[true]], [[], [true, true, true]]],
  described: [z.object({ a: cat.meta(described), b: z.string().readonly() }),
    [{ a: { kind: 'cat', lives: 1 }, b: 'x' }], [{ b: 'x' }]],
  'any value': [z.any(), [1, 'a', null, {}], []],
  email: [z.email(), ['a@example.com'], ['a']],
  uuid: [z.uuid(), ['123e4567-e89b-42d3-a456-426614174000'], ['x']],
  'date and time': [z.iso.datetime(), ['2024-01-02T03:04:05Z'], ['yesterday']],
  url: [z.url(), ['https://example.com'], ['x']],
  pattern: [z.string().regex(/^\d+$/), ['12'], ['x']],
  multiple: [z.number().multipleOf(3), [3], [4]],
  never: [z.object({ a: z.never() }), [], [{ a: 1 }]]
}

test('schemas of zod', async () => {
  const refused: Refused = {
    email: '.pattern',
    uuid: '.pattern',
    'date and time': '.pattern',
    url: '.format',
    pattern: '.pattern',
    multiple: '.multipleOf',
    never: '.properties.a.not'
  }
  const texts = (values: readonly unknown[]): string[] => values.map(value => JSON.stringify(value))
  for (const [name, [schema, good, bad]] of Object.entries(ofZod)) {
    for (const value of good) assert.ok(schema.safeParse(value).success, `${name}: ${JSON.stringify(value)}`)
    for (const value of bad) assert.ok(!schema.safeParse(value).success, `${name}: ${JSON.stringify(value)}`)
    const json = JSON.stringify(z.toJSONSchema(schema))
    await check({ name, schema: json, good: texts(good), bad: texts(bad) }, refused)
  }
})
