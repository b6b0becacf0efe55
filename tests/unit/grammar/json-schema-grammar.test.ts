/**
 * Schemas to grammars: nothing that a grammar allows is refused by ajv, what it must allow it does, what cannot be
 * enforced is an error.
 */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { randomStream } from '../../../src/policies/random-stream.js'
import { RequestError } from '../../../src/errors.js'
import { Grammars } from '../../../src/grammar/grammars.js'
import { objectGrammar, schemaGrammar } from '../../../src/grammar/json-schema-grammar.js'
import { accepts, randomText, walkVocabulary } from '../../helpers/grammar-walk.js'
import { SchemaGenerator } from '../../helpers/random-schema.js'

const grammars = new Grammars(walkVocabulary)
after(() => grammars.close())

const ajv = new Ajv2020({ strict: false, validateFormats: false })

test('whatever the grammar of a random schema writes is JSON that the schema accepts', async () => {
  const random = randomStream(7, 'schemas')
  let ended = 0
  for (let round = 0; round < 200; round++) {
    const schema = new SchemaGenerator(random, round % 2 === 0).next()
    const accept = ajv.compile(schema)
    const text = await randomText(grammars, schemaGrammar(schema, 'schema'), random, 150)
    if (text === null) continue
    ended++
    const shown = `${JSON.stringify(schema)} wrote ${text}`
    let value: unknown
    assert.doesNotThrow(() => { value = JSON.parse(text) }, shown)
    assert.ok(accept(value), `${shown}: ${ajv.errorsText(accept.errors)}`)
  }
  assert.ok(ended > 150, `${ended} of 200 ended`)
})

/** [schema, texts that it accepts, texts that it does not] */
const cases: ReadonlyArray<readonly [object | boolean, readonly string[], readonly string[]]> = [
  [{
    type: 'object',
    properties: { a: { type: 'string' }, b: { type: 'integer' } },
    required: ['a', 'b'],
    additionalProperties: false
  },
  ['{"a":"x","b":1}', '{ "a": "", "b": -12 }', '{\n  "a": "\\u00e9\\n",\n  "b": 0\n}'],
  ['{"a":"x"}', '{"a":"x","b":1.5}', '{"a":"x","b":1,"c":2}', '{"b":1,"a":"x"}', '{"a":"x","b":01}']],
  [{
    type: 'object',
    properties: { a: { type: 'null' }, b: { type: 'null' } },
    required: ['b'],
    additionalProperties: { type: 'boolean' }
  },
  ['{"b":null}', '{"a":null,"b":null}', '{"b":null,"c":true,"aa":false,"é":true}'],
  ['{}', '{"b":null,"a":true}', '{"b":null,"c":1}', '{"b":null,"\\u0061":true}']],
  [{ type: 'object', properties: { a: {}, b: {} } }, ['{}', '{"a":[1,{"x":null}]}', '{"b":"x"}', '{"a":1,"b":2}'],
    ['{"c":1}', '[]']],
  [{ type: 'object' }, ['{}', '{"any":[true,1.5e3]}'], ['[]', '1']],
  [true, ['1', '"x"', '[]', '{"a":-0.5}', 'null'], ['', 'nul', '01', '1.', '"\t"', '[1,]']],
  [{ type: 'string', minLength: 2, maxLength: 3 }, ['"ab"', '"é😀x"', '"\\n\\u00e9"'], ['"a"', '"abcd"', '"a\\"']],
  [{ type: 'string', maxLength: 0 }, ['""'], ['"a"']],
  [{ type: ['string', 'null'] }, ['"a"', 'null'], ['1']],
  [{ type: 'array', items: { type: 'integer' }, minItems: 1, maxItems: 3 }, ['[1]', '[1, 2, 3]'], ['[]', '[1,2,3,4]']],
  [{ type: 'array', prefixItems: [{ type: 'string' }, { type: 'boolean' }], items: { type: 'null' }, minItems: 1 },
    ['["a"]', '["a",true]', '["a",true,null,null]'], ['[]', '["a",null]']],
  [{ type: 'array', maxItems: 0 }, ['[]'], ['[1]']],
  [{ type: 'integer', minimum: -3, exclusiveMaximum: 12 }, ['-3', '0', '9', '11'], ['-4', '12', '-0', '100']],
  [{ type: 'integer', minimum: 95, maximum: 1203 }, ['95', '99', '100', '999', '1000', '1203'],
    ['94', '9', '1204', '2000', '10000']],
  [{ type: 'number', minimum: 0, maximum: 1 }, ['0', '0.0', '0.25', '1', '1.00'], ['1.01', '-0.1', '2', '1e0']],
  [{ type: 'number', minimum: -0.5, exclusiveMaximum: 0.25 }, ['-0.5', '-0.50', '-0.4999', '0', '0.2', '0.2499'],
    ['-0.51', '0.25', '0.250', '0.3', '-1']],
  [{ type: 'number', exclusiveMinimum: 0.2, maximum: 0.34 }, ['0.21', '0.2001', '0.34', '0.3'],
    ['0.2', '0.200', '0.341', '0', '0.4']],
  [{ type: 'number', exclusiveMinimum: 3 }, ['3.01', '4', '123.5'], ['3', '3.0', '2.9']],
  [{ type: 'integer', minimum: -9007199254740991, maximum: 9007199254740991 }, ['0', '-12', '999999999999999'],
    ['1.5', '-0']],
  [{ type: 'number', minimum: -1e300, maximum: 0.5 }, ['0.5', '-1234567.25'], ['0.51', '1']],
  [{ enum: ['a', 1, null, { b: [1] }] }, ['"a"', '1', 'null', '{"b":[1]}'], ['"b"', '2', '{}']],
  [{ type: 'string', format: 'date' }, ['"2024-02-29"', '"2023-12-31"', '"2000-02-29"'],
    ['"2023-02-29"', '"2023-04-31"', '"1900-02-29"', '"2023-13-01"', '"2023-1-1"']],
  [{ type: 'string', format: 'date-time' }, ['"2024-01-02T03:04:05Z"', '"2024-01-02T03:04:05.678+09:30"'],
    ['"2024-01-02"', '"2024-01-02T24:00:00Z"']],
  [{ type: 'string', format: 'uuid' }, ['"123e4567-e89b-12d3-a456-426614174000"'], ['"123e4567"']],
  [{ type: 'string', format: 'ipv4' }, ['"0.0.0.0"', '"255.249.10.1"'], ['"256.0.0.1"', '"01.0.0.1"', '"1.1.1"']],
  [{ type: 'string', format: 'email' }, ['"a.b@example.com"'], ['"a"', '"a@b"', '"@example.com"']],
  [{
    $ref: '#/$defs/tree',
    $defs: {
      tree: {
        type: 'object',
        properties: { kids: { type: 'array', items: { $ref: '#/$defs/tree' } } },
        required: ['kids'],
        additionalProperties: false
      }
    }
  },
  ['{"kids":[]}', '{"kids":[{"kids":[]},{"kids":[{"kids":[]}]}]}'], ['{}', '{"kids":[1]}']],
  [{
    oneOf: [{ type: 'object', properties: { kind: { const: 'a' }, x: { type: 'integer' } }, required: ['kind', 'x'] },
      { type: 'object', properties: { kind: { const: 'b' } }, required: ['kind'] }, { type: 'string' }]
  },
  ['{"kind":"a","x":1}', '{"kind":"b"}', '"s"'], ['{"kind":"a"}', '{"kind":"c"}']],
  [{ anyOf: [{ allOf: [{ type: 'integer' }] }, { const: true }], description: 'either', default: 1 }, ['7', 'true'],
    ['false']]
]

