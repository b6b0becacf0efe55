/** Schemas of a oneOf: where they pass, no value satisfies two; where they are many, it is found out all the same. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { checkDisjoint } from '../../../src/grammar/disjoint-schemas.js'
import type { Schema } from '../../../src/grammar/schema-keywords.js'
import { randomStream } from '../../../src/policies/random-stream.js'

const ajv = new Ajv2020({ strict: false })
const follow = (schema: unknown): Schema => schema as Schema
const check = (schemas: readonly unknown[]): void => { checkDisjoint(schemas, 'oneOf', follow) }

const scalars = ['a', 'b', 1, 2, 1.5, true, null]
/** Values to try: scalars, a list, objects of two properties. */
const values = [...scalars, [], {}, ...scalars.flatMap(k => [{ k }, ...scalars.map(m => ({ k, m }))])]

test('random schemas that pass have no value in common, and some pass', () => {
  const random = randomStream(3, 'schemas')
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random.next() * from.length)]!
  const tag = (): object => random.next() < 0.7 ? { const: pick(scalars) } : { enum: [pick(scalars), pick(scalars)] }
  const makers = [
    () => ({ type: pick(['string', 'integer', 'number', 'null', 'array', 'object']) }),
    () => ({ const: pick(scalars) }),
    () => ({ enum: [pick(scalars), pick(scalars)] }),
    () => ({ type: 'object', properties: { k: tag() }, required: ['k'] }),
    () => ({ type: 'object', properties: { k: tag(), m: tag() }, required: pick([['k', 'm'], ['m'], []]) })
  ]
  let passed = 0
  for (let round = 0; round < 2000; round++) {
    const schemas = Array.from({ length: 2 + Math.floor(random.next() * 3) }, () => pick(makers)())
    try {
      check(schemas)
    } catch {
      continue
    }
    passed++
    const accepts = schemas.map(schema => ajv.compile(schema))
    for (const value of values) {
      const count = accepts.filter(accept => accept(value)).length
      assert.ok(count <= 1, `${JSON.stringify(schemas)}: ${JSON.stringify(value)} is accepted by ${count}`)
    }
  }
  assert.ok(passed > 200, `${passed} passed`)
})

const kinds = (count: number, of: (index: number) => Record<string, unknown>): object[] =>
  Array.from({ length: count }, (_, index) => {
    const tags = of(index)
    const properties = Object.fromEntries(Object.entries(tags).map(([name, value]) => [name, { const: value }]))
    return { type: 'object', properties, required: Object.keys(tags) }
  })

test('thousands of schemas that one property tells apart pass, and one that does not differ is named', () => {
  check(kinds(4000, index => ({ other: 1, kind: index })))
  check(Array.from({ length: 4000 }, (_, index) => ({ const: index })))
  assert.throws(() => { check([...kinds(4000, index => ({ kind: index })), ...kinds(1, () => ({ kind: 7 }))]) },
    { param: 'oneOf[4000]', message: /must differ from oneOf\[7\]/ })
  assert.throws(() => { check([{ const: 'a' }, { type: 'null' }, { enum: [1, 'a'] }]) },
    { param: 'oneOf[2]', message: /must differ from oneOf\[0\]/ })
})

test('schemas that are told apart by pairs pass while they are not too many', () => {
  const told = (count: number): object[] => [...kinds(1, () => ({ b: 0 })), ...kinds(count, kind => ({ kind, b: 1 }))]
  check(told(500))
  assert.throws(() => { check(told(2000)) }, { code: 'invalid_request', message: /told apart from all others by one/ })
})
