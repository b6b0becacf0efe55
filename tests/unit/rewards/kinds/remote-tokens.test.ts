/** Remote rewards that are sent the tokens of their own model: chats, steps, logits; and what is sent again. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test, type TestContext } from 'node:test'
import { openTexts } from '../../../../src/models/formats/checkpoint.js'
import { encodeChat } from '../../../../src/models/tokenizer/chat-template.js'
import { unreadAnswer } from '../../../../src/policies/local/answers.js'
import { parseRewardFamily } from '../../../../src/rewards/descriptor.js'
import { resolveScorer, type ResolvedScorer } from '../../../../src/rewards/resolve-scorer.js'
import type { Score } from '../../../../src/rewards/scorer.js'
import { fakeScorer, type FakeScorer } from '../../../helpers/fake-scorer.js'
import { oneAnswer } from '../../../helpers/resolve-alone.js'
import { tinyTokenizerJson } from '../../../helpers/tiny-checkpoint.js'
import { chatTemplate } from '../../../helpers/tiny-vocabulary.js'
import { toyPolicy } from '../../../helpers/toy-states.js'

const folder = mkdtempSync(join(tmpdir(), 'fairlead-remote-tokens-'))
after(() => { rmSync(folder, { recursive: true }) })
writeFileSync(join(folder, 'tokenizer.json'), JSON.stringify(tinyTokenizerJson))
writeFileSync(join(folder, 'tokenizer_config.json'),
  JSON.stringify({ bos_token: '<|im_start|>', eos_token: '<|im_end|>', chat_template: chatTemplate }))
const texts = await openTexts(folder)

const messages = [{ role: 'user', content: 'Name an animal.' }]
const prompt = { messages, text: '', tokens: [9] }
const statistics = { normalization: { mean: 0, std: 1, pool: 'p' } }

/** Tokens of the conversation with an answer. */
const chat = (answer: string, isOpen = false): number[] =>
  encodeChat(texts.chatTemplate, texts.tokenizer, [...messages, { role: 'assistant', content: answer }],
    { addGenerationPrompt: false, continueFinalMessage: isOpen }).tokens

/** A reward on a server, as a request opens it. */
async function open (
  server: FakeScorer, fields: object, { member = 'outcome' as 'outcome' | 'prefix', salt = '' } = {}
): Promise<ResolvedScorer> {
  const family = parseRewardFamily(JSON.stringify({
    name: 'far', description: 'x', kind: 'remote', url: `${server.origin}/x`, members: { [member]: statistics }, ...fields
  }), join(folder, 'far.json'), { origins: [server.origin], secret: () => null })
  // The file's folder is the tokenizer's.
  await family.source.load?.(null as never)
  return resolveScorer([family], { rewards: [{ name: 'far', weight: 1 }], member, scale: 'raw' }, toyPolicy(),
    { ...oneAnswer, salt })
}

const score = ({ scorer }: ResolvedScorer, answers: readonly string[], final = true): Promise<Score[]> =>
  scorer.score(prompt, answers.map(text => unreadAnswer({ text, tokens: [3], final })))
const values = async (...args: Parameters<typeof score>): Promise<number[]> =>
  (await score(...args)).map(({ value }) => value)

async function serve (t: TestContext, answer: Parameters<typeof fakeScorer>[0]): Promise<FakeScorer> {
  const server = await fakeScorer(answer)
  t.after(() => server.close())
  return server
}

/** A classifier of two labels whose logits are (length, 0); with activation as probabilities. */
const classes = ({ input, use_activation: activation = true }: Record<string, any>): object => ({
  data: (input as number[][]).map(({ length }, index) => {
    const odds = 1 / (1 + Math.exp(-length / 8))
    return { index, probs: activation === true ? [odds, 1 - odds] : [length / 8, 0], num_classes: 2 }
  })
})

test('a conversation is sent as tokens of the server’s own template, closed or open, and no text is a control token',
  async t => {
    const server = await serve(t, ({ input }) =>
      ({ data: (input as number[][]).map((tokens, index) => ({ index, data: [tokens.length] })) }))
    const fields = { protocol: 'pooling', tokenizer: '.' }
    const answers = ['cat', 'a dog<|im_end|>']
    assert.deepEqual(await values(await open(server, fields), answers), answers.map(answer => chat(answer).length))
    const prefix = await open(server, fields, { member: 'prefix' })
    await score(prefix, answers, false)
    await score(prefix, answers, true)
    assert.deepEqual(server.asked.map(({ input }) => input),
      [answers.map(answer => chat(answer)), answers.map(answer => chat(answer, true)),
        answers.map(answer => chat(answer))])
    assert.equal(chat('a dog<|im_end|>').filter(token => token === 2).length, 2)
  })

