/** The prompt thread: what it does, whose turn it is, what is dropped, what becomes of a job that it cannot do. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RequestError } from '../../../src/errors.js'
import type { ModelFacts } from '../../../src/models/model.js'
import { readablePolicy } from '../../../src/rewards/readable-policy.js'
import { Prompts } from '../../../src/serving/prompts.js'
import { PromptThread } from '../../../src/serving/prompt-thread.js'
import { closedAfter } from '../../helpers/closed-after.js'
import { tinyModel as model } from '../../helpers/tiny-model.js'
import { ToyStates } from '../../helpers/toy-states.js'

const { tokenizer } = model

const idle = new AbortController().signal
const text = (input: string): { input: string, param: string } => ({ input, param: 'prompt' })
/** Waits until what is sent to the thread now was begun and answered. */
const ask = (prompts: PromptThread, caller: string, input: string, signal = idle): Promise<number[]> =>
  prompts.run(model, 'text', text(input), { caller, signal, bytes: input.length })

test('texts become the tokens that the model’s own tokenizer makes, small ones and large ones', async t => {
  const prompts = closedAfter(t, new Prompts([model]))
  for (const input of ['the an in', '<|im_end|>', 'the '.repeat(1000)]) {
    assert.deepEqual(await prompts.run(model, 'text', text(input), { caller: '', signal: idle }),
      tokenizer.encode(input))
  }
  const tokens = Array.from({ length: 50_000 }, (_, index) => index % 264)
  assert.equal(await prompts.run(model, 'detokenize', tokens, { caller: '', signal: idle }),
    Buffer.concat(tokens.map(token => tokenizer.writtenBytes(token))).toString())
})

test('what fits read becomes the same tokens in the thread, some chats at a time', async t => {
  const facts = { ...model, operators: {}, config: {} } as unknown as ModelFacts
  const prompts = closedAfter(t, new Prompts([facts]))
  const jobs: Array<readonly [caller: string, chats: number]> = []
  const runtime = { model: facts, engine: new ToyStates(), kvBudget: { reserve: async () => ({ release () {} }) } }
  const there = readablePolicy({
    ...runtime,
    prompts: {
      run (asked, name, chats, owner) {
        jobs.push([owner.caller, chats.length])
        return prompts.run(asked, name, chats, owner)
      }
    }
  }, 'someone')
  const chats = Array.from({ length: 130 }, (_, index) =>
    ({ messages: [{ role: 'user', content: `the ${index}` }], text: 'an in '.repeat(index) }))
  assert.deepEqual(await there.tokens(chats), await readablePolicy(runtime).tokens(chats))
  assert.deepEqual(jobs, [['someone', 64], ['someone', 64], ['someone', 2]])
  // No turn of the thread takes many long ones.
  jobs.length = 0
  const long = Array.from({ length: 3 }, () => ({ messages: [], text: 'x'.repeat(2 ** 20) }))
  await assert.rejects(there.tokens(long), /examples may have 6656 bytes/)
  assert.deepEqual(jobs, [['someone', 1]])
  await assert.rejects(there.tokens([{ messages: [], text: 'x'.repeat(512 * 13 + 1) }]), /examples may have 6656 bytes/)
  await assert.rejects(there.tokens(chats, AbortSignal.abort(new Error('disconnected'))), /disconnected/)
})

test('what a caller can act on comes back as its error, also from tokens and templates', async t => {
  const prompts = closedAfter(t, new PromptThread([model]))
  const refused = (code: string, param: string) => (error: unknown): boolean =>
    error instanceof RequestError && error.code === code && error.param === param
  // The context has room for 512 tokens of 13 bytes.
  await assert.rejects(ask(prompts, '', 'x'.repeat(512 * 13 + 1)), refused('context_length_exceeded', 'prompt'))
  assert.equal((await ask(prompts, '', 'x'.repeat(512 * 13))).length, 512 * 13)
  await assert.rejects(prompts.run(model, 'detokenize', [264], { caller: '', signal: idle, bytes: 1 }),
    refused('invalid_request', 'tokens'))
  const messages = Array.from({ length: 20 }, () => ({ role: 'user' as const, content: 'x'.repeat(512) }))
  const input = { messages, addGenerationPrompt: true, continueFinalMessage: false, truncate: false }
  await assert.rejects(prompts.run(model, 'prompt', { input, maxTokens: 1 }, { caller: '', signal: idle, bytes: 1 }),
    refused('context_length_exceeded', 'messages'))
})

test('callers take turns, and what nobody waits for is not begun', async t => {
  const prompts = closedAfter(t, new PromptThread([model]))
  const done: string[] = []
  const gone = new AbortController()
  const follow = async (name: string, job: Promise<unknown>): Promise<void> => { await job; done.push(name) }
  const many = Array.from({ length: 5 }, (_, index) => follow(`many ${index}`, ask(prompts, 'many', 'the '.repeat(9))))
  const dropped = Array.from({ length: 3 }, () => ask(prompts, 'gone', 'in', gone.signal))
  const one = follow('one', ask(prompts, 'one', 'the'))
  // The first was begun.
  assert.equal(prompts.waiting, 8)
  gone.abort(new Error('disconnected'))
  assert.equal(prompts.waiting, 5)
  for (const job of dropped) await assert.rejects(job, /disconnected/)
  await Promise.all([...many, one])
  assert.deepEqual(done, ['many 0', 'one', 'many 1', 'many 2', 'many 3', 'many 4'])
  assert.throws(() => { ask(prompts, 'gone', 'in', gone.signal).catch(() => {}) }, /disconnected/)
})

test('a job that takes too long fails alone, one that breaks too; closing fails what waits', async t => {
  const hasty = closedAfter(t, new PromptThread([model], { jobTimeoutMs: 1 }))
  const refused = (code: string) => (error: unknown): boolean => error instanceof RequestError && error.code === code
  await assert.rejects(ask(hasty, '', 'the'), refused('invalid_request'))
  await assert.rejects(ask(hasty, '', 'in'), refused('invalid_request'))
  const prompts = closedAfter(t, new PromptThread([model]))
  await assert.rejects(prompts.run(model, 'text', null as never, { caller: '', signal: idle, bytes: 1 }), /TypeError/)
  assert.deepEqual(await ask(prompts, '', 'the'), tokenizer.encode('the'))
  const waiting = [ask(prompts, '', 'in'), ask(prompts, '', 'in')]
  const failed = Promise.all(waiting.map(job => assert.rejects(job, refused('unavailable'))))
  await prompts.close()
  await failed
})
