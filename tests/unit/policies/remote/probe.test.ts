/** What engines can do is found out by effect. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { connectEngine } from '../../../../src/policies/remote/connect.js'
import { engineFields } from '../../../../src/policies/remote/engine-fields.js'
import type { EngineReport } from '../../../../src/policies/remote/remote-engine.js'
import type { FakeEngineOptions } from '../../../helpers/fake-engine.js'
import { tinyEngineElsewhere, withHead } from '../../../helpers/tiny-engine-elsewhere.js'
import { tinyModel } from '../../../helpers/tiny-model.js'

const opened: Array<{ close (): Promise<void> }> = []
after(async () => { for (const one of opened) await one.close() })

async function connected (urls: readonly string[], model: string | null = null): Promise<EngineReport> {
  const engine = await connectEngine({ urls, model }, tinyModel.tokenizer, {
    apiKey: null, timeoutMs: 10_000, totalTimeoutMs: 60_000, maxCalls: 8, waitMs: 100, onProgress: () => {}
  })
  opened.push(engine)
  return engine.report
}

const reportOf = async (
  options: Partial<FakeEngineOptions> = {}, model: string | null = null
): Promise<EngineReport> => await connected([(await tinyEngineElsewhere(options)).url], model)

test('an engine that does all it is asked has all fields', async () => {
  const { server, protocol, model, contextLength, alternatives, fields, ignored, countsCachedTokens, notes } =
    await reportOf()
  assert.deepEqual({ server, protocol, model, contextLength, alternatives, ignored, countsCachedTokens, notes }, {
    server: 'vLLM 0.32.0',
    protocol: 'vLLM generate',
    model: 'org/tiny',
    contextLength: 256,
    alternatives: 20,
    ignored: [],
    countsCachedTokens: true,
    notes: []
  })
  assert.deepEqual(new Set(fields), new Set(engineFields))
})

for (const [field, name] of [
  ['seed', 'seed'], ['top_k', 'top_k'], ['top_p', 'top_p'], ['min_p', 'min_p'], ['logit_bias', 'logit_bias'],
  ['stop', 'stop'], ['stop_token_ids', 'stop_token_ids'], ['min_tokens', 'min_tokens'],
  ['structured_outputs', 'structured_outputs']
] as const) {
  test(`an engine that ignores ${field} is found out`, async () => {
    const { ignored } = await reportOf({ ignores: [field] })
    assert.ok(ignored.includes(name), ignored.join())
    assert.deepEqual(ignored.filter(one => one !== name && !(field === 'stop_token_ids' && one === 'min_tokens')), [])
  })
}

test('protocols are tried in turn, and fewer alternatives where there are fewer', async () => {
  const report = await reportOf({ generates: false, maxLogprobs: 5 })
  assert.deepEqual([report.protocol, report.alternatives], ['completions', 5])
})

test('heads of the plugin, where their values come as it says', async () => {
  assert.deepEqual((await reportOf()).heads, [])
  for (const generates of [true, false]) {
    const { heads, guidingHeads } = await reportOf({ ...withHead, generates })
    assert.deepEqual([heads, guidingHeads], [['tinted'], ['tinted']])
  }
  await assert.rejects(reportOf({ ...withHead, heads: { ...withHead.heads, interface: 2 } }),
    /has heads that cannot be read: it must send interface 1 of the plugin; got 2/)
  await assert.rejects(reportOf({ ...withHead, ignores: ['logprob_token_ids'] }),
    /has heads that cannot be read: it must send the values of its heads/)
})

test('guidance without effect, or by a Q-head that the plugin does not tell apart, is told and not used', async () => {
  const [head] = withHead.heads!['heads'] as [object]
  for (const more of [{ ignores: ['extra_args'] },
    { heads: { ...withHead.heads, heads: [{ ...head, next_token_sha256: undefined }] } }]) {
    const { heads, guidingHeads, notes } = await reportOf({ ...withHead, ...more })
    assert.deepEqual([heads, guidingHeads], [['tinted'], []])
    assert.match(notes[0]!, /guides no tokens by tinted/)
  }
  const other = { heads: { ...withHead.heads, heads: [{ ...head, next_token_sha256: 'f' }] } }
  const fakes = await Promise.all([withHead, { ...withHead, ...other }].map(options => tinyEngineElsewhere(options)))
  await assert.rejects(connected(fakes.map(({ url }) => url)), /must be replicas: heads of the same names/)
})

test('logprobs of the tempered distribution are refused', async () => {
  await assert.rejects(reportOf({ tempersLogprobs: true }),
    /must report logprobs of the model, not of the tempered distribution/)
})

test('a model that is not there, and a tokenizer that cannot be compared', async () => {
  await assert.rejects(reportOf({}, 'other'), { code: 'model_not_found', param: 'policy' })
  const { notes } = await reportOf({ tokenize: undefined } as unknown as Partial<FakeEngineOptions>)
  assert.match(notes[0]!, /no \/tokenize/)
})