test('a template of the descriptor takes the place of the tokenizer’s', async t => {
  const server = await serve(t, ({ input }) => ({ data: (input as unknown[]).map(() => ({ data: [1] })) }))
  await score(await open(server, { protocol: 'pooling', tokenizer: '.', template: '{{ messages[1].content }}' }), ['ab'])
  assert.deepEqual(server.asked[0]!['input'], [texts.tokenizer.encode('ab')])
})

test('without activation the score is the log-odds of the label, or its number where classes are independent',
  async t => {
    const server = await serve(t, classes)
    const fields = { protocol: 'classify', tokenizer: '.', useActivation: false }
    const [length] = [chat('cat').length / 8]
    const close = async (more: object, want: number): Promise<void> => {
      const [value] = await values(await open(server, { ...fields, ...more }), ['cat'])
      assert.ok(Math.abs(value! - want) < 1e-5, `${value} is not ${want}`)
    }
    await close({}, length!)
    await close({ label: 1 }, -length!)
    await close({ label: 1, classes: 'independent' }, 0)
    await close({ useActivation: true }, 1 / (1 + Math.exp(-length!)))
    // Whether the server heeds the field is asked once a reward.
    assert.deepEqual(server.asked.map(({ use_activation: asked }) => asked),
      [false, true, false, true, false, true, true])
  })

test('a server that ignores use_activation is found out', async t => {
  const server = await serve(t, ({ input }) => classes({ input }))
  const reward = await open(server, { protocol: 'classify', tokenizer: '.', useActivation: false })
  await assert.rejects(values(reward, ['cat']), /the remote scorer ignores use_activation/)
})

const steps = { separator: '\n', layout: 'answer', marker: '<|endoftext|>' }

test('a process reward model scores every step in one request, once', async t => {
  const server = await serve(t, ({ input }) =>
    ({ data: (input as number[][]).map((tokens, index) => ({ index, data: tokens.map((_, at) => [at / 16, 0]) })) }))
  const reward = await open(server, { protocol: 'token_classify', tokenizer: '.', steps: { ...steps, label: 0 } })
  const [first] = await score(reward, ['one\ntwo'])
  const [tokens] = server.asked[0]!['input'] as number[][]
  const markers = tokens!.flatMap((token, at) => token === 0 ? [at] : [])
  assert.equal(markers.length, 2)
  const want = markers.map(at => 1 / (1 + Math.exp(-at / 16)))
  const found = first!.rewards['far']!.steps!
  for (const [index, value] of found.entries()) assert.ok(Math.abs(value - want[index]!) < 1e-6)
  assert.equal(first!.value, Math.min(...found))
  const { task, use_activation: activation } = server.asked[0]!
  assert.deepEqual([task, activation], ['token_classify', false])
  await score(reward, ['one\ntwo'])
  assert.equal(server.asked.length, 1)
  const [empty] = await score(reward, ['\n'])
  assert.equal(empty!.value, 0)
})

test('a server that returns rows of something else than all tokens fails', async t => {
  const server = await serve(t, () => ({ data: [{ index: 0, data: [[1, 0]] }] }))
  await assert.rejects(score(await open(server, { protocol: 'token_classify', tokenizer: '.', steps }), ['one']),
    /must return a row for each of the \d+ tokens; got 1/)
})

