/** The same request by every way into the server: the same text, the same counts, what /tokenize counts. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, test } from 'node:test'
import { WebSocket } from 'ws'
import { tinyServer, type TinyServer } from '../helpers/tiny-server.js'

let server: TinyServer
before(async () => { server = await tinyServer() })
after(() => server.close())

type Json = Record<string, any>
const messages = [{ role: 'system', content: 'be brief' }, { role: 'user', content: 'hi' }]
const drawing = { model: 'tiny', seed: 5, temperature: 0.9, top_p: 0.95, frequency_penalty: 0.2 }

/** What every way is compared by. */
interface Outcome {
  readonly text: string, readonly prompt: number, readonly completion: number, readonly ledger: unknown
}

const ledgerOf = (
  { alignment_details: { generated_tokens: generated, returned_tokens: returned, discarded_tokens: discarded } }: Json
): unknown => ({ generated, returned, discarded })
const ofChat = (text: string, usage: Json): Outcome => ({
  text, prompt: usage['prompt_tokens'], completion: usage['completion_tokens'], ledger: ledgerOf(usage)
})
const ofResponse = (
  text: string, usage: Json
): Outcome => ({ text, prompt: usage['input_tokens'], completion: usage['output_tokens'], ledger: ledgerOf(usage) })
const textOf = (response: Json): string => response['output'][0].content[0].text

/** The events of one request on a socket, to its end. */
async function overSocket (path: string, message: object): Promise<Json[]> {
  const socket = new WebSocket(`${server.address.replace('http', 'ws')}${path}`)
  const events: Json[] = []
  await once(socket, 'open')
  socket.send(JSON.stringify(message))
  for await (const [data] of on(socket)) {
    events.push(JSON.parse(String(data)) as Json)
    if (/^(completed|error|response\.(completed|incomplete|failed))$/.test(events.at(-1)!['type'])) break
  }
  socket.close()
  return events
}

async function * on (socket: WebSocket): AsyncGenerator<[unknown], void, undefined> {
  const queue: unknown[] = []
  let wake = (): void => {}
  socket.on('message', data => { queue.push(data); wake() })
  for (;;) {
    while (queue.length > 0) yield [queue.shift()]
    await new Promise<void>(resolve => { wake = resolve })
  }
}

/** By name, each way of asking. @param body what all have in common */
const ways: Readonly<Record<string, (body: Json, maxTokens: number) => Promise<Outcome>>> = {
  async 'chat, whole' (body, maxTokens) {
    const { json } = await server.post('/v1/chat/completions', { ...body, messages, max_tokens: maxTokens })
    return ofChat(json['choices'][0].message.content, json['usage'])
  },
  async 'chat, streamed' (body, maxTokens) {
    const chunks = await server.stream('/v1/chat/completions',
      { ...body, messages, max_tokens: maxTokens, stream_options: { include_usage: true } })
    return ofChat(chunks.map(chunk => chunk['choices'][0]?.delta.content ?? '').join(''), chunks.at(-1)!['usage'])
  },
  async '/v1/stream' (body, maxTokens) {
    const events =
      await overSocket('/v1/stream', { type: 'create', id: 'a', request: { ...body, messages, max_tokens: maxTokens } })
    const { completion } = events.at(-1)!
    const streamed =
      events.filter(({ type }) => type === 'chunk').map(({ chunk }) => chunk.choices[0]?.delta.content ?? '').join('')
    assert.equal(streamed, completion.choices[0].message.content)
    return ofChat(streamed, completion.usage)
  },
  async 'responses, whole' (body, maxTokens) {
    const { json } = await server.post('/v1/responses', { ...body, input: messages, max_output_tokens: maxTokens })
    return ofResponse(textOf(json), json['usage'])
  },
  async 'responses, streamed' (body, maxTokens) {
    const text = await (await fetch(`${server.address}/v1/responses`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ ...body, input: messages, max_output_tokens: maxTokens, stream: true })
    })).text()
    const events = [...text.matchAll(/^data: (.*)$/gm)].map(match => JSON.parse(match[1]!) as Json)
    return ofResponse(events.map(({ type, delta }) => type === 'response.output_text.delta' ? delta : '').join(''),
      events.at(-1)!['response'].usage)
  },
  async 'responses, WebSocket' (body, maxTokens) {
    const events = await overSocket('/v1/responses',
      { type: 'response.create', ...body, input: messages, max_output_tokens: maxTokens })
    const streamed = events.map(({ type, delta }) => type === 'response.output_text.delta' ? delta : '').join('')
    assert.equal(streamed, textOf(events.at(-1)!['response']))
    return ofResponse(streamed, events.at(-1)!['response'].usage)
  },
  async 'legacy, by the prompt’s tokens' (body, maxTokens) {
    const { json: { tokens } } = await server.post('/tokenize', { messages })
    const { json } = await server.post('/v1/completions', { ...body, prompt: tokens, max_tokens: maxTokens })
    return ofChat(json['choices'][0].text, json['usage'])
  }
}

for (const [what, more] of Object.entries({
  'plain sampling': {},
  'a stop text': { stop: 'e' },
  best_of_n: { alignment: { strategy: 'best_of_n', num_candidates: 3, reward: 'length' } },
  beam_search: {
    alignment: {
      strategy: 'beam_search',
      num_beams: 2,
      num_children: 2,
      step: { tokens: 3 },
      reward: 'length',
      allow_scope_mismatch: true
    }
  },
  token_guidance: {
    alignment: { strategy: 'token_guidance', candidates: { top_k: 4 }, reward: 'length', allow_scope_mismatch: true }
  }
})) {
  test(`${what}: every way gives the same text and counts`, async () => {
    const body = { ...drawing, ...more }
    const expected = await ways['chat, whole']!(body, 24)
    assert.equal(expected.prompt, (await server.post('/tokenize', { messages })).json['count'])
    for (const [name, ask] of Object.entries(ways)) assert.deepEqual(await ask(body, 24), expected, name)
  })
}
