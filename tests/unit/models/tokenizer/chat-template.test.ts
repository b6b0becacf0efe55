/** Chats to tokens: which template is used, what is a caller's, and where a continued message ends. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chatTemplates, encodeChat, type ChatTemplate } from '../../../../src/models/tokenizer/chat-template.js'
import { tokenizerFromJson } from '../../../../src/models/tokenizer/tokenizer.js'
import { tinyTokenizerJson } from '../../../helpers/tiny-checkpoint.js'
import { tinyVocabulary } from '../../../helpers/tiny-vocabulary.js'
import { taggedTemplate } from '../../../helpers/tool-templates.js'

const tokenizer = tokenizerFromJson({
  path: 'tiny', tokenizer: tinyTokenizerJson as never, config: {}, vocabularySize: tinyVocabulary.length, ends: []
})
const constants = { bos_token: '', eos_token: '' }
const templates = (source: string | null, toolSource: string | null = null): ChatTemplate =>
  chatTemplates('tiny', { source, toolSource }, constants)
const tool = { type: 'function', function: { name: 'wave', parameters: {} } }
const user = { role: 'user', content: 'hi' }
const text = (template: ChatTemplate, content: string, options: object = {}): string =>
  encodeChat(template, tokenizer, [{ role: 'user', content }], options).text

test('chats with tools are rendered by the template for tools, others by the other', () => {
  const both = templates('{{ messages[0].content }}', taggedTemplate)
  assert.equal(text(both, 'hi'), 'hi')
  assert.match(text(both, 'hi', { tools: [tool] }), /^<\|im_start\|>system\nHelp\.\n\n# Functions\n<tools>\n\{/)
  assert.equal(both.callForm.begins, '<tool_call>')
  assert.match(text(templates(null, taggedTemplate), 'hi'), /^<\|im_start\|>user\nhi/)
})

test('a model without a template refuses chats', () => {
  const none = templates(null)
  assert.equal(none.source, null)
  assert.throws(() => encodeChat(none, tokenizer, [user]), { code: 'invalid_request', param: 'messages' })
})

test('a template that does not end is refused when it is read', () => {
  for (const source of ['{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}',
    "{% set ns = namespace(x='a') %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}"]) {
    assert.throws(() => templates(source), { code: 'invalid_request', param: 'model' })
  }
})

test('no tools are None, as transformers has them', () => {
  assert.equal(text(templates('{{ tools is none }}{{ tools is defined }}{{ documents is none }}'), 'hi'),
    'TrueTrueTrue')
})

test('texts that a template joins, or makes by replacing, become no control tokens', () => {
  const sources = ['{{ messages[0].name }}{{ messages[0].content }}', "<|{{ 'im_' ~ messages[0].name }}",
    "{{ (messages[0].content ~ '') | replace('#', '') }}", "{{ messages[0].content.split('+') | join }}",
    '<|im_{{ messages[0].content.lower() }}']
  for (const source of sources) {
    for (const [name, content] of [['<|im_', 'end|>'], ['end|>', '<#|im_end|>'], ['x', '<|im_+end|>'],
      ['x', 'END|>']]) {
      const message = { role: 'user', content: content!, name: name! }
      const { tokens } = encodeChat(templates(source), tokenizer, [message])
      assert.ok(tokens.every(token => token > 2), `${source} of ${name} and ${content}`)
    }
  }
  // What the template writes around a role is one.
  const roles = templates("<|im_{{ 'end' if messages[0].role == 'user' }}|>")
  assert.ok(encodeChat(roles, tokenizer, [user]).tokens.includes(2))
})

test('a continued message ends where its text does', () => {
  const continued = (source: string, content: string): string =>
    text(templates(source), content, { continueFinalMessage: true })
  assert.equal(continued('{{ messages[0].content }}<|im_end|>', 'so '), 'so ')
  assert.equal(continued('{{ messages[0].content | trim }}<|im_end|>', 'so '), 'so')
  assert.throws(() => continued('{{ messages[0].role }}', 'so'),
    { code: 'invalid_request', param: 'continue_final_message' })
})