test('a language model is asked for its verdicts, one token a step', async t => {
  const server = await serve(t, ({ prompt: prompts, logprob_token_ids: [good, bad] }) => ({
    choices: (prompts as number[][]).map((_, index) => ({
      index,
      logprobs: { top_logprobs: [{ [`token_id:${good}`]: Math.log(0.3) - index, [`token_id:${bad}`]: Math.log(0.1) }] }
    }))
  }))
  const reward = await open(server, {
    protocol: 'completions', tokenizer: '.', aggregation: 'prod', steps: { ...steps, verdicts: { good: '+', bad: '-' } }
  })
  const [{ rewards, value }] = await score(reward, ['one\ntwo']) as [Score]
  const want = [0.75, 3 / (3 + Math.E)]
  for (const [index, one] of rewards['far']!.steps!.entries()) assert.ok(Math.abs(one - want[index]!) < 1e-9)
  assert.ok(Math.abs(value - want[0]! * want[1]!) < 1e-9)
  const { max_tokens: most, logprob_token_ids: verdicts, prompt: prompts } = server.asked[0]!
  assert.deepEqual([most, verdicts], [1, ['+', '-'].map(text => texts.tokenizer.encode(text)[0])])
  const [short, long] = prompts as number[][]
  assert.deepEqual(long!.slice(0, short!.length), short)
})

test('equal salts and sessions go with each request; vLLM takes neither long salts nor all characters', async t => {
  const sessions: unknown[] = []
  const server = await serve(t, (body, _response, request) => {
    sessions.push(request.headers['x-session-id'])
    return classes(body)
  })
  const reward = await open(server, { protocol: 'classify' }, { salt: `key/@:${'x'.repeat(300)}` })
  await score(reward, ['cat'])
  await score(reward, ['dog'])
  await score(await open(server, { protocol: 'classify' }), ['cat'])
  const salts = server.asked.map(({ cache_salt: salt }) => salt)
  assert.match(salts[0], /^[\w-]{43}$/)
  assert.deepEqual(salts, [salts[0], salts[0], undefined])
  assert.equal(new Set(sessions).size, 2)
  assert.equal(sessions[0], sessions[1])
})

test('what was busy or away is asked again', async t => {
  const troubles: Array<(response: ServerResponse) => object | string> = [
    response => { response.writeHead(503, { 'retry-after': '0' }); return 'busy' },
    response => { response.statusCode = 500; return '{"error":{"message":"EngineCore encountered an issue"}}' },
    response => { response.socket!.destroy(); return '' }
  ]
  const server = await serve(t, (body, response) => troubles.shift()?.(response) ?? classes(body))
  assert.equal((await values(await open(server, { protocol: 'classify' }), ['a'])).length, 1)
  assert.equal(server.asked.length, 4)
})

test('what stays busy fails, within the time there is', async t => {
  const server = await serve(t, (_body, response) => { response.statusCode = 429; return 'busy' })
  await assert.rejects(score(await open(server, { protocol: 'classify' }), ['a']), /returned status 429/)
  assert.equal(server.asked.length, 4)
  const patient = await serve(t, (_body, response) => { response.writeHead(503, { 'retry-after': '60' }); return '' })
  await assert.rejects(score(await open(patient, { protocol: 'classify', timeoutMs: 50 }), ['a']),
    /did not respond within 50 ms; before that it returned status 503/)
})

test('a conversation that is too long says so', async t => {
  const server = await serve(t, (_body, response) => {
    response.statusCode = 400
    return '{"error":{"message":"…","param":"input_tokens","code":400}}'
  })
  await assert.rejects(score(await open(server, { protocol: 'classify' }), ['a']), /longer than its model's context/)
})

test('fields that do not go together are refused by name', async t => {
  const server = await serve(t, () => ({}))
  const refused = (fields: object, message: RegExp): Promise<void> => assert.rejects(open(server, fields), message)
  await refused({ protocol: 'score', tokenizer: '.' }, /tokenizer is only valid with the protocol classify or/)
  await refused({ protocol: 'classify', steps: 'qwen' }, /steps is only valid with .*token_classify or completions/)
  await refused({ protocol: 'classify', classes: 'independent' }, /classes requires useActivation false/)
  await refused({ protocol: 'classify', template: 'x' }, /template requires tokenizer/)
  await refused({ protocol: 'token_classify', steps: 'qwen' }, /tokenizer is required with the protocol token_classify/)
  await refused({ protocol: 'token_classify', tokenizer: '.' }, /steps is required/)
  await refused({ protocol: 'token_classify', tokenizer: '.', steps: 'rlhflow' }, /steps must have verdicts/)
  await refused({ protocol: 'completions', tokenizer: '.', steps: 'qwen' }, /steps must have verdicts/)
  await refused({ protocol: 'token_classify', tokenizer: '.', steps, useActivation: false }, /useActivation is only/)
  await refused({ protocol: 'classify', tokenizer: './nowhere' }, /nowhere/)
})
