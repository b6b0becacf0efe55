/** Engines and settings that do not fit are refused with what to change. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadConfig } from '../../../src/config.js'
import { loadRemote } from '../../../src/serving/load-remote.js'
import { servedModelNames } from '../../../src/serving/model-names.js'
import type { SettingName } from '../../../src/settings.js'
import { tinyEngineElsewhere } from '../../helpers/tiny-engine-elsewhere.js'
import { tinyModel } from '../../helpers/tiny-model.js'

async function load (settings: Partial<Record<SettingName, string>>): Promise<void> {
  const config = loadConfig({ policyTokenizer: tinyModel.path, ...settings }, {})
  const [named] = servedModelNames(config)
  const { remote } = await loadRemote(config, { ...named!, remote: named!.remote! }, () => {})
  await remote.close()
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

test('replicas that differ', async () => {
  const [one, other] = [await tinyEngineElsewhere(), await tinyEngineElsewhere({ maxModelLen: 128 })]
  await assert.rejects(load({ policy: `${one.url},${other.url}` }),
    /must be replicas: contextLength is (256 and 128|128 and 256)/)
})

test('a replica that does not answer yet is no reason not to start', async () => {
  const { url } = await tinyEngineElsewhere()
  await load({ policy: `http://127.0.0.1:9,${url}` })
})
