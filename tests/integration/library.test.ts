/** `import { Fairlead } from 'fairlead'` on a tiny model: what the server answers, without a server. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { Fairlead, RequestError, type ChatCompletionChunk, type GenerateParams } from 'fairlead'
import type OpenAI from 'openai'
import { tinyServer, type TinyServer } from '../helpers/tiny-server.js'
import { writeTinyGguf } from '../helpers/tiny-gguf.js'

const folder = mkdtempSync(join(tmpdir(), 'fairlead-library-'))
const model = join(folder, 'tiny.gguf')
writeTinyGguf(model)

let fairlead: Fairlead
let server: TinyServer
const said: string[] = []
before(async () => {
  writeFileSync(join(folder, 'settings.yaml'),
    'profiles: {short-2: {alignment: {strategy: best_of_n, num_candidates: 2, rewards: [{name: length, weight: -1}]}}}')
  fairlead = await Fairlead.start({
    model,
    cacheDir: folder,
    dataDir: join(folder, 'data'),
    maxSequences: 64,
    config: join(folder, 'settings.yaml'),
    onProgress: message => { said.push(message) }
  })
  server = await tinyServer()
})
after(async () => {
  await fairlead.close()
  await server.close()
  rmSync(folder, { recursive: true })
})

const messages = [{ role: 'user', content: 'say the' }] as const
const plain = { messages, max_tokens: 12, seed: 5 } satisfies GenerateParams
const guided = {
  ...plain,
  alignment: {
    strategy: 'beam_search',
    num_beams: 2,
    num_children: 2,
    step: { tokens: 4 },
    reward: 'length',
    return_candidates: true
  }
} satisfies GenerateParams

test('it knows its model and rewards, and told what it did', () => {
  assert.equal(fairlead.model.id, 'tiny')
  assert.ok(fairlead.rewards.some(({ name }) => name === 'length'))
  assert.ok(said.length > 0)
})

test('generate gives what the server answers, to the last field', async () => {
  for (const params of [plain, guided]) {
    const { json } = await server.post('/v1/chat/completions', { model: 'tiny', ...params })
    const { id, created } = json as { id: string, created: number }
    assert.deepEqual({ ...await fairlead.generate(params), id, created }, json)
  }
})

test('an answer can be used where OpenAI’s type is asked for', async () => {
  const completion: OpenAI.ChatCompletion = await fairlead.generate({ ...plain, logprobs: true })
  assert.equal(completion.choices[0]!.logprobs!.content!.length, 12)
})

test('stream gives the same text in pieces, and what guidance did on the last', async () => {
  const whole = await fairlead.generate(guided)
  const chunks: ChatCompletionChunk[] = []
  for await (const chunk of fairlead.stream({ ...guided, stream_options: { include_usage: true } })) chunks.push(chunk)
  assert.equal(chunks.map(chunk => chunk.choices[0]?.delta.content ?? '').join(''), whole.choices[0]!.message.content)
  const last = chunks.find(chunk => chunk.choices[0]?.finish_reason)!
  assert.deepEqual(last.alignment, whole.alignment)
  assert.deepEqual(last.choices[0]!.alignment, whole.choices[0]!.alignment)
  assert.equal(chunks.at(-1)!.usage!.completion_tokens, whole.usage.completion_tokens)
})

test('score gives what the server answers', async () => {
  const params = {
    reward: 'length', every: 2, input: [{ prompt: 'a', answer: 'the bad the' }, { prompt: 'a', answer: 'the' }]
  }
  const { json } = await server.post('/v1/rewards/score', params)
  assert.deepEqual(await fairlead.score(params), json)
})

test('a reward is fitted, can be used at once and by the next that starts, and is deleted', async () => {
  const examples = Array.from({ length: 30 },
    (_, index) => ({ prompt: `say ${index}`, chosen: `zzz ${index}`, rejected: `aaa ${index}` }))
  const phases = new Set<string>()
  const reward = await fairlead.fit({ name: 'zeal', examples, layers: [1], q_head: true },
    { onProgress: ({ phase }) => { phases.add(phase) } })
  assert.deepEqual([reward.name, reward.kind, reward.members, [...phases]],
    ['zeal', 'head', ['outcome', 'prefix', 'next_token'], ['queued', 'features', 'pool', 'fit', 'next_token']])
  assert.ok(fairlead.rewards.some(({ name }) => name === 'zeal'))
  const { data } = await fairlead.score({
    reward: 'zeal', input: [{ prompt: 'say 3', answer: 'zzz 3' }, { prompt: 'say 3', answer: 'aaa 3' }]
  })
  assert.ok(data[0]!.reward > data[1]!.reward)
  const later = await Fairlead.start({ model, cacheDir: folder, dataDir: join(folder, 'data') })
  assert.equal((await later.generate({ ...plain, alignment: { reward: 'zeal' } })).alignment!.rewards_used[0]!.version,
    reward.version)
  await later.close()
  await fairlead.deleteReward('zeal')
  assert.ok(!fairlead.rewards.some(({ name }) => name === 'zeal'))
  await assert.rejects(fairlead.fit({ name: 'zeal', examples: examples.slice(0, 3) }), /at least 20 examples; got 3/)
})

test('profiles of the settings file are models', async () => {
  const { model: name, alignment } = await fairlead.generate({ ...plain, model: 'tiny:short-2' })
  assert.equal(name, 'tiny:short-2')
  assert.equal(alignment!.resolved['num_candidates'], 2)
})

test('more requests than run at a time wait', async () => {
  const answers =
    await Promise.all(Array.from({ length: 300 }, (_, seed) => fairlead.generate({ ...plain, max_tokens: 2, seed })))
  assert.ok(answers.every(({ choices }) => choices.length === 1))
})

test('a signal ends the work, and so does leaving a stream', async () => {
  const long = { messages, max_tokens: 400, ignore_eos: true } satisfies GenerateParams
  const controller = new AbortController()
  const reason = new Error('enough')
  const left = fairlead.generate(long, { signal: controller.signal })
  controller.abort(reason)
  await assert.rejects(left, reason)
  for await (const chunk of fairlead.stream(long)) if (chunk.choices[0]?.delta.content) break
  await fairlead.generate(plain)
})

/** [what is asked for, what the message says] */
const refused: ReadonlyArray<readonly [object, RegExp]> = [
  [{ temperature: 3 }, /temperature must be a number from 0 to 2; got 3/],
  [{ stream: true }, /stream cannot be given: call stream\(\) or generate\(\)/],
  [{ temprature: 1 }, /temprature is not a field; got 1/],
  [{ model: 'other' }, /The model "other" does not exist/],
  [{ alignment: { reward: 'nope' } }, /reward "nope" does not exist/]
]
for (const [fields, message] of refused) {
  test(`${JSON.stringify(fields)} is refused`, async () => {
    await assert.rejects(fairlead.generate({ ...plain, ...fields }), (error: unknown) =>
      error instanceof RequestError && message.test(error.message))
  })
}

test('settings that cannot be used are refused by name', async () => {
  await assert.rejects(Fairlead.start({ threads: 0 }), /threads must be an integer from 1 to 256; got 0/)
  await assert.rejects(Fairlead.start({ port: 1 } as object), /port is not a setting/)
  await assert.rejects(Fairlead.start({ thread: 1 } as object), /thread is not a setting; did you mean threads\?/)
  await assert.rejects(Fairlead.start({ model: join(folder, 'nothing.gguf') }), RequestError)
})

test('closing twice is closing once, and what is asked afterwards is refused', async () => {
  const other = await Fairlead.start({ model, cacheDir: folder, dataDir: join(folder, 'data') })
  await Promise.all([other.close(), other.close()])
  await assert.rejects(other.generate(plain), RequestError)
})
