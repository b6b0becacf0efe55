/**
 * What Fairlead relies on of llama.cpp's server: the tests ask the fake, `conformance/llama-server` the real one. The
 * model of both must draw characters of several tokens.
 */
import assert from 'node:assert/strict'
import type { Json } from './fake-drawing.js'

export interface Asked {
  readonly url: string
  readonly prompt: readonly number[]
  /** A token that ends answers. */
  readonly endToken: number
}

/** Of an answer that streams or comes in one message. */
interface Answer { readonly status: number, readonly messages: readonly Json[] }

async function complete ({ url, prompt, endToken }: Asked, given: object): Promise<Answer> {
  const response = await fetch(`${url}/completion`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      prompt,
      stream: true,
      return_tokens: true,
      n_probs: 1,
      n_predict: 24,
      seed: 7,
      temperature: 1,
      samplers: ['temperature'],
      chat_parser: '{"parsers":[{"type":"epsilon"}],"rules":{},"root":0}',
      logit_bias: [[endToken, -100]],
      ...given
    })
  })
  const text = await response.text()
  const events = text.split('\n').filter(line => line.startsWith('data:')).map(line => line.slice(5))
  const messages = (events.length > 0 ? events : [text]).map(event => JSON.parse(event) as Json)
  return { status: response.status, messages }
}

const sent = ({ messages }: Answer): number[] => messages.flatMap(({ tokens }) => tokens as number[])

/** Each with what it says; all throw where it does not hold. */
export const llamaServerFacts: ReadonlyArray<readonly [string, (asked: Asked) => Promise<void>]> = [
  ['a stream counts tokens that it does not send; the answer in one message has all, drawn by the same seed',
    async asked => {
      const streamed = await complete(asked, {})
      const whole = await complete(asked, { stream: false })
      const all = sent(whole)
      assert.equal(all.length, 24)
      assert.ok(sent(streamed).length < 24, 'the model wrote no character of several tokens')
      for (const { tokens, tokens_predicted: count, stop } of streamed.messages) {
        if (stop !== true) assert.deepEqual(tokens, [all[count - 1]])
      }
      assert.equal(streamed.messages.at(-1)!['tokens_predicted'], 24)
    }],
  ['logprobs are raw, whatever biases and temperature do, and are told of what is text', async asked => {
    const first = async (given: object): Promise<Json> =>
      (await complete(asked, { n_predict: 1, n_probs: 20, logit_bias: [[asked.endToken, 1e6]], ...given }))
        .messages[0]!['completion_probabilities'][0]
    const [one, other] = [await first({ temperature: 0 }), await first({ temperature: 2 })]
    assert.equal(one['id'], asked.endToken)
    assert.equal(one['top_logprobs'].length, 20)
    assert.ok(one['logprob'] < -0.01)
    for (const [index, { id, logprob }] of (one['top_logprobs'] as Json[]).entries()) {
      assert.equal(other['top_logprobs'][index].id, id)
      assert.ok(Math.abs(other['top_logprobs'][index].logprob - logprob) < 1e-4)
    }
  }],
  ['the last message says why it ended and what was cached', async asked => {
    await complete(asked, {})
    for (const [reads, least] of [[true, 1], [false, 0]] as const) {
      const { messages } = await complete(asked, { cache_prompt: reads })
      const last = messages.at(-1)!
      assert.equal(last['stop_type'], 'limit')
      assert.equal(last['tokens_evaluated'], asked.prompt.length)
      assert.ok(last['timings'].cache_n >= least && (reads || last['timings'].cache_n === 0))
    }
    const ended = await complete(asked, { logit_bias: [[asked.endToken, 1e6]] })
    assert.equal(ended.messages.at(-1)!['stop_type'], 'eos')
    assert.deepEqual(sent(ended), [asked.endToken])
  }],
  ['a prompt that ends within a character goes on', async asked => {
    const all = sent(await complete(asked, { stream: false }))
    for (let cut = 1; cut < 8; cut++) {
      const prompt = [...asked.prompt, ...all.slice(0, cut)]
      const { messages } = await complete({ ...asked, prompt }, {})
      assert.equal(messages.at(-1)!['tokens_predicted'], 24, JSON.stringify(messages.at(-1)))
    }
  }],
  ['a prompt that is too long is refused', async asked => {
    const prompt = new Array<number>(100_000).fill(asked.prompt[0]!)
    const { status, messages } = await complete({ ...asked, prompt }, {})
    assert.equal(status, 400)
    assert.equal(messages[0]!['error'].type, 'exceed_context_size_error')
  }]
]
