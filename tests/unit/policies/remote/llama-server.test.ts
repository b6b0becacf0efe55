/** llama.cpp's server: what its streams keep back is put in, with the tokens and logprobs that it drew. */
import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { connectEngine } from '../../../../src/policies/remote/connect.js'
import type { EngineCall, EngineToken } from '../../../../src/policies/remote/engine-call.js'
import { llamaServer } from '../../../../src/policies/remote/protocols/llama-server.js'
import { Replica, type ReplicaOptions } from '../../../../src/policies/remote/replica.js'
import { plainSampling, type SamplingParams } from '../../../../src/policies/sampling-params.js'
import { drawTokens } from '../../../helpers/fake-drawing.js'
import type { FakeLlamaServer } from '../../../helpers/fake-llama-server.js'
import { llamaServerFacts } from '../../../helpers/llama-server-facts.js'
import { elsewhere, logitsOfPieces, tinyLlamaServer } from '../../../helpers/tiny-engine-elsewhere.js'
import { tinyModel } from '../../../helpers/tiny-model.js'

const options: ReplicaOptions = { apiKey: null, timeoutMs: 10_000, totalTimeoutMs: 60_000, maxCalls: 8 }
const opened: Array<{ close (): Promise<void> }> = []
after(async () => { for (const one of opened) await one.close() })

const { tokenizer } = tinyModel
const prompt = tokenizer.encode('abc')
const sampling: SamplingParams = { ...plainSampling, temperature: 1, maxTokens: 64 }

function callOf (given: Partial<EngineCall>): EngineCall {
  return {
    tokens: prompt,
    maxTokens: 16,
    minTokens: 0,
    sampling,
    seed: 3,
    stops: [],
    endTokens: tokenizer.endTokens,
    alternatives: 2,
    structure: null,
    heads: null,
    guidance: null,
    interval: 1,
    salt: '',
    ...given
  }
}

async function drawn (fake: FakeLlamaServer, given: Partial<EngineCall>): Promise<EngineToken[]> {
  const replica = new Replica(fake.url, options)
  opened.push(replica)
  const tokens: EngineToken[] = []
  const stream = replica.stream(llamaServer(prompt[0]!), callOf(given),
    { model: 'tiny', session: 'a', signal: new AbortController().signal, onUsage: () => {} })
  for await (const token of stream) tokens.push(token)
  return tokens
}

/** What the engine draws in one call, all of it. */
const truth = (seed: number, maxTokens: number): Array<{ readonly token: number, readonly logprob: number }> =>
  [...drawTokens(prompt, { params: { ...sampling, maxTokens }, ends: [elsewhere.endToken], raw: { seed } },
    { ...elsewhere, logits: logitsOfPieces })].map(({ token_id: token, logprob }) => ({ token, logprob }))

describe('the fake is as the real one is', async () => {
  const { url } = await tinyLlamaServer()
  for (const [name, check] of llamaServerFacts) {
    test(name, () => check({ url, prompt, endToken: elsewhere.endToken }))
  }
})

test('tokens that were kept back are those that were drawn, with their logprobs', async () => {
  const fake = await tinyLlamaServer()
  let keptBack = 0
  for (let seed = 0; seed < 6; seed++) {
    for (let maxTokens = 1; maxTokens <= 10; maxTokens++) {
      const all = truth(seed, maxTokens)
      const calls = fake.calls.length
      const tokens = await drawn(fake, { seed, maxTokens })
      assert.deepEqual(tokens.map(({ token }) => token), all.slice(0, tokens.length).map(({ token }) => token))
      for (const [index, { logprob }] of tokens.entries()) {
        assert.ok(Math.abs(logprob - all[index]!.logprob) < 1e-6)
      }
      // A call that put none in has drawn all.
      if (fake.calls.length === calls + 1) assert.equal(tokens.length, all.length)
      else keptBack++
      assert.ok(tokens.every(({ top }) => top.length === 2))
    }
  }
  assert.ok(keptBack > 5, `${keptBack} calls`)
})

test('under a structure everything comes with one call’s draws', async () => {
  const fake = await tinyLlamaServer()
  const tokens = await drawn(fake, { structure: { type: 'json', schema: '{"enum":["🙂🙂"]}' } })
  assert.equal(tokenizer.decode(tokens.map(({ token }) => token).filter(token => token !== elsewhere.endToken)), '"🙂🙂"')
})

test('an engine that does not draw the same again has lost them', async () => {
  const fake = await tinyLlamaServer({ repeats: false })
  let lost = 0
  for (let seed = 0; seed < 8; seed++) {
    await drawn(fake, { seed }).catch((error: Error) => {
      assert.match(error.message, /drew other tokens when it was asked again/)
      lost++
    })
  }
  assert.ok(lost > 0)
})

test('what it can do is found out', async () => {
  const { url } = await tinyLlamaServer()
  const engine = await connectEngine({ urls: [url], model: null }, tokenizer,
    { ...options, waitMs: 100, onProgress: () => {} })
  opened.push(engine)
  const { server, protocol, contextLength, alternatives, ignored, countsCachedTokens } = engine.report
  assert.deepEqual([server, protocol, contextLength, alternatives, countsCachedTokens],
    ['llama.cpp b0-fake', 'llama.cpp completion', 256, 20, true])
  assert.deepEqual(ignored, ['stop_token_ids', 'min_tokens', 'frequency_penalty', 'presence_penalty'])
})

test('salted calls leave its cache alone; seeds fit into 32 bits', async () => {
  const fake = await tinyLlamaServer()
  await drawn(fake, { salt: 'x', seed: 2 ** 53 - 1 })
  await drawn(fake, { seed: 5 })
  assert.deepEqual(fake.calls.filter(({ stream }) => stream === true).map(body => body['cache_prompt']), [false, true])
})