test('what schemas accept is allowed, what they do not is not', async () => {
  for (const [schema, good, bad] of cases) {
    const grammar = schemaGrammar(schema, 'schema')
    for (const text of good) {
      assert.ok(await accepts(grammars, grammar, text), `${JSON.stringify(schema)} allows ${text}`)
    }
    for (const text of bad) {
      assert.ok(!await accepts(grammars, grammar, text), `${JSON.stringify(schema)} does not allow ${text}`)
    }
  }
  assert.ok(await accepts(grammars, objectGrammar(), '{"a": {"b": [1, "\\u0041"]}}'))
  assert.ok(!await accepts(grammars, objectGrammar(), '[]'))
})

const deep = Array.from({ length: 100 }).reduce<object>(inner => ({ type: 'array', items: inner }), { type: 'null' })
const doubled = Object.fromEntries(Array.from({ length: 30 }, (_, index) => [`d${index}`,
  { type: 'object', properties: { a: { $ref: `#/$defs/d${index + 1}` }, b: { $ref: `#/$defs/d${index + 1}` } } }]))

const many = <T>(length: number, make: (index: number) => T): T[] => Array.from({ length }, (_, index) => make(index))

/** Texts, each of its own bounds: a rule for each character that may be left. */
const bounded = (count: number): object => Object.fromEntries(many(count, index =>
  [`s${index}`, { type: 'string', minLength: index, maxLength: 256 }]))

