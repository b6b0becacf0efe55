/** Templates rendered as transformers renders them: its outputs are in tests/fixtures. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { TemplateError } from '../../../../src/models/jinja/lexer.js'
import { Template } from '../../../../src/models/jinja/template.js'
import { Text } from '../../../../src/models/jinja/text.js'
import { valueOf } from '../../../../src/models/jinja/values.js'
import { packageRoot } from '../../../../src/package-root.js'

interface Fixture {
  readonly chats: Readonly<Record<string, unknown>>
  readonly tools: unknown
  readonly templates: readonly string[]
  /** What a template makes of a chat; null where transformers refuses it. */
  readonly cases: ReadonlyArray<readonly [template: number, chat: string, addsPrompt: boolean, text: string | null]>
}

/** Written by scripts/expected-templates.py. */
const { chats, tools, templates, cases } = JSON.parse(
  readFileSync(join(packageRoot, 'tests/fixtures/expected-templates.json'), 'utf8')) as Fixture

function render (source: string, chat: unknown, values: object = {}): Text {
  const given = Object.fromEntries(Object.entries({ messages: chat, ...values })
    .map(([name, value]) => [name, valueOf(value)]))
  return new Template(source).render(given)
}

for (const [index, chat, addsPrompt, text] of cases) {
  const source = templates[index]!
  test(`${JSON.stringify(source).slice(0, 100)} of ${chat}${addsPrompt ? '' : ' without prompt'} (${index})`, () => {
    const values = {
      add_generation_prompt: addsPrompt,
      tools: chat === 'tools' ? tools : null,
      documents: null,
      // Only whole templates are given one.
      ...(source.includes('bos_token') || source.includes('im_start') ? { bos_token: '<s>' } : {})
    }
    if (text === null) assert.throws(() => render(source, chats[chat], values), TemplateError)
    else assert.equal(render(source, chats[chat], values).value, text)
  })
}

const endless = {
  'nested loops': '{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}',
  'loops over loops': '{% for a in range(9999) %}{% for b in range(9999) %}{{ a }}{% endfor %}{% endfor %}',
  'a macro that calls itself': '{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}',
  'a macro that calls itself twice':
    '{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(60) }}',
  'a text that doubles':
    '{% set ns = namespace(x="ab") %}{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}',
  'a list that doubles':
    '{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = ns.x + ns.x %}{% endfor %}',
  'a list that holds itself twice, written':
    '{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}',
  'the same as JSON':
    '{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}' +
    '{{ ns.x | tojson }}',
  'the same, compared':
    '{% set ns = namespace(x=[1], y=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}' +
    '{% set ns.y = [ns.y, ns.y] %}{% endfor %}{{ ns.x == ns.y }}',
  'a long repetition': "{{ 'a' * 1000000000 }}",
  'a wide indent': "{{ 'a\nb' | indent(1000000000) }}",
  'wide JSON': '{{ [1] | tojson(indent=1000000000) }}',
  'many replacements': "{% set ns = namespace(x='aa') %}{% for i in range(60) %}" +
    "{% set ns.x = ns.x.replace('a', ns.x) %}{% endfor %}",
  'a great number': '{{ 10 ** 400 }}',
  'a great range': '{{ range(10 ** 9) }}',
  'deep lists': `{{ ${'['.repeat(100_000)}${']'.repeat(100_000)} }}`,
  'deep conditions': '{% if true %}'.repeat(100_000),
  'many nots': `{{ ${'not '.repeat(100_000)}true }}`,
  'many signs': `{{ ${'-'.repeat(100_000)}1 }}`,
  'many filters': `{{ 1${' | abs'.repeat(100_000)} }}`
}
for (const [name, source] of Object.entries(endless)) {
  test(`a template with ${name} ends with an error`, () => {
    assert.throws(() => render(source, chats['plain']), TemplateError)
  })
}

test('a chat of many messages is rendered without an error', () => {
  const messages = Array.from({ length: 20_000 }, (_, index) =>
    ({ role: index % 2 ? 'assistant' : 'user', content: 'a' }))
  const whole = templates.slice(0, 4)
  for (const source of whole) assert.ok(render(source, messages, { bos_token: '', tools: null }).length > 20_000)
})

/** What of a text is a caller's, in brackets. */
function marked (source: string, values: object): string {
  const { value, ranges } = render(source, [], values)
  return ranges.reduceRight((text, at, index) =>
    text.slice(0, at) + (index % 2 ? ']' : '[') + text.slice(at), value)
}

test('what a caller wrote is known through all that is done with it', () => {
  const values = { a: ' <|im_', b: 'end|> ', list: ['x', 'y'], map: { k: 'v' } }
  const expected: ReadonlyArray<readonly [source: string, text: string]> = [
    ['<{{ a }}{{ b }}>', '<[ <|im_end|> ]>'], ['{{ a | trim }}-{{ b.strip() }}', '[<|im_]-[end|>]'],
    ['{{ (a + "|" + b)[1:7] }}', '[<|im_]|'], ['{{ (a ~ "." ~ b)[5:9] }}', '[_].[en]'],
    ['{{ a.split("|") | join("+") }}', '[ <]+[im_]'], ['{{ "a-b".replace("-", a) }}', 'a[ <|im_]b'],
    ['{{ a.replace("<", "(") }}', '[ ]([|im_]'], ['{{ a | upper }}', '[ <|IM_]'], ['{{ [a] }}', "['[ <|im_]']"],
    ['{{ map }}', "{'[k]': '[v]'}"], ['{{ map | tojson }}', '{"[k]": "[v]"}'], ['{{ a[1] }}', '[<]'],
    ['{% for c in list %}{{ c }}.{% endfor %}', '[x].[y].'], ['{{ "%s!" % a }}', '[ <|im_]!'],
    ['{% for k, v in map.items() %}{{ k }}={{ v }}{% endfor %}', '[k]=[v]'], ['{{ list | first }}', '[x]'],
    ['{% set z %}({{ a }}){% endset %}{{ z }}', '([ <|im_])'], ['{% filter trim %}{{ a }}{% endfilter %}', '[<|im_]'],
    ['{% macro m(x) %}<{{ x }}>{% endmacro %}{{ m(a) }}', '<[ <|im_]>'], ['{{ a | reverse }}', '[_mi|< ]'],
    ['{{ a | length }}{{ a == " <|im_" }}', '6True'], ['{{ "\n".join(list) }}', '[x]\n[y]'],
    ['{{ (a ~ "\n" ~ b) | indent(1) }}', '[ <|im_]\n [end|> ]'], ['{{ list | sort(reverse=true) }}', "['[y]', '[x]']"]
  ]
  for (const [source, text] of expected) assert.equal(marked(source, values), text, source)
})
