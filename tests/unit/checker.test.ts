/** The checker: null is absent, unknown fields, and errors that name the field. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Type } from 'typebox'
import type { RequestError } from '../../src/errors.js'
import { anyObject, Checker, checkedApart, kinds, nullable, unsupported } from '../../src/checker.js'

const inner = Type.Object({ size: Type.Integer({ minimum: 1, default: 3 }), own: Type.Optional(anyObject()) })
const checker = new Checker(Type.Object({
  name: Type.String({ minLength: 1 }),
  inner: Type.Optional(inner),
  list: Type.Array(inner, { default: [] }),
  ids: Type.Optional(Type.Array(Type.Integer({ minimum: 0 }))),
  kind: nullable(kinds('type', [
    Type.Object({ type: Type.Literal('a', { default: 'a' }), one: Type.Integer() }),
    Type.Object({ type: Type.Literal('b'), two: Type.Union([Type.String(), Type.Array(inner)]) })
  ])),
  map: Type.Optional(Type.Unsafe<Record<string, string>>({ type: 'object', additionalProperties: { type: 'string' } })),
  closed: Type.Optional(Type.Object({ length: Type.Optional(Type.Number()) }, { additionalProperties: false })),
  apart: Type.Optional(checkedApart<object>({ type: 'object', properties: { x: Type.Number() } }, 'object')),
  told: Type.Optional(nullable(Type.String(), {})),
  elsewhere: unsupported('say name')
}))

test('null is absent at any depth, but not in objects of the caller’s own nor where it is a value', () => {
  const own = { default: null, enum: [null], properties: { a: null } }
  const { value, ignored } = checker.read({
    name: 'n',
    inner: { size: null, own, other: null },
    list: null,
    kind: null,
    apart: { x: null, y: null },
    told: null,
    map: { a: null, b: 'c' },
    elsewhere: null,
    unknown: null
  })
  assert.deepEqual(value, {
    name: 'n', inner: { size: 3, own }, list: [], kind: null, apart: { x: null, y: null }, told: null, map: { b: 'c' }
  })
  assert.deepEqual(ignored, [])
  assert.throws(() => checker.check({ name: null }), { param: 'name', message: /got nothing$/ })
})

test('of a name that the caller made up no more is told than tells it', () => {
  const name = 'x'.repeat(100_000)
  for (const body of [{ closed: { [name]: 1 } }, { map: { [name]: 1 } }]) {
    assert.throws(() => checker.check({ name: 'n', ...body }), ({ message, param }: RequestError) =>
      message.length < 400 && param!.length < 100)
  }
  assert.ok(checker.read({ name: 'n', [name]: 1 }).ignored.every(one => one.length < 100))
})

test('defaults are filled in at any depth, in fields of their own; what is given keeps its order', () => {
  const first = checker.check({ list: [{}], name: 'n', kind: { type: 'b', two: [{}] } })
  assert.deepEqual(Object.keys(first), ['list', 'name', 'kind'])
  assert.deepEqual(first.list, [{ size: 3 }])
  assert.deepEqual(first.kind, { type: 'b', two: [{ size: 3 }] })
  first.list.push({ size: 1 })
  assert.deepEqual(checker.check({ name: 'n' }).list, [])
  assert.deepEqual(checker.check({ name: 'n', kind: { one: 1 } }).kind, { one: 1, type: 'a' })
})

test('fields that an open object does not have are left out and named once; in a closed one they are refused', () => {
  const { value, ignored } = checker.read({ name: 'n', more: 1, list: [{ a: 1 }, { a: 2, b: 3 }] })
  assert.deepEqual([value.list, ignored], [[{ size: 3 }, { size: 3 }], ['list.a', 'list.b', 'more'].toSorted((a, b) =>
    ignored.indexOf(a) - ignored.indexOf(b))])
  assert.throws(() => checker.check({ name: 'n', closed: { lenght: 1 } }),
    { param: 'closed.lenght', message: /did you mean length\?/ })
  assert.throws(() => checker.check({ name: 'n', elsewhere: 1 }), { param: 'elsewhere', message: /say name; got 1/ })
})

/** [value, param, what the message says] */
const refused: ReadonlyArray<readonly [unknown, string, RegExp]> = [
  [[], 'body', /must be a JSON object; got \[\]/],
  [{ name: '' }, 'name', /a string of at least 1 character; got ""/],
  [{ name: 'n', inner: 5 }, 'inner', /an object; got 5/],
  [{ name: 'n', list: [{ size: 2 }, { size: 0.5 }] }, 'list[1].size', /an integer from 1 up; got 0.5/],
  [{ name: 'n', list: [{}, null] }, 'list[1]', /an object; got null/],
  [{ name: 'n', ids: [1, -1] }, 'ids', /each an integer from 0 up; got \[1,-1\]/],
  [{ name: 'n', kind: 'a' }, 'kind', /an object or null; got "a"/],
  [{ name: 'n', kind: { type: 'c' } }, 'kind.type', /one of a, b; got "c"/],
  [{ name: 'n', kind: {} }, 'kind.one', /an integer; got nothing/],
  [{ name: 'n', kind: { type: 'b', two: 5 } }, 'kind.two', /a string or a list; got 5/],
  [{ name: 'n', kind: { type: 'b', two: [{ size: 0 }] } }, 'kind.two[0].size', /from 1 up; got 0/],
  [{ name: 'n', apart: [] }, 'apart', /an object; got \[\]/],
  [{ name: 'n', inner: { size: Infinity } }, 'inner.size', /an integer/]
]
for (const [value, param, message] of refused) {
  test(`${JSON.stringify(value)} is refused at ${param}`, () => {
    assert.throws(() => checker.read(value), { code: 'invalid_request', param, message })
  })
}

test('texts of a query are read as the numbers and truth values that they write', () => {
  const query = new Checker(Type.Object({
    limit: Type.Integer({ maximum: 9, default: 1 }), stream: Type.Boolean({ default: false }), after: Type.String()
  }), { coerce: true })
  assert.deepEqual(query.check({ limit: '5', stream: 'true', after: '7' }), { limit: 5, stream: true, after: '7' })
  assert.throws(() => query.check({ limit: 'five', after: '' }), { param: 'limit' })
})

test('a name like those of every object is a name', () => {
  const { value, ignored } = checker.read(JSON.parse('{"name": "n", "__proto__": {"a": 1}, "constructor": 2}'))
  assert.deepEqual([Object.getPrototypeOf(value), ignored], [Object.prototype, ['__proto__', 'constructor']])
})