/** [schema, the place that the error names] */
const refused: ReadonlyArray<readonly [unknown, string]> = [
  [false, 'schema'],
  [7, 'schema'],
  [{ type: 'text' }, 'schema.type'],
  [{ type: [] }, 'schema.type'],
  [{ type: 'string', pattern: '^a' }, 'schema.pattern'],
  [{ type: 'object', properties: { a: { type: 'string', maxLenght: 3 } } }, 'schema.properties.a.maxLenght'],
  [{ type: 'object', properties: { a: { not: {} } } }, 'schema.properties.a.not'],
  [{ type: 'array', uniqueItems: true }, 'schema.uniqueItems'],
  [{ type: 'number', multipleOf: 3 }, 'schema.multipleOf'],
  [{ type: 'string', format: 'uri' }, 'schema.format'],
  [{ type: 'string', minimum: 3 }, 'schema.minimum'],
  [{ type: 'string', minLength: 5, maxLength: 4 }, 'schema.maxLength'],
  [{ type: 'string', maxLength: 1e6 }, 'schema.maxLength'],
  [{ type: 'integer', minimum: 3, maximum: 2 }, 'schema.maximum'],
  [{ type: 'integer', exclusiveMinimum: 3, exclusiveMaximum: 4 }, 'schema.exclusiveMaximum'],
  [{ type: 'number', exclusiveMinimum: 0.5, maximum: 0.5 }, 'schema.maximum'],
  [{ type: 'number', maximum: 1e-30 }, 'schema.maximum'],
  [{ type: 'number', minimum: 1e20 }, 'schema.minimum'],
  [{ type: 'integer', minimum: 1e20 }, 'schema.minimum'],
  [{ type: 'integer', minimum: '3' }, 'schema.minimum'],
  [{ type: 'array', items: [{}] }, 'schema.items'],
  [{ type: 'array', minItems: 1e9 }, 'schema.minItems'],
  [{ type: 'array', items: false, minItems: 1 }, 'schema.minItems'],
  [{ type: 'object', properties: [] }, 'schema.properties'],
  [{ type: 'object', required: 'a' }, 'schema.required'],
  [{ type: 'object', properties: {}, required: ['a'], additionalProperties: false }, 'schema.required'],
  [{ enum: [] }, 'schema.enum'],
  [{ type: 'string', enum: ['a', 1] }, 'schema.enum'],
  [{ oneOf: [{ type: 'integer' }, { type: 'number' }] }, 'schema.oneOf[1]'],
  [{ anyOf: [] }, 'schema.anyOf'],
  [{ $ref: 'https://example.com/schema' }, 'schema.$ref'],
  [{ $ref: '#/$defs/none' }, 'schema.$ref'],
  [{ $ref: '#' }, 'schema.$ref'],
  [{ anyOf: [{ $ref: '#' }, { type: 'null' }] }, 'schema.anyOf[0].$ref'],
  [{ type: 'object', properties: { next: { $ref: '#' } }, required: ['next'] }, 'schema'],
  [{
    type: 'object',
    properties: { a: { $ref: '#/$defs/a' } },
    $defs: { a: { type: 'array', items: { $ref: '#/$defs/a' }, minItems: 1 } }
  }, 'schema.$defs.a'],
  // Long places are told in part.
  [deep, `${`schema${'.items'.repeat(65)}`.slice(0, 200)}…`],
  [{ oneOf: many(8000, index => ({ const: `v${index}` })) }, 'schema.oneOf'],
  [{ anyOf: many(4096, index => ({ const: index })) }, 'schema.anyOf'],
  [{ type: 'object', required: many(30_000, index => `p${index}`), additionalProperties: true }, 'schema.required'],
  [{ type: 'object', properties: bounded(256) }, 'schema'],
  [{
    type: 'object',
    properties: { a: { $ref: '#/$defs/s255' } },
    $defs: bounded(256),
    required: ['a'],
    additionalProperties: { anyOf: many(256, index => ({ $ref: `#/$defs/s${index}` })) }
  }, 'schema'],
  [{
    type: 'object',
    properties: Object.fromEntries(many(4000, index => [`p${index}`,
      { type: 'number', minimum: -123456.78901234, maximum: 987654.32109876 }]))
  }, 'schema'],
  [{ enum: Array.from({ length: 5000 }, (_, index) => index) }, 'schema.enum'],
  [{ type: 'object', properties: Object.fromEntries(Array.from({ length: 5000 }, (_, index) => [`p${index}`, {}])) },
    'schema.properties'],
  [{ type: 'object', properties: { ['x'.repeat(200_000)]: {} } }, 'schema.properties']
]

test('a schema that is unsupported, contradictory, endless or huge is refused with its place', () => {
  for (const [schema, place] of refused) {
    assert.throws(() => schemaGrammar(schema, 'schema'), (error: unknown) => {
      assert.ok(error instanceof RequestError, String(error))
      assert.equal(error.status, 400)
      assert.equal(error.param, place)
      return true
    }, JSON.stringify(schema)?.slice(0, 200))
  }
})

test('a schema that is as large as may be is written', () => {
  const objects = many(1300, index => ({
    type: 'object', properties: { kind: { const: `k${index}` }, value: { type: 'integer' } }, required: ['kind']
  }))
  const long = 'a'.repeat(5000)
  for (const schema of [
    { oneOf: objects },
    { oneOf: many(4000, index => ({ const: index })) },
    { enum: [`${long}x`, `${long}y`] },
    { type: 'array', prefixItems: many(2000, () => ({ type: 'null' })) },
    { type: 'object', properties: Object.fromEntries(many(2000, index => [`p${index}`, { type: 'null' }])) }
  ]) assert.ok(schemaGrammar(schema, 'schema').length > 5000)
})

test('definitions that each use the next one twice stay small', () => {
  assert.ok(
    schemaGrammar({ $ref: '#/$defs/d0', $defs: { ...doubled, d30: { type: 'null' } } }, 'schema').length < 20_000
  )
})
