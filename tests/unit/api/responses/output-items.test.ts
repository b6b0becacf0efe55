/** What a response writes, as events and whole: text and calls in the same items however the text is cut. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OutputItems } from '../../../../src/api/responses/output-items.js'
import { randomStream } from '../../../../src/policies/random-stream.js'
import type { Choice } from '../../../../src/decoding/result.js'
import type { TokenLogprob } from '../../../../src/policies/drawn-token.js'
import { hermesForm } from '../../../../src/models/tokenizer/tool-call-format.js'

type Json = Record<string, any>

const call = (name: string, given: string): string =>
  `<tool_call>\n{"name": "${name}", "arguments": ${given}}\n</tool_call>`

/** A text in random pieces, each a token. */
function tokensOf (text: string, seed: number): TokenLogprob[] {
  const random = randomStream(seed, 'pieces')
  const tokens: TokenLogprob[] = []
  for (let at = 0; at < text.length;) {
    const piece = text.slice(at, at += 1 + Math.floor(random.next() * 5))
    tokens.push({ bytes: Buffer.from(piece), logprob: -at, top: [] } as unknown as TokenLogprob)
  }
  return tokens
}

const choiceOf = (text: string, logprobs: TokenLogprob[], finishReason: Choice['finishReason']): Choice =>
  ({
    text,
    finishReason,
    logprob: -1,
    score: null,
    candidateIndex: 0,
    completionTokens: logprobs.length,
    logprobs,
    tokenIds: []
  })

/** Ids are random: numbered by their first use. */
function withoutIds (output: readonly Json[]): unknown[] {
  return output.map(({ id, call_id: callId, ...item }) => ({
    ...item, idKind: id.split('_')[0], hasCallId: callId !== undefined
  }))
}

const texts: ReadonlyArray<readonly [string, string[]]> = [
  ['Hello, 1 < 2', ['message']],
  ['', ['message']],
  [call('get', '{}'), ['function_call']],
  [`Well é: ${call('get', '{"a": "}"}')}\n${call('get', '{}')}`, ['message', 'function_call', 'function_call']],
  [`Well <tool${call('get', '{"a": 1}').slice(0, -14)}`, ['message', 'function_call']],
  ['So <tool_c', ['message']]
]

test('events add up to the items of the whole answer, each opened and closed once', () => {
  for (const [text, types] of texts) {
    for (const isGuided of [false, true]) {
      for (let seed = 1; seed <= 10; seed++) {
        const events: Json[] = []
        const options = { callForm: hermesForm, hasTools: true, hasLogprobs: true, isGuided }
        const output = new OutputItems(options, (type, fields) => {
          const event = { type, sequence_number: events.length, ...structuredClone(fields) }
          events.push(event)
          return event
        })
        const tokens = tokensOf(text, seed)
        const choice = choiceOf(text, tokens, text.endsWith('>') ? 'stop' : 'length')
        for (const token of tokens) output.text(Buffer.from(token.bytes).toString(), [token])
        output.end(choice)
        const items: Json[] = []
        const deltas: Json[] = []
        for (const { type, output_index: at, item, delta, logprobs = [], ...rest } of events) {
          if (type === 'response.output_item.added') assert.equal(items.push(item) - 1, at)
          else if (type === 'response.output_item.done') {
            assert.equal(at, items.length - 1)
            assert.equal(item.id, items[at]!['id'])
            items[at] = item
          } else if (type.endsWith('.delta')) {
            deltas[at] = {
              text: `${deltas[at]?.['text'] ?? ''}${delta as string}`,
              logprobs: [...deltas[at]?.['logprobs'] ?? [], ...logprobs]
            }
          } else if (type === 'response.function_call_arguments.done') {
            assert.equal(rest['arguments'], deltas[at]?.['text'] ?? '')
          }
        }
        assert.deepEqual(items, output.items(choice))
        assert.deepEqual(items.map(item => item['type']), types, text)
        assert.deepEqual(withoutIds(items), withoutIds(new OutputItems(options, () => assert.fail()).items(choice)))
        const part = (items[0] as Json)['content']?.[0]
        if (part && text !== '') {
          assert.equal(part.text, deltas[0]!['text'])
          const bytes = part.logprobs.flatMap((one: Json) => one['bytes'])
          assert.ok(Buffer.from(part.text).subarray(0, bytes.length).equals(Buffer.from(bytes)))
          // A token that the marker of a call begins in is not the text's.
          assert.ok(Buffer.byteLength(part.text) - bytes.length <= 5)
        }
        assert.equal('alignment' in items.at(-1)!, isGuided)
        assert.ok(items.slice(0, -1).every(item => item['status'] === 'completed' && !('alignment' in item)))
        assert.equal(items.at(-1)!['status'], text.endsWith('>') ? 'completed' : 'incomplete')
      }
    }
  }
})

test('without tools, what looks like a call is text', () => {
  const text = call('get', '{}')
  const output = new OutputItems({ callForm: hermesForm, hasTools: false, hasLogprobs: false, isGuided: false },
    (type, fields) => ({ type, sequence_number: 0, ...fields }))
  assert.equal((output.items(choiceOf(text, [], 'stop'))[0] as Json)['content'][0].text, text)
  assert.deepEqual(output.text(text, []).map(({ type }) => type),
    ['response.output_item.added', 'response.content_part.added', 'response.output_text.delta'])
})

test('a stream goes through each of its tokens a few times, however long it is', () => {
  for (const hasTools of [false, true]) {
    let looks = 0
    const token = (bytes: Buffer): TokenLogprob =>
      ({ get bytes () { looks++; return bytes }, logprob: -1, top: [] }) as unknown as TokenLogprob
    const output = new OutputItems({ callForm: hermesForm, hasTools, hasLogprobs: true, isGuided: false },
      (type, fields) => ({ type, sequence_number: 0, ...fields }))
    const tokens = Array.from({ length: 500 }, () => token(Buffer.from('word ')))
    for (const one of tokens) output.text('word ', [one])
    output.end(choiceOf('word '.repeat(500), tokens, 'stop'))
    assert.ok(looks <= 20 * tokens.length,
      `${looks} looks at ${tokens.length} tokens, ${hasTools ? 'with' : 'without'} tools`)
  }
})
