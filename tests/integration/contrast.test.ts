/**
 * Guidance by contrast over HTTP on a tiny model: the contexts are rendered, read, counted and refused as they should
 * be.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { tinyServer, type TinyServer } from '../helpers/tiny-server.js'

let server: TinyServer
before(async () => { server = await tinyServer({ contextLength: '128' }) })
after(() => server.close())

type Json = Record<string, any>

const user = { role: 'user', content: 'the an' }
const base = { model: 'tiny', max_tokens: 12, seed: 1 }
const contrast = (
  sides: object, more: object = {}
): object => ({ alignment: { strategy: 'token_guidance', contrast: sides, candidates: { top_k: 0 }, ...more } })

async function ask (body: object, path = '/v1/chat/completions'): Promise<Json> {
  const { status, json } = await server.post(path, { ...base, ...body })
  assert.equal(status, 200, JSON.stringify(json))
  return json
}

const textOf = (answer: Json): string => answer['choices'][0].message?.content ?? answer['choices'][0].text

test('toward a context and away from the prompt itself, greedily, is the greedy answer in that context', async () => {
  const greedy = { temperature: 0 }
  const cases: ReadonlyArray<readonly [messages: object[], context: object, as: object[]]> = [
    [[user], { system: 'in on' }, [{ role: 'system', content: 'in on' }, user]],
    [[{ role: 'system', content: 'an' }, user], { system: 'in on' }, [{ role: 'system', content: 'in on' }, user]],
    [[user], { prefix: 'on ' }, [{ ...user, content: 'on the an' }]],
    [[user, { role: 'assistant', content: 'in' }, user], { system: 'on', prefix: 'in ' }, [
      { role: 'system', content: 'on' }, user, { role: 'assistant', content: 'in' }, { ...user, content: 'in the an' }
    ]]
  ]
  for (const [messages, context, as] of cases) {
    const guided = await ask({ messages, ...greedy, ...contrast({ toward: context, away: {} }) })
    assert.equal(textOf(guided), textOf(await ask({ messages: as, ...greedy })), JSON.stringify(context))
    assert.notEqual(textOf(guided), textOf(await ask({ messages, ...greedy })))
  }
  const guided = await ask(
    { prompt: 'the an', temperature: 0, ...contrast({ toward: { prefix: 'in on ' }, away: {} }) }, '/v1/completions'
  )
  assert.equal(textOf(guided), textOf(await ask({ prompt: 'in on the an', temperature: 0 }, '/v1/completions')))
  const { json: { tokens } } = await server.post('/tokenize', { prompt: 'the an' })
  const ofTokens = await ask(
    { prompt: tokens, temperature: 0, ...contrast({ toward: { prefix: 'in on ' }, away: {} }) }, '/v1/completions'
  )
  assert.equal(textOf(ofTokens), textOf(guided))
})

test('the response says what was done and what it took', async () => {
  const { usage, alignment, choices } = await ask({
    messages: [user],
    ignore_eos: true,
    n: 2,
    ...contrast({ toward: { system: 'in on' }, away: { system: 'an' } }, { method: 'proxy_tuning', candidates: null })
  })
  assert.deepEqual([alignment.resolved.source, alignment.resolved.candidates, alignment.rewards_used],
    ['contrast', { top_k: 0, top_p: 0.9 }, []])
  assert.equal(alignment.kl.kind, 'exact_sampled')
  assert.ok(alignment.kl.value > 0)
  assert.equal(choices[0].alignment.reward, undefined)
  // Two contexts, and two answers of 12 tokens in each of them, whose last token is not read.
  assert.ok(usage.alignment_details.reward_tokens > 2 * 2 * 11)
  assert.equal(usage.alignment_details.generated_tokens, 24)
})

test('a stream is the whole answer, and the same seed gives the same tokens', async () => {
  const body = { ...base, messages: [user], ...contrast({ toward: { system: 'in on' }, away: {} }, { strength: 2 }) }
  const whole = await ask(body)
  const chunks = await server.stream('/v1/chat/completions', body)
  assert.equal(chunks.map(chunk => chunk['choices'][0]?.delta.content ?? '').join(''), textOf(whole))
})

test('a bound of KL is refused at temperature 0, where nothing is drawn', async () => {
  const { status, json } = await server.post('/v1/chat/completions',
    { ...base, messages: [user], temperature: 0, ...contrast({ toward: {} }, { max_kl: 1 }) })
  assert.deepEqual([status, json['error'].param], [400, 'alignment.max_kl'])
  assert.match(json['error'].message, /can be enforced with a temperature above 0 only; the temperature is 0; got 1/)
})

test('contexts that cannot be are refused by name', async () => {
  const refused: ReadonlyArray<readonly [path: string, body: object, param: string, message: RegExp]> = [
    ['/v1/completions', { prompt: 'an', ...contrast({ toward: { system: 'in' } }) }, 'alignment.contrast.toward.system',
      /needs messages/],
    ['/v1/chat/completions', { messages: [{ role: 'system', content: 'an' }], ...contrast({ away: { prefix: 'in' } }) },
      'alignment.contrast.away.prefix', /needs a user message/],
    ['/v1/chat/completions', { messages: [user], ...contrast({ toward: { system: 'in on the '.repeat(40) } }) },
      'alignment.contrast.toward',
      /context length is 128 tokens; the prompt in the context alignment\.contrast\.toward has \d+/],
    ['/v1/chat/completions',
      { messages: [user], ...contrast({ toward: { system: 'in on the an '.repeat(9) } }), max_tokens: 100 },
      'max_tokens', /the prompt in the context alignment\.contrast\.toward has \d+ and max_tokens asks for 100/]
  ]
  for (const [path, body, param, message] of refused) {
    const { status, json } = await server.post(path, { ...base, ...body })
    assert.deepEqual([status, json['error'].param], [400, param], JSON.stringify(json))
    assert.match(json['error'].message, message)
  }
})
