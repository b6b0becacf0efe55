import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compilePattern, PatternError } from '../../src/pattern.js'

test('ordinary patterns match as ECMAScript’s do', () => {
  const texts = ['', 'a', 'cat', 'A Cat.', 'concatenate', 'x\ny', 'x\u2028y', 'a\u00a0b', 'a b', '3.14', '-7', 'été',
    'a/b', 'a-b', '[x]', '{,3}', 'foo{', '🙂', 'Ω', 'tab\there', '\u0001', 'a\r\nb', 'x'.repeat(50)]
  const patterns: ReadonlyArray<readonly [string, string]> = [
    ['\\bcat\\b', 'i'], ['^[a-z]+$', ''], ['.', ''], ['^.{3}$', 's'], ['^.{3}$', ''], ['a\\sb', ''],
    ['\\S\\s\\S', ''],
    ['[\\s]', ''], ['^[^\\s]+$', ''], ['^[\\S]+$', ''], ['^-?\\d+(?:\\.\\d+)?$', ''], ['\\u0041', ''],
    ['\\u{1F642}', 'u'], ['\\ud83d\\ude42', 'u'], ['\\x41', ''], ['\\p{L}\\p{Letter}', 'u'],
    ['\\p{Script=Greek}', 'u'], ['\\P{L}', 'u'],
    ['a\\/b', ''], ['[a\\-z]-', ''], ['\\[x\\]', ''], ['[[x]', ''], ['[^]', ''], ['\\cA', ''], ['[\\b]', ''],
    ['\\0', ''], ['^x', 'm'], ['^y$', 'm'], ['(?<name>c)at', ''], ['(?:a|b)*?c', ''], ['x{49,}', ''],
    ['\\w+@', ''], ['foo\\{', '']
  ]
  for (const [pattern, flags] of patterns) {
    const [own, theirs] = [compilePattern(pattern, flags), new RegExp(pattern, flags)]
    for (const text of texts) {
      // Lines end at \n alone, as the documentation says.
      if (flags === 'm' && /[\r\u2028]/.test(text)) continue
      assert.equal(own.test(text), theirs.test(text), `/${pattern}/${flags} on ${JSON.stringify(text)}`)
    }
  }
})

test('what RE2 cannot do, and what languages spell differently, is refused by name and position', () => {
  const cases: ReadonlyArray<readonly [string, RegExp]> = [
    ['a(?=b)', /look-arounds are not supported: \(\?=b at position 1/], ['(?!a)', /look-arounds/],
    ['(?<=a)b', /look-arounds/], ['(?<!a)b', /look-arounds/], ['(a)\\1', /backreferences .*: \\1 at position 3/],
    ['(?<n>a)\\k<n>', /backreferences/], ['(?P<n>a)(?P=n)', /backreferences/], ['(?>a+)', /atomic/],
    ['(?i)a', /flags inside a pattern/], ['(?#x)', /comments/], ['(?(1)a)', /conditionals/], ['\\Z', /\\z or \$/],
    ['\\h', /no such escape: \\h at position 0/], ['\\Qa\\E', /no such escape/], ['[[:alpha:]]', /POSIX/],
    ['a{,3}', /least count.*\{,3\} at position 1/], ['[]', /empty class/], ['a++', /\+\+/], ['(', /missing/],
    ['\\', /no such escape/], ['a{1,2000}', /repeat/], ['(a{1,1000}){1,1000}', /too large|repeat/],
    ['(?:\\w{1,20}\\s?){1,200}', /repeat/],
    ['\\w{1000}'.repeat(6), /more than 5000 steps/]
  ]
  for (const [pattern, message] of cases) {
    assert.throws(() => compilePattern(pattern), error => error instanceof PatternError && message.test(error.message),
      `${pattern}`)
  }
})
