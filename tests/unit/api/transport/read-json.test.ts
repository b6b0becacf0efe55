import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readJson } from '../../../../src/api/transport/read-json.js'
import { RequestError } from '../../../../src/errors.js'

const limit = 1 << 20
const read = (text: string | Buffer): unknown => readJson(Buffer.from(text as string), 'The body', limit)

/** Checks that it is refused, in these words, of this field. */
function refused (text: string | Buffer, message: RegExp, param: string | null = null): void {
  assert.throws(() => read(text), (error: unknown) => error instanceof RequestError &&
    error.code === 'invalid_request' && error.param === param && message.test(error.message), String(text).slice(0, 80))
}

test('what is JSON in UTF-8 is read, with a byte order mark too', () => {
  for (const value of [{ a: [1, { b: 'ü🙂' }] }, [], 'text', 1, null, { proto: 1, prototype: {}, constructor: 'x' }]) {
    assert.deepEqual(read(JSON.stringify(value)), value)
    assert.deepEqual(read(`\uFEFF${JSON.stringify(value)}`), value)
  }
})

test('bytes that are no UTF-8 are refused with their place', () => {
  refused(Buffer.from('{"a":"se\xf1or"}', 'latin1'), /^The body must be UTF-8; the byte 0xF1 at offset 8 is not$/)
  refused(Buffer.from('{"a":"\uFFFDü', 'utf8').subarray(0, 10), /0xC3 at offset 9/)
  // A surrogate, an overlong slash, what is cut off.
  for (const bytes of ['\xed\xa0\x80', '\xc0\xaf', '\xf0\x9f\x99']) {
    refused(Buffer.from(`"${bytes}"`, 'latin1'), /must be UTF-8/)
  }
})

test('names that can change a prototype are refused with their place and why', () => {
  refused('{"__proto__":1}', /^__proto__ is a name that is refused everywhere, since .* prototype/, '__proto__')
  refused('{"a":[0,{"b":{"\\u005f_proto__":{}}}]}', /^a\[1\]\.b\.__proto__ is/, 'a[1].b.__proto__')
  refused('[{"constructor":{"prototype":{}}}]', /^\[0\]\.constructor is/, '[0].constructor')
})

test('what is nested deeper than 100 levels is refused', () => {
  const nested = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels)
  assert.ok(read(nested(100)))
  refused(nested(101), /100 levels/)
  refused(nested(16_000), /100 levels/)
  refused('{"a":'.repeat(101) + '1' + '}'.repeat(101), /100 levels/)
})

test('parts are counted before they are parsed: objects, lists and strings, not what strings hold', () => {
  const most = limit / 32
  const list = (item: string, count: number): string => `[${Array(count).fill(item).join(',')}]`
  assert.equal((read(list('{}', most - 1)) as unknown[]).length, most - 1)
  for (const item of ['{}', '[]', '"a"', '"\\\\"']) refused(list(item, most), /may hold 32768 objects, lists and strings/)
  // Not even JSON: it is not parsed.
  refused('[{'.repeat(most), /it holds 65536/)
  for (const text of ['{}[]'.repeat(most), '\\'.repeat(most), '\\"[{'.repeat(most)]) {
    assert.equal(read(JSON.stringify(text)), text)
  }
  // Numbers, too, but more of them: a context of token ids is one list.
  assert.equal((read(list('1', limit / 8 + 1)) as unknown[]).length, limit / 8 + 1)
  refused(list('1', limit / 8 + 2), /may hold 131072 commas between values in all; it holds 131073/)
  assert.equal(read(JSON.stringify(','.repeat(limit / 4))), ','.repeat(limit / 4))
})

test('what is no JSON is refused as such', () => {
  for (const text of ['', '{', '{"a', '"\\"', 'nonsense']) refused(text, /^The body must be JSON; it cannot be parsed \(/)
})
