/**
 * Every strategy, and every way that one works, on a tiny model through every door: the openai client whole and
 * streamed with its journal, /v1/stream, the library.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { Fairlead, fold, type AlignmentParams, type ChatCompletionChunk, type Entry, type Usage } from 'fairlead'
import type {} from 'fairlead/openai'
import OpenAI from 'openai'
import { WebSocket } from 'ws'
import { strategyNames } from '../../src/decoding/strategies/strategy-schemas.js'
import { encodeFloats } from '../../src/rewards/kinds/q-head.js'
import { assertTold } from '../helpers/journals.js'
import { everyStrategy } from '../helpers/run-strategy.js'
import { writeTinyGguf } from '../helpers/tiny-gguf.js'
import { tinyServer, type TinyServer } from '../helpers/tiny-server.js'

const folder = mkdtempSync(join(tmpdir(), 'fairlead-doors-'))
const model = join(folder, 'tiny.gguf')
writeTinyGguf(model)

/** Any Q-head: what is compared is what the doors make of it. */
const numbers = (count: number): Float32Array => Float32Array.from({ length: count }, (_, index) => Math.sin(index))
const normalization = { mean: 0, std: 1, pool: 'none' }
const foretelling = {
  name: 'foretelling',
  description: 'x',
  kind: 'head',
  members: { outcome: { normalization }, prefix: { normalization } },
  policy: { id: 'none', weightsSha256: '0'.repeat(64), format: 'f32' },
  layer: 1,
  pooling: 'mean',
  weights: [...numbers(64)],
  bias: 0,
  nextToken: {
    layer: 2,
    rank: 2,
    state: encodeFloats(numbers(2 * 65)),
    token: encodeFloats(numbers(2 * 65)),
    fit: { prompts: 1, positions: 1, values: 2, regularization: 0 },
    metrics: { rankCorrelation: 0, standardError: 0, candidates: 2, positions: 1, prompts: 1, split: 'none' }
  }
}
const rewardsDir = join(folder, 'rewards')
mkdirSync(rewardsDir)
writeFileSync(join(rewardsDir, 'foretelling.json'), JSON.stringify(foretelling))

/** What a strategy is guided by. */
function rewardFor ({ contrast, source }: Readonly<Record<string, unknown>>): object {
  if (contrast !== undefined) return {}
  return { reward: source === 'next_token' ? 'foretelling' : 'length' }
}

let server: TinyServer
let client: OpenAI
let socket: WebSocket
let fairlead: Fairlead
before(async () => {
  server = await tinyServer({ rewardsDir })
  client = new OpenAI({ baseURL: `${server.address}/v1`, apiKey: 'none', maxRetries: 0 })
  fairlead = await Fairlead.start({ model, cacheDir: folder, rewardsDir, dataDir: join(folder, 'data') })
  socket = new WebSocket(`${server.address.replace('http', 'ws')}/v1/stream`)
  await once(socket, 'open')
})
after(async () => {
  socket.terminate()
  await fairlead.close()
  await server.close()
  rmSync(folder, { recursive: true })
})

type Event = Record<string, any>

/** What comes back for one request on the socket, until it has ended. */
function ask (id: string, request: object): Promise<Event[]> {
  const events: Event[] = []
  return new Promise((resolve, reject) => {
    const listen = (data: unknown): void => {
      const event = JSON.parse(String(data)) as Event
      if (event['id'] !== id) return
      events.push(event)
      if (event['type'] !== 'completed' && event['type'] !== 'error') return
      socket.off('message', listen)
      if (event['type'] === 'completed') resolve(events)
      else reject(new Error(JSON.stringify(event)))
    }
    socket.on('message', listen)
    socket.send(JSON.stringify({ type: 'create', id, request }))
  })
}

test('every strategy is among them', () => {
  assert.deepEqual([...new Set(everyStrategy.map(({ strategy }) => strategy))].sort(), [...strategyNames].sort())
})

for (const [index, given] of everyStrategy.entries()) {
  test(`${JSON.stringify(given)} is the same through every door`, async () => {
    const alignment = { ...rewardFor(given), ...given, return_trace: true } as AlignmentParams
    const request = {
      model: 'tiny', messages: [{ role: 'user' as const, content: 'say the' }], max_tokens: 8, seed: index, alignment
    }
    const whole = await client.chat.completions.create(request)
    const { content } = whole.choices[0]!.message
    const { alignment: chosen } = whole.choices[0]!
    assert.equal(whole.alignment!.strategy, given['strategy'])

    let streamed = ''
    let [last, usage]: [OpenAI.ChatCompletionChunk?, Usage?] = []
    const journal: Entry[] = []
    const include =
      { include_usage: true, include_journal: { alternatives: index % 3, pieces: index % 2 === 0 } } as object
    const recorded = { ...request, stream: true as const, stream_options: include }
    for await (const chunk of await client.chat.completions.create(recorded)) {
      streamed += chunk.choices[0]?.delta.content ?? ''
      journal.push(...(chunk as ChatCompletionChunk).journal ?? [])
      if (chunk.choices[0]?.finish_reason) last = chunk
      usage = (chunk.usage as unknown as Usage | null) ?? usage
    }
    assert.equal(streamed, content)
    assert.deepEqual([last!.alignment, last!.choices[0]!.alignment], [whole.alignment, chosen])
    assertTold(fold(journal), { alignment: whole.alignment!, usage: usage!, texts: [content!] })

    const events = await ask(`r${index}`, request)
    assert.equal(events.map(event => event['chunk']?.choices[0]?.delta.content ?? '').join(''), content)
    const { completion } = events.at(-1)!
    assert.deepEqual([completion.choices[0].message.content, completion.alignment, completion.choices[0].alignment],
      [content, whole.alignment, chosen])
    assert.equal(completion.usage.completion_tokens, whole.usage!.completion_tokens)

    const own = await fairlead.generate(request)
    assert.deepEqual([own.choices[0]!.message.content, own.alignment, own.choices[0]!.alignment],
      [content, whole.alignment, chosen])
  })
}
