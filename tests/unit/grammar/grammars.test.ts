/**
 * The grammar thread: compiled once, forked, closed with its request; a task that takes too long or breaks it fails
 * alone.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { GrammarSource } from '../../../src/grammar/grammar-source.js'
import { Grammars } from '../../../src/grammar/grammars.js'
import { schemaGrammar } from '../../../src/grammar/json-schema-grammar.js'
import { accepts, open, walkVocabulary } from '../../helpers/grammar-walk.js'

const letters = 'root ::= "a" ("b" "c" | "d")'
const byte = (letter: string): number => letter.charCodeAt(0)
const lettersOf = (allowed: Int32Array): string =>
  Array.from('abcdefgh').filter(letter => (allowed[byte(letter) >> 5]! >>> (byte(letter) & 31) & 1) === 1).join('')

test('forks go on apart from each other', async () => {
  const grammars = new Grammars(walkVocabulary)
  const controller = new AbortController()
  try {
    const one = (await open(grammars, letters, controller.signal)).start()
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
    await assert.rejects(open(grammars, slow, controller.signal), {
      code: 'invalid_request', param: 'field', message: /^field takes more than 0.001 s to work out/
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
    const answer = (await open(grammars, letters, controller.signal)).start()
    answer.accept(byte('a'))
    await answer.ready()
    const wrong = answer.fork()
    wrong.accept(byte('c'))
    answer.accept(byte('b'))
    await assert.rejects(wrong.ready(), /the grammar thread failed: token 99 is not what the grammar allows/)
    await answer.ready()
    assert.equal(lettersOf(answer.allowed), 'c')
    assert.ok(await accepts(grammars, letters, 'ad'))
    await assert.rejects(open(grammars, 'root ::= nowhere', controller.signal), /the grammar thread failed/)
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
    const opening = open(grammars, letters, controller.signal)
    controller.abort(new Error('left'))
    await assert.rejects(opening, /left/)
    await assert.rejects(open(grammars, letters, controller.signal), /left/)
    assert.ok(await accepts(grammars, letters, 'ad'))
  } finally {
    await grammars.close()
  }
})

test('what is asked when the server closes is refused', async () => {
  const grammars = new Grammars(walkVocabulary)
  const opening = open(grammars, letters, new AbortController().signal)
  await Promise.all([assert.rejects(opening, { code: 'unavailable' }), grammars.close()])
})

/** Takes long to compile: texts of bounded lengths, each of its own. */
const slow = (seed: number, strings = 24): GrammarSource => ({
  type: 'schema',
  json: JSON.stringify({
    type: 'object',
    properties: Object.fromEntries(Array.from({ length: strings }, (_, index) =>
      [`p${seed}_${index}`, { type: 'string', minLength: index, maxLength: 250 }]))
  }),
  path: 'schema'
})

/** Opens a grammar; what it comes to is told as it happens. */
function opening (
  grammars: Grammars, source: GrammarSource, caller: string, told: string[], name: string
): { readonly leave: () => void, readonly settled: Promise<void> } {
  const controller = new AbortController()
  const settled = grammars.open(source, { param: 'field', caller, signal: controller.signal })
    .then(() => { told.push(name) }, () => { told.push(`${name} failed`) })
  return { leave: () => { controller.abort(new Error('left')) }, settled }
}

const small = (name: string): GrammarSource => ({ type: 'grammar', text: `root ::= "${name}"` })

test('a schema that cannot be enforced is refused by its place; the thread goes on', async () => {
  const grammars = new Grammars(walkVocabulary)
  const { signal } = new AbortController()
  try {
    const source = { type: 'schema', json: '{"type":"string","pattern":"x"}', path: 'response_format.schema' } as const
    for (let time = 0; time < 2; time++) {
      await assert.rejects(grammars.open(source, { param: 'response_format', caller: '', signal }),
        { code: 'invalid_request', param: 'response_format.schema.pattern' })
    }
    assert.ok(await accepts(grammars, letters, 'ad'))
  } finally {
    await grammars.close()
  }
})

