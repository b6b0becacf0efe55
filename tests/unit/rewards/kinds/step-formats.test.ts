/**
 * The very tokens that published judges of steps are asked with, beside what the models' own code makes, worked out by
 * hand in a small vocabulary.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chatTemplate } from '../../../../src/models/tokenizer/chat-template.js'
import { tokenizerFromJson } from '../../../../src/models/tokenizer/tokenizer.js'
import { layoutOf } from '../../../../src/rewards/kinds/process.js'
import { stepFormats, stepsOf, type StepFormat } from '../../../../src/rewards/kinds/step-formats.js'
import { tinyTokenizerJson } from '../../../helpers/tiny-checkpoint.js'
import { tinyVocabulary } from '../../../helpers/tiny-vocabulary.js'

const control = ['<|endoftext|>', '<|im_start|>', '<|im_end|>', '<|begin_of_text|>', '<|start_header_id|>',
  '<|end_header_id|>', '<|eot_id|>', '<extra_0>']
/** Merges that tell one text from two: a space or a mark joins its neighbour where nothing parts them. */
const merges = ['Ġ t', 'Ġ o', '? Ċ', '. Ċ', 'Ċ Ċ', 'Ġ +']
const bytes = tinyVocabulary.slice(3, 259)
const texts = [...control, ...bytes, ...merges.map(merge => merge.replace(' ', ''))]
/** How Qwen 2.5 and Llama 3 cut texts, but for digits and contractions. */
const pattern = '[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+'

const tokenizer = tokenizerFromJson({
  path: 'small',
  tokenizer: {
    ...tinyTokenizerJson,
    added_tokens: control.map((content, id) => ({ ...tinyTokenizerJson.added_tokens[0]!, id, content })),
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [{ type: 'Split', pattern: { Regex: pattern }, behavior: 'Isolated', invert: false },
        { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false }]
    },
    model: { ...tinyTokenizerJson.model, vocab: Object.fromEntries(texts.map((text, id) => [text, id])), merges }
  } as object,
  config: {},
  vocabularySize: texts.length,
  ends: []
})

const chatml = "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + " +
  "'<|im_end|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
const llama3 = "{{ bos_token }}{% for message in messages %}{{ '<|start_header_id|>' + message['role'] + " +
  "'<|end_header_id|>\\n\\n' + message['content'] + '<|eot_id|>' }}{% endfor %}{% if add_generation_prompt %}{{ " +
  "'<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}"

/** Texts as a tokenizer's own alphabet writes them. */
const spelled = (text: string): string => [...Buffer.from(text)].map(byte => bytes[byte]!).join('')

/** Numbers of tokens that are given by their texts: where a text is no token, one for each of its bytes. */
const ids = (...parts: readonly string[]): number[] => parts.flatMap(part => {
  const whole = texts.indexOf(control.includes(part) ? part : spelled(part))
  return whole >= 0 ? [whole] : [...Buffer.from(part)].map(byte => texts.indexOf(bytes[byte]!))
})

function asked (format: StepFormat, template: string, beginning: string, question: string, answer: string): number[][] {
  const model = {
    id: 'small', tokenizer, chatTemplate: chatTemplate('small', template, { bos_token: beginning, eos_token: '' })
  }
  return layoutOf(format, model)([{ role: 'user', content: question }], stepsOf(answer, format))
}

/** Each step's sequence goes on from the one before. */
function grows (sequences: ReadonlyArray<readonly number[]>, ...parts: ReadonlyArray<readonly number[]>): void {
  assert.deepEqual(sequences, parts.map((_, index) => parts.slice(0, index + 1).flat()))
}

test('math_shepherd: f"{question} {answer}" as one text, each step closed by " ки"', () => {
  const sequences = asked(stepFormats.math_shepherd, chatml, '', 'how?', 'one\ntwo.')
  grows(sequences, ids('how?', ' o', 'ne', ' ', 'ки'), ids('\n', 'two', '.', ' ', 'ки'))
  assert.deepEqual(sequences.at(-1), tokenizer.encode('how? one ки\ntwo. ки'))
  // The verdicts are ▁+ and ▁−.
  assert.deepEqual(tokenizer.encode(stepFormats.math_shepherd.verdicts.good), ids(' +'))
})

test('rlhflow: a turn a step, the first behind question and space; the verdict is foretold where the assistant’s ' +
  'turn opens', () => {
  const opening = (role: string): number[] => ids('<|start_header_id|>', role, '<|end_header_id|>', '\n\n')
  const sequences = asked(stepFormats.rlhflow, llama3, '<|begin_of_text|>', 'how?', 'one\n\ntwo.\n\n')
  const first = [...ids('<|begin_of_text|>'), ...opening('user'), ...ids('how', '?', ' o', 'ne', '<|eot_id|>'),
    ...opening('assistant')]
  // What the models' own code reads at −3 of a conversation that ends in "+" and the turn's end.
  grows(sequences, first,
    [...ids('+', '<|eot_id|>'), ...opening('user'), ...ids('two', '.', '<|eot_id|>'), ...opening('assistant')])
})

test('skywork: beginning token, question with its line feed, then steps, each made tokens by itself before the line ' +
  'feed that is read', () => {
  const sequences = asked(stepFormats.skywork, chatml, '<|endoftext|>', 'how?', 'one\n\ntwo.\nok')
  grows(sequences, ids('<|endoftext|>', 'how', '?\n', 'one', '\n'), ids('two', '.', '\n'), ids('ok', '\n'))
  assert.throws(() => asked(stepFormats.skywork, chatml, '', 'how?', 'one'),
    /steps: the layout parts .*small has none/)
})

test('qwen: a chat with Qwen’s system message, <extra_0> behind each step', () => {
  const turn = (role: string, content: string): number[] =>
    [...ids('<|im_start|>', role, '\n'), ...tokenizer.encode(content), ...ids('<|im_end|>', '\n')]
  const sequences = asked(stepFormats.qwen, chatml, '', 'how?', 'one\n\ntwo.')
  const opening = [...turn('system', 'Please reason step by step, and put your final answer within \\boxed{}.'),
    ...turn('user', 'how?'), ...ids('<|im_start|>', 'assistant', '\n')]
  grows(sequences, [...opening, ...ids('one', '<extra_0>')], ids('two', '.', '<extra_0>'))
})
