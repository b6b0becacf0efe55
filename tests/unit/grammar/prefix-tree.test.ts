/** Texts as a tree: what it accepts, and how deep its grammar is for long texts and deep trees. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { Rules } from '../../../src/grammar/ebnf.js'
import { Grammars } from '../../../src/grammar/grammars.js'
import { nameExcept } from '../../../src/grammar/json-text.js'
import { oneText } from '../../../src/grammar/prefix-tree.js'
import { randomStream } from '../../../src/policies/random-stream.js'
import { accepts, walkVocabulary } from '../../helpers/grammar-walk.js'

const grammars = new Grammars(walkVocabulary)
after(() => grammars.close())

function grammarOf (texts: readonly string[]): string {
  const rules = new Rules()
  return rules.print(oneText(rules, texts))
}

/** How deep groups are nested in a grammar's longest rule. */
function depthOf (grammar: string): number {
  let [depth, deepest] = [0, 0]
  for (const line of grammar.split('\n')) {
    depth = 0
    for (const [sign] of line.replaceAll(/"(?:[^"\\]|\\.)*"|\[(?:[^\]\\]|\\.)*\]/g, '').matchAll(/[()]/g)) {
      depth += sign === '(' ? 1 : -1
      deepest = Math.max(deepest, depth)
    }
  }
  return deepest
}

test('random texts that begin alike: exactly those are accepted', async () => {
  const random = randomStream(5, 'texts')
  const draw = (): string => Array.from({ length: 1 + Math.floor(random.next() * 6) }, () =>
    'aabé😀"'.at(Math.floor(random.next() * 4))!).join('')
  for (let round = 0; round < 10; round++) {
    const texts = new Set(Array.from({ length: 12 }, draw))
    const grammar = grammarOf([...texts])
    for (const text of texts) assert.ok(await accepts(grammars, grammar, text), `${[...texts]} allows ${text}`)
    for (const text of Array.from({ length: 20 }, draw)) {
      assert.equal(await accepts(grammars, grammar, text), texts.has(text), `${[...texts]}: ${text}`)
    }
  }
})

test('two texts that share 100,000 characters, and texts that each begin another, have a flat grammar', async () => {
  const shared = 'a'.repeat(100_000)
  assert.ok(depthOf(grammarOf([`${shared}x`, `${shared}y`])) < 3)
  const growing = Array.from({ length: 400 }, (_, index) => 'a'.repeat(index + 1))
  const grammar = grammarOf(growing)
  assert.ok(depthOf(grammar) <= 20, `${depthOf(grammar)}`)
  assert.ok(await accepts(grammars, grammar, growing[399]!))
  assert.ok(!await accepts(grammars, grammar, `${growing[399]!}a`))
})

test('a name is none of others, however long they are', async () => {
  const rules = new Rules()
  const long = 'n'.repeat(200)
  const grammar = rules.print(nameExcept(rules, ['ab', 'a', 'é', 'q"', long]))
  assert.ok(depthOf(grammar) <= 20, `${depthOf(grammar)}`)
  for (const text of ['', 'abc', 'b', 'aa', 'ee', 'q', long.slice(1), `${long}n`]) {
    assert.ok(await accepts(grammars, grammar, JSON.stringify(text)), text.slice(0, 20))
  }
  for (const text of ['a', 'ab', 'é', long]) {
    assert.ok(!await accepts(grammars, grammar, JSON.stringify(text)), text.slice(0, 20))
  }
})