test('a grammar that nobody waits for any more is not compiled, and one being compiled does not hold up others',
  async () => {
    const grammars = new Grammars(walkVocabulary)
    const told: string[] = []
    try {
      await opening(grammars, small('first'), 'a', told, 'first').settled
      const gone = Array.from({ length: 3 }, (_, index) => opening(grammars, slow(index), 'a', told, `slow ${index}`))
      const waiting = opening(grammars, small('small'), 'a', told, 'small')
      for (const { leave, settled } of gone) {
        leave()
        await settled
      }
      await waiting.settled
      assert.deepEqual(told, ['first', 'slow 0 failed', 'slow 1 failed', 'slow 2 failed', 'small'])
    } finally {
      await grammars.close()
    }
  })

test('a compilation that nobody waits for is left alone where it holds up nobody', async () => {
  const grammars = new Grammars(walkVocabulary)
  const told: string[] = []
  try {
    const gone = opening(grammars, slow(1, 2), 'a', told, 'gone')
    gone.leave()
    await gone.settled
    await opening(grammars, slow(1, 2), 'a', told, 'again').settled
    assert.deepEqual(told, ['gone failed', 'again'])
  } finally {
    await grammars.close()
  }
})

test('a caller’s grammars do not keep another’s waiting', async () => {
  const grammars = new Grammars(walkVocabulary)
  const told: string[] = []
  try {
    const hog = Array.from({ length: 4 }, (_, index) => opening(grammars, slow(index), 'hog', told, `hog ${index}`))
    await opening(grammars, small('other'), 'other', told, 'other').settled
    assert.deepEqual(told, ['other'])
    for (const { leave } of hog) leave()
  } finally {
    await grammars.close()
  }
})

test('an answer goes on when a compilation in its thread is stopped', async () => {
  const grammars = new Grammars(walkVocabulary)
  const controller = new AbortController()
  try {
    const answer = (await open(grammars, letters, controller.signal)).start()
    const gone = opening(grammars, slow(1), '', [], 'gone')
    await new Promise(resolve => { setImmediate(resolve) })
    gone.leave()
    answer.accept(byte('a'))
    await answer.ready()
    assert.equal(lettersOf(answer.allowed), 'bd')
  } finally {
    controller.abort()
    await grammars.close()
  }
})

test('sources that wait to be compiled are bounded in length', async () => {
  const grammars = new Grammars(walkVocabulary)
  const { signal } = new AbortController()
  const text = `root ::= "${'a'.repeat(6_000_000)}"`
  const many = [1, 2, 3].map(index =>
    grammars.open({ type: 'grammar', text: `${text}${' '.repeat(index)}` }, { param: 'field', caller: '', signal }))
  await Promise.all([
    assert.rejects(many[0]!, { code: 'unavailable' }),
    assert.rejects(many[1]!, { code: 'unavailable' }),
    assert.rejects(many[2]!, { code: 'rate_limit_exceeded' }),
    assert.rejects(many[2]!).then(() => grammars.close())
  ])
})

test('whatever else the thread is asked, a compilation has its time only', async () => {
  const grammars = new Grammars(walkVocabulary, { taskTimeoutMs: 300 })
  const controller = new AbortController()
  try {
    const answer = (await open(grammars, 'root ::= "a"*', controller.signal)).start()
    const told: string[] = []
    const { settled } = opening(grammars, slow(1, 200), '', told, 'slow')
    while (told.length === 0) {
      answer.accept(byte('a'))
      await new Promise(resolve => { setTimeout(resolve, 20) })
    }
    await settled
    assert.deepEqual(told, ['slow failed'])
    await answer.ready()
  } finally {
    controller.abort()
    await grammars.close()
  }
})

test('a grammar that needs more memory than a thread may have is refused; the next one is compiled', async () => {
  const grammars = new Grammars(walkVocabulary)
  try {
    await assert.rejects(open(grammars, `root ::= "${'a'.repeat(15_000_000)}"`, new AbortController().signal),
      { code: 'invalid_request', param: 'field', message: /too much memory/ })
    assert.ok(await accepts(grammars, letters, 'ad'))
  } finally {
    await grammars.close()
  }
})
