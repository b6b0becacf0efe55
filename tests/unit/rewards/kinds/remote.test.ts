import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { test, type TestContext } from 'node:test'
import { RequestError } from '../../../../src/errors.js'
import { parseRewardFamily } from '../../../../src/rewards/descriptor.js'
import { parseOrigins, type Remotes } from '../../../../src/rewards/kinds/remote.js'
import { resolveScorer, type ResolvedScorer } from '../../../../src/rewards/resolve-scorer.js'
import { fakeScorer, type FakeScorer } from '../../../helpers/fake-scorer.js'
import { oneAnswer, resolveAlone } from '../../../helpers/resolve-alone.js'
import { toyAnswer, toyPolicy } from '../../../helpers/toy-states.js'

const prompt = { messages: [{ role: 'user', content: 'Name an animal.' }], text: '', tokens: [9] }
const descriptor = {
  name: 'far',
  description: 'x',
  kind: 'remote',
  protocol: 'score',
  members: { outcome: { normalization: { mean: 1, std: 2, pool: 'p' } } }
}

const remotes = (
  origins: readonly string[]
): Remotes => ({ origins, secret: variable => variable === 'FAR_KEY' ? 'sesame' : null })

function remote (origin: string, fields: object): ResolvedScorer {
  const family = parseRewardFamily(JSON.stringify({ ...descriptor, url: `${origin}/score`, ...fields }), 'far.json',
    remotes([origin]))
  return resolveAlone([family], { rewards: [{ name: 'far', weight: 1 }], member: 'outcome', scale: 'standardized' },
    toyPolicy())
}

/** A server that is closed with the test. */
async function serve (t: TestContext, answer: Parameters<typeof fakeScorer>[0]): Promise<FakeScorer> {
  const server = await fakeScorer(answer)
  t.after(() => server.close())
  return server
}

const scoreTexts = async ({ scorer }: ResolvedScorer, texts: readonly string[]): Promise<number[]> =>
  (await scorer.score(prompt, await Promise.all(texts.map(text => toyAnswer([1], { text }))))).map(({ value }) => value)

/** What a score server says: the lengths of the texts, told last first. */
const lengths = ({ text_2: texts }: Record<string, any>): object =>
  ({
    object: 'list',
    data: (texts as string[]).map((text, index) => ({ index, object: 'score', score: text.length })).reverse()
  })

test('score sends pairs of prompt and answer, and takes the scores by their index', async t => {
  const server = await serve(t, lengths)
  assert.deepEqual(await scoreTexts(remote(server.origin, { model: 'rm' }), ['cat', 'mouse']), [1, 2])
  assert.deepEqual(server.asked,
    [{ model: 'rm', text_1: ['Name an animal.', 'Name an animal.'], text_2: ['cat', 'mouse'] }])
})

test('classify takes the probability of one class', async t => {
  const server = await serve(t, ({ input }) => ({
    data: (input as string[]).map((_text, index) => ({ index, label: 'x', probs: [0.25, 0.75], num_classes: 2 }))
  }))
  assert.deepEqual(await scoreTexts(remote(server.origin, { protocol: 'classify', label: 1 }), ['cat', 'dog']),
    [-0.125, -0.125])
  assert.deepEqual(server.asked, [{ input: ['cat', 'dog'] }])
})

test('pooling sends one conversation a request', async t => {
  const server = await serve(t,
    ({ messages }) => ({ data: [{ index: 0, object: 'pooling', data: [messages.at(-1).content.length] }] }))
  assert.deepEqual(await scoreTexts(remote(server.origin, { protocol: 'pooling' }), ['cat', 'mouse']), [1, 2])
  assert.deepEqual(server.asked.map(({ messages }) => messages), [[...prompt.messages,
    { role: 'assistant', content: 'cat' }], [...prompt.messages, { role: 'assistant', content: 'mouse' }]])
})

test('what is asked in one turn travels together, 64 texts a request at most', async t => {
  const server = await serve(t, lengths)
  const resolved = remote(server.origin, {})
  const texts = Array.from({ length: 70 }, (_, index) => 'x'.repeat(index + 1))
  const values = await Promise.all(texts.map(text => scoreTexts(resolved, [text])))
  assert.deepEqual(values.flat(), texts.map(text => (text.length - 1) / 2))
  assert.deepEqual(server.asked.map(({ text_2: sent }) => sent.length), [64, 6])
})

