/** Keys keep the order of their text, where JavaScript would move them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { orderedKeys, orderedObject, parseOrdered, stringifyOrdered } from '../../../src/grammar/ordered-json.js'

/** Texts whose objects have keys that JavaScript moves, or look as if they had. */
const texts = [
  '{"zeta":1,"10":2,"2":3}',
  '{"a":{"1":0,"0":1},"b":[{"3":[],"2":{"9":1,"8":{}}},"x",{"2":2}],"0":null}',
  '[{"b":"}","1":"{\\"0\\":1,","0":"\\\\"},[["]",{"5":[1,2,{"4":true}],"4":0}]]]',
  '{"10":"\\\\\\"","9":{},"__proto__":1}',
  '{"4294967295":1,"4294967294":2,"01":3,"-1":4,"1":5}',
  '{"a":1}',
  '[]',
  '"{\\"1\\":0}"',
  '1'
]

test('what is parsed and written again is the same text', () => {
  for (const text of texts) assert.equal(stringifyOrdered(parseOrdered(text)), text)
})

test('keys are those of the text, however they are written, and of the last of two objects under one key', () => {
  const value = parseOrdered('{ "b" : 1 , "\\u0031" : { "y": 0, "7" : 0 } ,\n"0":2, "b": {"z":0, "5":1} }')
  assert.deepEqual(orderedKeys(value as object), ['b', '1', '0'])
  assert.equal(stringifyOrdered(value), '{"b":{"z":0,"5":1},"1":{"y":0,"7":0},"0":2}')
  const twice = parseOrdered('{"a":{"x":0,"1":[{"q":1,"3":0}]},"a":{"1":[{"3":1,"q":0}],"x":0,"y":0}}')
  assert.equal(stringifyOrdered(twice), '{"a":{"1":[{"3":1,"q":0}],"x":0,"y":0}}')
})

test('an object that is made keeps the order that it is made in', () => {
  assert.equal(stringifyOrdered(orderedObject([['b', 1], ['2', { c: undefined }], ['1', [undefined]]])),
    '{"b":1,"2":{},"1":[null]}')
})
