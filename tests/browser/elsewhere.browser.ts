/** The page on a model that an engine elsewhere runs: what needs hidden states is greyed, what works is offered. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { tinyEngineElsewhere } from '../helpers/tiny-engine-elsewhere.js'
import { tinyServer } from '../helpers/tiny-server.js'
import { overflow, pages, skip, violations } from './browser.js'

const open = pages()
const normalization = { mean: 0, std: 1, pool: 'none' }
const head = {
  name: 'kind',
  description: 'x',
  kind: 'head',
  members: { outcome: { normalization }, prefix: { normalization } },
  policy: { id: 'none', weightsSha256: '0'.repeat(64), format: 'f32' },
  layer: 1,
  pooling: 'mean',
  weights: Array.from({ length: 64 }, () => 0.1),
  bias: 0,
  fit: {
    objective: 'logistic',
    data: 'x',
    licence: 'unknown',
    examples: 20,
    regularization: 1,
    maxAnswerTokens: 256,
    cutAnswers: 0
  },
  metrics: {
    measure: 'pair_accuracy',
    split: 'a fifth of the data, by prompt',
    examples: 5,
    clusters: 5,
    byPrefix: [{ fraction: 1, accuracy: 0.6, standardError: 0.2 }],
    controls: { lengthOnly: 0.5, randomHead: 0.5, randomHeadStd: 0.4, tfidf: 0.5 }
  }
}
const unreadable = /runs on .*, which gives no hidden states: heads, which read them, cannot be used or fitted\./

test('heads are greyed with the reason, other rewards steer', { skip }, async () => {
  const engine = await tinyEngineElsewhere()
  const server = await tinyServer({
    policy: `${engine.url}#org/tiny`,
    policyTokenizer: 'FOLDER/tiny.gguf',
    moreModels: 'local=FOLDER/tiny.gguf',
    rewardsDir: 'FOLDER'
  }, { 'kind.json': JSON.stringify(head) })
  try {
    const { page, problems } = await open()
    await page.goto(`${server.address}/inspect/`)
    await page.getByText('● ready').waitFor()
    await page.getByText(unreadable).waitFor()
    const option = page.locator('[data-field="reward"] option[value="kind"]')
    assert.match(await option.innerText(), /^kind \(reads hidden states, which .* does not give\)$/)
    assert.equal(await option.isDisabled(), true)
    await page.locator('[data-field="reward"]').selectOption('length')
    await page.locator('[data-field="max_tokens"]').fill('8')
    await page.getByRole('button', { name: /^Run/ }).click()
    await page.getByRole('heading', { name: 'Cost' }).waitFor()
    assert.deepEqual(await violations(page), [])

    await page.goto(`${server.address}/inspect/#/rewards/kind`)
    await page.getByText(/^It reads hidden states/).waitFor()
    assert.equal(await page.getByRole('button', { name: 'Use it in Run' }).isDisabled(), true)
    assert.equal(await page.getByRole('heading', { name: 'Try it' }).count(), 0)
    await page.getByText('control: random direction').waitFor()
    await page.setViewportSize({ width: 320, height: 800 })
    assert.equal(await overflow(page), 0)
    // The model that runs here has them.
    await page.getByLabel('Model').selectOption('local')
    await page.getByRole('heading', { name: 'Try it' }).waitFor()
    assert.equal(await page.getByText(unreadable).count(), 0)
    assert.deepEqual(problems, [])
  } finally {
    await server.close()
  }
})
