/** Rules that need no model: who breaks one is refused where the request is parsed, before the inference thread. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { buildApp } from '../../../src/api/app.js'
import { Services } from '../../../src/api/services.js'
import { loadConfig } from '../../../src/config.js'
import { hermesForm } from '../../../src/models/tokenizer/tool-call-format.js'
import type { Inference } from '../../../src/serving/inference-client.js'
import type { GenerateRequest, ModelInfo } from '../../../src/serving/protocol.js'
import { checkedRequest } from '../../../src/serving/request-rules.js'

const folder = mkdtempSync(join(tmpdir(), 'fairlead-rules-'))
const model = { id: 'm', contextLength: 64, vocabularySize: 8, fingerprint: 'fl', created: 0, callForm: hermesForm }
/** What came as far as the inference thread. */
const reached: GenerateRequest[] = []
const inference = {
  models: [model as unknown as ModelInfo],
  rewards: [],
  isReady: true,
  problem: null,
  async * generate (request: GenerateRequest) {
    reached.push(request)
    throw new Error('nothing runs here')
  }
} as unknown as Inference
const services = new Services(loadConfig({ model: 'm', dataDir: folder, logLevel: 'silent' }, {}), () => inference)
const app = await buildApp(services)
after(async () => {
  await app.close()
  await services.store.close()
  rmSync(folder, { recursive: true })
})

const best = { strategy: 'best_of_n', reward: 'length', num_candidates: 4 }
const contrast = (context: object): object =>
  ({ strategy: 'token_guidance', source: 'contrast', contrast: { toward: context } })
const user = [{ role: 'user', content: 'x' }]

/** Fields, and the one that is refused. */
const refused: ReadonlyArray<readonly [path: string, param: string, body: object]> = [
  ['chat/completions', 'n', { n: 5, alignment: best }],
  ['completions', 'n', { prompt: 'x', n: 5, alignment: best }],
  ['chat/completions', 'n', { n: 2, alignment: { ...best, selection: 'mbr' } }],
  ['chat/completions', 'n', { n: 2, alignment: { ...best, stop_when: { min_reward: 1 } } }],
  ['chat/completions', 'n', { n: 2, alignment: { ...best, num_candidates: null, poisson_mean: 2 } }],
  ['chat/completions', 'n', { n: 2, alignment: { strategy: 'beam_search', reward: 'length' } }],
  ...(['chat/completions', 'responses'] as const).map(path => [path, 'alignment.max_kl', {
    temperature: 1e-9, alignment: { strategy: 'token_guidance', reward: 'length', max_kl: 1 }
  }] as const),
  ['completions', 'alignment.contrast.toward.system', { prompt: 'x', alignment: contrast({ system: 'be kind' }) }],
  ['chat/completions', 'alignment.contrast.toward.prefix',
    { messages: [{ role: 'system', content: 'x' }], alignment: contrast({ prefix: 'kindly: ' }) }]
]

const bodyOf = (path: string): object =>
  path === 'responses' ? { input: 'x' } : path === 'completions' ? {} : { messages: user }

for (const [path, param, body] of refused) {
  test(`/v1/${path} refuses ${param} before the inference thread: ${JSON.stringify(body)}`, async () => {
    const response = await app.inject({
      method: 'POST',
      url: `/v1/${path}`,
      headers: { host: 'localhost' },
      payload: { model: 'm', ...bodyOf(path), ...body }
    })
    const { error } = response.json() as { error: { code: string, param: string } }
    assert.deepEqual([response.statusCode, error.code, error.param], [400, 'invalid_request', param])
    assert.deepEqual(reached, [])
  })
}

test('a request that keeps the rules goes to the inference thread, its temperature 0 where that is meant', async () => {
  await app.inject({
    method: 'POST',
    url: '/v1/chat/completions',
    headers: { host: 'localhost' },
    payload: { model: 'm', messages: user, n: 4, temperature: 1e-9, alignment: best }
  })
  const [request] = reached
  assert.deepEqual([request?.n, request?.sampling.temperature], [4, 0])
  const sampling = { ...request!.sampling, temperature: 0.5 }
  assert.equal(checkedRequest({ ...request!, sampling }).sampling.temperature, 0.5)
})
