/** Engines and settings that do not fit are refused with what to change. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadConfig } from '../../../src/config.js'
import { connectEngine } from '../../../src/policies/remote/connect.js'
import { loadRemote } from '../../../src/serving/load-remote.js'
import { servedModelNames } from '../../../src/serving/model-names.js'
import type { SettingName } from '../../../src/settings.js'
import { tinyEngineElsewhere, tinyLlamaServer } from '../../helpers/tiny-engine-elsewhere.js'
import { tinyModel } from '../../helpers/tiny-model.js'

async function load (settings: Partial<Record<SettingName, string>>): Promise<void> {
  const config = loadConfig({ policyTokenizer: tinyModel.path, ...settings }, {})
  const [named] = servedModelNames(config)
  const { remote } = await loadRemote(config, { ...named!, remote: named!.remote! }, () => {})
  await remote.close()
}

/** An engine that has ended: its port is free. */
async function closedEngine (): Promise<{ readonly port: number }> {
  const engine = await tinyEngineElsewhere()
  const { port } = engine
  await engine.close()
  return { port }
}

test('another tokenizer than the engine’s', async () => {
  const engine = await tinyEngineElsewhere({ tokenize: text => [...text].map(() => 3) })
  await assert.rejects(load({ policy: engine.url }),
    /policy-tokenizer must be the tokenizer of the engine’s model: token 0 of a sample text is \d+ here and 3 at/)
})

test('no tokenizer, no such file, no such model, no key, no engine', async () => {
  const { url } = await tinyEngineElsewhere()
  await load({ policy: url })
  await assert.rejects(load({ policy: url, policyTokenizer: '' }), { param: 'policy-tokenizer' })
  await assert.rejects(load({ policy: url, policyTokenizer: '/nowhere' }), { code: 'model_not_found' })
  await assert.rejects(load({ policy: `${url}#other` }), /has the models org\/tiny; got other/)
  await assert.rejects(load({ policy: url, policyApiKeyEnv: 'NOT_SET_ANYWHERE' }), { param: 'policy-api-key-env' })
  await assert.rejects(load({ policy: url, contextLength: '9999' }), /at most the engine's limit of 256/)
  await assert.rejects(load({ policy: 'http://127.0.0.1:9', policyTimeoutMs: '200' }),
    /no inference engine answers at http:\/\/127\.0\.0\.1:9/)
})

test('files where the engine says that they are, on this machine', async () => {
  const { path } = tinyModel
  await load({ policy: (await tinyEngineElsewhere({ root: path })).url, policyTokenizer: '' })
  await load({ policy: (await tinyLlamaServer({ modelPath: path })).url, policyTokenizer: '' })
  const others = [await tinyEngineElsewhere({ root: 'org/tiny' }), await tinyLlamaServer({ modelPath: 'tiny.gguf' })]
  for (const engine of others) {
    await assert.rejects(load({ policy: engine.url, policyTokenizer: '' }),
      /the engine has them as "(org\/tiny|tiny\.gguf)", which is no path on this machine; give a folder with/)
  }
})

test('replicas that differ', async () => {
  const [one, other] = [await tinyEngineElsewhere(), await tinyEngineElsewhere({ maxModelLen: 128 })]
  await assert.rejects(load({ policy: `${one.url},${other.url}` }),
    /must be replicas: contextLength is (256 and 128|128 and 256)/)
})

test('a replica that does not answer yet is no reason not to start', async () => {
  const { url } = await tinyEngineElsewhere()
  await load({ policy: `http://127.0.0.1:9,${url}` })
})

test('a replica that comes later is used once it was found to be one', async () => {
  for (const { maxModelLen, isOne } of [{ maxModelLen: 256, isOne: true }, { maxModelLen: 128, isOne: false }]) {
    const first = await tinyEngineElsewhere()
    const { port } = await closedEngine()
    const said: string[] = []
    const engine = await connectEngine({ urls: [first.url, `http://127.0.0.1:${port}`], model: null },
      tinyModel.tokenizer, {
        apiKey: null,
        timeoutMs: 10_000,
        totalTimeoutMs: 60_000,
        maxCalls: 8,
        waitMs: 100,
        onProgress: text => said.push(text)
      })
    const [, later] = engine.replicas.all
    try {
      assert.equal(later!.isWell, false)
      const other = await tinyEngineElsewhere({ maxModelLen }, port)
      while (!later!.isWell && said.length === 0) {
        await later!.check()
        await new Promise(resolve => { setImmediate(resolve) })
      }
      assert.equal(later!.isWell, isOne)
      // All that it was asked it was asked to find out what it is.
      assert.ok(other.calls.length > 0 && other.calls.every(({ headers }) => headers['x-session-id'] === 'probe'))
      if (!isOne) assert.match(said[0]!, /must be replicas: contextLength is 256 and 128/)
    } finally {
      await engine.close()
    }
  }
})