/** [what the server does, its answer, fields of the descriptor, what the error says] */
const faults: ReadonlyArray<readonly [string, Parameters<typeof fakeScorer>[0], object, RegExp]> = [
  ['answers with another number of scores', () => ({ data: [] }), {},
    /reward "far": the remote scorer .*data, a list of 1; got \[\]/],
  ['answers with something else', () => ({ scores: [1] }), {}, /data, a list of 1; got nothing/],
  ['answers with NaN', () => '{"data":[{"index":0,"score":NaN}]}', {}, /JSON; got/],
  ['answers with null', () => ({ data: [{ index: 0, score: null }] }), {},
    /one finite number .*null .*0/],
  ['answers with a number beyond all numbers', () => '{"data":[{"index":0,"score":1e999}]}', {},
    /one finite number .*; got null/],
  ['answers with a text', () => ({ data: [{ index: 0, score: '1' }] }), {}, /one finite number .*; got "1"/],
  ['numbers its scores wrongly', () => ({ data: [{ index: 1, score: 1 }] }), {},
    /0 to 0 .*; got 1/],
  ['has no such class', () => ({ data: [{ index: 0, probs: [1] }] }), { protocol: 'classify', label: 3 },
    /one finite number .*; got nothing/],
  ['gives a number a token', () => ({ data: [{ index: 0, data: [1, 2] }] }), { protocol: 'pooling' },
    /one finite number .*; got \[1,2\]/],
  ['is not well', (_body, response: ServerResponse) => { response.statusCode = 500; return 'traceback' }, {},
    /status 500/],
  ['sends elsewhere',
    (_body, response: ServerResponse) => { response.writeHead(307, { location: 'http://127.0.0.1:1/' }); return '' },
    {}, /unreachable/],
  ['is slow', () => undefined, { timeoutMs: 50 }, /within 50 ms/],
  ['stops half way', (_body, response: ServerResponse) => { response.write('{"data":['); return undefined },
    { timeoutMs: 50 }, /within 50 ms/],
  ['hangs up', (_body, _response, request) => { request.socket.destroy(); return undefined }, {}, /unreachable/],
  ['floods', (_body, response: ServerResponse) => { response.write(Buffer.alloc(9 << 20, 32)); return undefined }, {},
    /more than 8388608 bytes/]
]

for (const [what, answer, fields, message] of faults) {
  test(`a server that ${what} fails the request, or counts as average and warns`, async t => {
    const server = await serve(t, answer)
    await assert.rejects(scoreTexts(remote(server.origin, fields), ['cat']), (error: unknown) => {
      assert.ok(error instanceof RequestError)
      assert.equal(error.code, 'scorer_failed')
      assert.match(error.message, message)
      assert.ok(!error.message.includes(server.origin), 'the address is the operator’s business')
      return true
    })
    const lenient = remote(server.origin, { ...fields, onFailure: 'policy_only' })
    assert.deepEqual(await scoreTexts(lenient, ['cat']), [0])
    assert.deepEqual(lenient.warnings.map(({ code }) => code), ['reward_unavailable'])
    assert.match(lenient.warnings[0]!.message, /; 1 of 1 answers/)
  })
}

