/** Keywords beside others: what all of them accept is allowed, what one of them does not is not. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { Grammars } from '../../../src/grammar/grammars.js'
import { schemaGrammar } from '../../../src/grammar/json-schema-grammar.js'
import { accepts, walkVocabulary } from '../../helpers/grammar-walk.js'

const grammars = new Grammars(walkVocabulary)
after(() => grammars.close())

const ajv = new Ajv2020({ strict: false, validateFormats: false })

const a = { type: 'object', properties: { a: { type: 'integer' } }, required: ['a'] }
const b = { type: 'object', properties: { b: { type: 'string' } }, required: ['b'] }

/** [schema, texts that it accepts, texts that it does not] */
const cases: ReadonlyArray<readonly [object, readonly string[], readonly string[]]> = [
  [{ const: 'a', enum: ['a'], type: 'string' }, ['"a"'], ['"b"']],
  [{ const: 'b', enum: ['a', 'b'] }, ['"b"'], ['"a"']],
  [{ const: { x: 1, y: 2 }, enum: [{ y: 2, x: 1 }] }, ['{"x":1,"y":2}'], ['{}']],
  [{ const: 1, minimum: 0 }, ['1'], ['0']],
  [{ type: 'string', enum: ['a', 'bcd'], maxLength: 2 }, ['"a"'], ['"bcd"']],
  [{ enum: [1, 5, 'x'], minimum: 3 }, ['5', '"x"'], ['1']],
  [{ enum: ['a', null], type: ['string', 'null'], default: null, title: 'A' }, ['"a"', 'null'], ['"b"']],
  [{
    oneOf: [{ type: 'object', properties: { kind: { const: 'a' } }, required: ['kind'] },
      { type: 'object', properties: { kind: { const: 'b' } }, required: ['kind'] }],
    discriminator: { propertyName: 'kind', mapping: { a: '#/$defs/a' } }
  }, ['{"kind":"a"}', '{"kind":"b"}'], ['{"kind":"c"}', '{}']],
  [{ type: 'string', anyOf: [{ maxLength: 1 }, { const: 'long' }] }, ['"a"', '"long"'], ['1', '"ab"']],
  [{ type: ['string', 'null'], anyOf: [{ type: 'string' }, { type: 'null' }] }, ['"a"', 'null'], ['1']],
  [{ maxLength: 1, anyOf: [{ type: 'string' }, { type: 'null' }] }, ['"a"', 'null'], ['"ab"', '1']],
  [{ type: 'object', properties: { x: { type: 'boolean' } }, required: ['x'], anyOf: [a, b] },
    ['{"x":true,"a":1}', '{"x":true,"b":"s"}'], ['{"x":true}', '{"a":1}']],
  [{ title: 'A', type: ['integer', 'string'], oneOf: [{ const: 1 }, { type: 'string' }], maxLength: 1 }, ['1', '"a"'],
    ['2', '"ab"']],
  [{ $ref: '#/$defs/s', maxLength: 2, $defs: { s: { type: 'string', minLength: 2, maxLength: 9 } } }, ['"ab"'],
    ['"a"', '"abc"']],
  [{ allOf: [{ type: 'string' }, { maxLength: 1 }] }, ['"a"'], ['"ab"', '1']],
  [{ allOf: [{ type: 'number', minimum: 0 }, { type: ['integer', 'null'], maximum: 3 }] }, ['0', '3'],
    ['4', '0.5', 'null']],
  [{ allOf: [a, b] }, ['{"a":1,"b":"x"}'], ['{"a":1}', '{"b":"x","a":1}']],
  [{ allOf: [{ $ref: '#/$defs/a' }], properties: { c: { type: 'null' } }, required: ['c'], $defs: { a } },
    ['{"a":1,"c":null}'], ['{"c":null,"a":1}', '{"a":1}']],
  [{ allOf: [a, { properties: { a: { minimum: 5 } } }] }, ['{"a":5}'], ['{"a":4}', '{}']],
  [{ allOf: [{ ...a, additionalProperties: false }, { properties: { z: {} } }] }, ['{"a":1}'], ['{"a":1,"z":1}']],
  [{ allOf: [{ ...a, additionalProperties: { type: 'integer' } }, { properties: { z: { type: 'number' } } }] },
    ['{"a":1,"z":2}'], ['{"a":1,"z":2.5}']],
  [{ allOf: [{ type: 'array', items: { type: 'integer' } }, { items: { minimum: 3 }, minItems: 1 }] }, ['[3]'],
    ['[]', '[2]', '[3.5]']],
  [{ allOf: [{ enum: ['a', 1, null] }, { type: ['string', 'null'] }, { enum: ['a', 1] }] }, ['"a"'], ['1', 'null']],
  [{ allOf: [true, { type: 'null' }, {}] }, ['null'], ['1']],
  [{ type: 'object', propertyNames: { type: 'string' }, additionalProperties: { type: 'integer' } }, ['{}', '{"a":1}'],
    ['{"a":"x"}']],
  [{ type: 'object', propertyNames: { enum: ['x', 'y'] }, additionalProperties: { type: 'integer' }, required: ['y'] },
    ['{"y":1}', '{"x":0,"y":1}'], ['{}', '{"z":1,"y":1}']],
  [{ ...a, patternProperties: {}, additionalProperties: false }, ['{"a":1}'], ['{}', '{"a":1,"b":1}']]
]

