/**
 * The grammar thread: compiled once, forked, closed with its request; a task that takes too long or breaks it fails
 * alone.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Grammars } from '../../../src/grammar/grammars.js'
import { schemaGrammar } from '../../../src/grammar/json-schema-grammar.js'
import { accepts, walkVocabulary } from '../../helpers/grammar-walk.js'

const letters = 'root ::= "a" ("b" "c" | "d")'
const byte = (letter: string): number => letter.charCodeAt(0)
const lettersOf = (allowed: Int32Array): string =>
  Array.from('abcdefgh').filter(letter => (allowed[byte(letter) >> 5]! >>> (byte(letter) & 31) & 1) === 1).join('')

test('forks go on apart from each other', async () => {
  const grammars = new Grammars(walkVocabulary)
  const controller = new AbortController()
  try {
    const one = (await grammars.open(letters, 'field', controller.signal)).start()
    await one.ready()
    assert.equal(lettersOf(one.allowed), 'a')
    one.accept(byte('a'))
    const other = one.fork()
    one.accept(byte('b'))
    await Promise.all([one.ready(), other.ready()])
    assert.deepEqual([lettersOf(one.allowed), lettersOf(other.allowed)], ['c', 'bd'])
    other.accept(byte('d'))
    await other.ready()
    assert.equal(lettersOf(other.allowed), '')
    one.close()
    one.close()
  } finally {
    controller.abort()
    await grammars.close()
  }
})

test('a grammar that takes too long is an error that names the field', async () => {
  const grammars = new Grammars(walkVocabulary, { taskTimeoutMs: 1 })
  const controller = new AbortController()
  try {
    const slow = schemaGrammar({
      type: 'object',
      properties: Object.fromEntries(Array.from({ length: 200 }, (_, index) =>
        [`name${index}`, { type: 'string', format: 'date-time' }]))
    }, 'schema')
    await assert.rejects(grammars.open(slow, 'response_format', controller.signal), {
      code: 'invalid_request', param: 'response_format', message: /^response_format takes more than 0.001 s to work out/
    })
  } finally {
    controller.abort()
    await grammars.close()
  }
})

test('a thread that breaks is replaced; answers that were under way go on', async () => {
  const grammars = new Grammars(walkVocabulary)
  const controller = new AbortController()
  try {
    const answer = (await grammars.open(letters, 'field', controller.signal)).start()
    answer.accept(byte('a'))
    await answer.ready()
    const wrong = answer.fork()
    wrong.accept(byte('c'))
    answer.accept(byte('b'))
    await assert.rejects(wrong.ready(), /the grammar thread failed: token 99 is not what the grammar allows/)
    await answer.ready()
    assert.equal(lettersOf(answer.allowed), 'c')
    assert.ok(await accepts(grammars, letters, 'ad'))
    await assert.rejects(grammars.open('root ::= nowhere', 'field', controller.signal), /the grammar thread failed/)
    assert.ok(await accepts(grammars, letters, 'abc'))
  } finally {
    controller.abort()
    await grammars.close()
  }
})

test('an aborted request does not wait for its grammar', async () => {
  const grammars = new Grammars(walkVocabulary)
  try {
    const controller = new AbortController()
    const opening = grammars.open(letters, 'field', controller.signal)
    controller.abort(new Error('left'))
    await assert.rejects(opening, /left/)
    await assert.rejects(grammars.open(letters, 'field', controller.signal), /left/)
    assert.ok(await accepts(grammars, letters, 'ad'))
  } finally {
    await grammars.close()
  }
})

test('what is asked when the server closes is refused', async () => {
  const grammars = new Grammars(walkVocabulary)
  const opening = grammars.open(letters, 'field', new AbortController().signal)
  await Promise.all([assert.rejects(opening, { code: 'unavailable' }), grammars.close()])
})
