/** Several callers of one server: what one sends neither delays another nor changes its tokens, and is bounded. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { tinyServer, type TinyServer } from '../helpers/tiny-server.js'

const keys = { many: 'many-key-0123456789', one: 'one-key-01234567890' }
const as = (caller: keyof typeof keys): Record<string, string> => ({ authorization: `Bearer ${keys[caller]}` })

let server: TinyServer
before(async () => {
  server = await tinyServer({
    apiKeys: Object.values(keys).join(),
    // 2,048 tokens: four of the prompts below at a time.
    kvCacheBytes: String(1 << 20),
    maxPromptTokensPerRequest: '40000',
    maxPendingRequestBytes: String(2 << 20),
    bodyLimitBytes: String(4 << 20)
  })
})
after(() => server.close())

const plain = { model: 'tiny', messages: [{ role: 'user', content: 'the an in' }], max_tokens: 8, seed: 3 }
const prompts = (count: number, tokens: number): number[][] =>
  Array.from({ length: count }, (_, index) => Array.from({ length: tokens }, (_, at) => 3 + (index * 7 + at) % 250))
const ofMany = { model: 'tiny', prompt: prompts(64, 300), max_tokens: 200, seed: 5, ignore_eos: true }

test('a plain chat is answered while somebody’s prompts are read, and both get the tokens they get alone', async () => {
  const text = ({ json }: { json: Record<string, any> }): unknown => json['choices'].map((choice: any) =>
    choice.message?.content ?? choice.text)
  const alone = text(await server.post('/v1/chat/completions', plain, as('one')))
  const first = text(await server.post('/v1/completions', { ...ofMany, prompt: ofMany.prompt[0] }, as('many')))
  let isDone = false
  const busy = server.post('/v1/completions', ofMany, as('many')).then(answer => { isDone = true; return answer })
  for (let asked = 0; asked < 3; asked++) {
    assert.deepEqual(text(await server.post('/v1/chat/completions', plain, as('one'))), alone)
    assert.equal((await server.post('/tokenize', { prompt: 'the' }, as('one'))).status, 200)
  }
  assert.equal(isDone, false)
  assert.deepEqual([(text(await busy) as string[])[0]], first)
})

test('prompt tokens of a request have a ceiling, however they are spread over its prompts', async () => {
  for (const [path, field, param] of [['/v1/completions', 'prompt', 'prompt'], ['/v1/embeddings', 'input', 'input']]) {
    const rest = field === 'prompt' ? { max_tokens: 1 } : {}
    const ask = (count: number): Promise<{ status: number, json: Record<string, any> }> =>
      server.post(path!, { model: 'tiny', [field!]: prompts(count, 400), ...rest }, as('many'))
    const { status, json: { error } } = await ask(101)
    assert.deepEqual([status, error.code, error.param], [400, 'budget_exceeded', param])
    assert.match(error.message, /40000 prompt tokens \(max-prompt-tokens-per-request\)/)
    assert.equal((await ask(4)).status, 200)
  }
})

test('text that the context has no room for is refused by its bytes', async () => {
  const content = 'a'.repeat(512 * 13 + 1)
  const bodies = {
    '/tokenize': [{ prompt: content }, 'prompt'],
    '/v1/embeddings': [{ model: 'tiny', input: ['a', content] }, 'input[1]'],
    '/v1/chat/completions': [{ ...plain, messages: [{ role: 'user', content }] }, 'messages'],
    '/v1/completions': [{ model: 'tiny', prompt: content }, 'prompt'],
    '/v1/rewards/score': [
      { model: 'tiny', reward: 'length', input: [{ prompt: 'a', answer: content }] }, 'input[0]'],
    '/v1/responses': [{ model: 'tiny', input: content, truncation: 'auto' }, 'messages']
  } as const
  for (const [path, [body, param]] of Object.entries(bodies)) {
    const { status, json: { error } } = await server.post(path, body, as('many'))
    assert.deepEqual([status, error?.code, error?.param], [400, 'context_length_exceeded', param], path)
    assert.match(error.message, /6656 bytes of text/)
  }
})

test('requests that run hold bounded bytes for one caller; another’s are let in', async () => {
  // The quarter is 512 KB: a third of it is taken by these, each of the others takes more than 1 KB.
  const busy = server.post('/v1/completions', ofMany, as('many'))
  const long = { ...plain, prediction: { type: 'content', content: 'x'.repeat(1000) } }
  const refused = await Promise.all(Array.from({ length: 400 }, () =>
    server.post('/v1/chat/completions', long, as('many'))))
  const codes = new Set(refused.filter(({ status }) => status !== 200).map(({ json }) => json['error'].code))
  assert.deepEqual([...codes], ['rate_limit_exceeded'])
  assert.equal((await server.post('/v1/chat/completions', plain, as('one'))).status, 200)
  assert.equal((await busy).status, 200)
})