test('a server that is not there fails the request', async t => {
  const server = await serve(t, lengths)
  await server.close()
  await assert.rejects(scoreTexts(remote(server.origin, {}), ['cat']),
    /the remote scorer .*\(connect ECONNREFUSED/)
})

test('a request that ends hangs up, whatever the descriptor does about failures', async t => {
  const leaving = new AbortController()
  const reason = new Error('the caller left')
  let closed = Promise.resolve()
  const server = await serve(t, (_body, response) => {
    closed = new Promise(resolve => { response.once('close', resolve) })
    leaving.abort(reason)
    return undefined
  })
  const family =
    parseRewardFamily(JSON.stringify({ ...descriptor, url: `${server.origin}/score`, onFailure: 'policy_only' }),
      'far.json', remotes([server.origin]))
  const resolved = resolveScorer([family],
    { rewards: [{ name: 'far', weight: 1 }], member: 'outcome', scale: 'standardized' }, toyPolicy(),
    { ...oneAnswer, signal: leaving.signal })
  await assert.rejects(scoreTexts(resolved, ['cat']), reason)
  await closed
  await assert.rejects(scoreTexts(resolved, ['dog']), reason)
  assert.equal(server.asked.length, 1)
  assert.deepEqual(resolved.warnings, [])
})

test('a key from the environment is sent as a bearer token, and must be there', async t => {
  const headers: unknown[] = []
  const server = await serve(t, (body, _response, request) => {
    headers.push(request.headers.authorization)
    return lengths(body)
  })
  await scoreTexts(remote(server.origin, { apiKeyEnv: 'FAR_KEY' }), ['cat'])
  await scoreTexts(remote(server.origin, {}), ['cat'])
  assert.deepEqual(headers, ['Bearer sesame', undefined])
  assert.throws(() => remote(server.origin, { apiKeyEnv: 'NO_SUCH_KEY' }),
    /reward far\.json: apiKeyEnv must name an environment variable that is set; got "NO_SUCH_KEY"/)
})

test('only origins that the operator allows are asked', () => {
  const parse = (url: string, allowed: readonly string[]) =>
    parseRewardFamily(JSON.stringify({ ...descriptor, url }), 'far.json', remotes(allowed))
  assert.throws(() => parse('http://a:1/score', []),
    /reward far\.json: url .*remote-scorers.*; got "http:\/\/a:1\/score"/)
  assert.throws(() => parse('http://a:1.evil.example/score', ['http://a:1']), /url .*origin/)
  assert.throws(() => parse('https://a:1/score', ['http://a:1']), /url .*origin/)
  assert.throws(() => parse('a', ['http://a:1']), /url .*origin/)
  assert.deepEqual(parse('http://a:1/score', ['http://a:1']).members, ['outcome'])
  assert.throws(() => parseRewardFamily(JSON.stringify({ ...descriptor, url: 'http://a:1/', label: 1 }), 'far.json',
    remotes(['http://a:1'])), /label .*classify or pooling; got 1/)
})

test('the setting takes origins and nothing else', () => {
  assert.deepEqual(parseOrigins([]), [])
  assert.deepEqual(parseOrigins(['http://127.0.0.1:8001', 'https://rm.example.com/']),
    ['http://127.0.0.1:8001', 'https://rm.example.com'])
  for (const bad of ['127.0.0.1:8001', 'http://a/score', 'file:///etc', 'http://user@a', '*']) {
    assert.throws(() => parseOrigins([bad]), /remote-scorers .*; got /)
  }
})

test('addresses that hold a secret are refused, and no error says one', async t => {
  const refused = (fields: object, { param }: { param: RegExp }, allowed: readonly string[] = ['http://a:1']): void => {
    assert.throws(() => parseRewardFamily(JSON.stringify({ ...descriptor, ...fields }), 'far.json',
      { origins: allowed, secret: variable => variable === 'ODD' ? 'ses\name' : null }),
    ({ message }: RequestError) => param.test(message) && !/sesame|hunter/.test(message))
  }
  for (const url of ['http://user:hunter2@a:1/score', 'http://hunter2@a:1/score', 'http://a:1/score?api_key=hunter2',
    'http://a:1/x?access_token=hunter2', 'http://user:hunter2@elsewhere:1/x', 'http://b:1/?hunter2',
    'hunter2@nowhere']) {
    refused({ url }, { param: /url must/ })
  }
  refused({ url: `http://user:hunter2@a:1/${'x'.repeat(2000)}` }, { param: /\/url/ })
  for (const apiKeyEnv of ['hunter2', 'sk-hunter2', 'ODD']) {
    refused({ url: 'http://a:1/s', apiKeyEnv }, { param: /apiKeyEnv/ })
  }
  assert.throws(() => parseOrigins(['http://user:hunter2@a:1']), error => !/hunter2/.test((error as Error).message))
  const server = await serve(t, () => 'no: sesame is no key of ours' as unknown as object)
  await assert.rejects(scoreTexts(remote(server.origin, { apiKeyEnv: 'FAR_KEY' }), ['cat']),
    error => !/sesame/.test((error as Error).message))
})