test('keywords that stand beside each other all hold', async () => {
  for (const [schema, good, bad] of cases) {
    const grammar = schemaGrammar(schema, 'schema')
    const accept = ajv.compile(schema)
    for (const text of good) {
      assert.ok(accept(JSON.parse(text)), `${JSON.stringify(schema)}: ajv takes ${text}`)
      assert.ok(await accepts(grammars, grammar, text), `${JSON.stringify(schema)} allows ${text}`)
    }
    for (const text of bad) {
      assert.ok(!await accepts(grammars, grammar, text), `${JSON.stringify(schema)} does not allow ${text}`)
    }
  }
})

const loop = { $defs: { a: { allOf: [{ $ref: '#/$defs/a' }, { type: 'string' }] } }, $ref: '#/$defs/a' }

/** [schema, the place that the error names] */
const refused: ReadonlyArray<readonly [object, string]> = [
  [{ const: 'a', enum: ['b'] }, 'schema.const'],
  [{ const: 1, minimum: 2 }, 'schema.const'],
  [{ enum: ['2024-01-01'], format: 'date' }, 'schema.format'],
  [{ enum: [[1, 2]], items: { type: 'string' } }, 'schema.items'],
  [{ type: 'string', discriminator: { propertyName: 'a' } }, 'schema.discriminator'],
  [{ anyOf: [{ type: 'string' }], oneOf: [{ type: 'string' }] }, 'schema.oneOf'],
  [{ allOf: [{ type: 'string' }, { type: 'null' }] }, 'schema.type'],
  [{ allOf: [{ enum: [1] }, { enum: [2] }] }, 'schema'],
  [{ allOf: [{ type: 'string', format: 'date' }, { format: 'time' }] }, 'schema.format'],
  [{ allOf: [{ type: 'string' }, { pattern: 'x' }] }, 'schema.allOf[1].pattern'],
  [{ allOf: [{ prefixItems: [{}] }, { items: {} }] }, 'schema.items'],
  [{ allOf: [{ type: 'string' }, false] }, 'schema.allOf[1]'],
  [{ allOf: [{ type: 'string' }, 1] }, 'schema.allOf[1]'],
  [{ allOf: [{ type: 'string' }, { minLength: 3 }, { maxLength: 2 }] }, 'schema.maxLength'],
  [{ type: 'string', anyOf: [{ type: 'null' }] }, 'schema.anyOf[0].type'],
  [{ oneOf: [{ const: 1 }, { const: 2 }], maximum: 1 }, 'schema.oneOf[1].enum'],
  [loop, 'schema.$defs.a'],
  [{ type: 'object', propertyNames: { maxLength: 3 } }, 'schema.propertyNames'],
  [{ ...a, propertyNames: { enum: ['b'] } }, 'schema.propertyNames'],
  [{ type: 'object', patternProperties: { '^x': {} } }, 'schema.patternProperties'],
  [{ type: 'string', format: 'date', pattern: '^2' }, 'schema.pattern']
]

test('what contradicts each other, or cannot be joined, is refused with its place', () => {
  for (const [schema, param] of refused) {
    assert.throws(() => schemaGrammar(schema, 'schema'), { code: 'invalid_request', param }, JSON.stringify(schema))
  }
})
