/**
 * The small reward model in the box: its scores are transformers' and peft's on the same weights, grown or read anew,
 * and a request can use it.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { loadConfig } from '../../src/config.js'
import { Engine } from '../../src/engine/engine.js'
import { loadServedModel } from '../../src/serving/served-models.js'
import { score } from '../../src/serving/score-answers.js'
import { encodeChat } from '../../src/models/tokenizer/chat-template.js'
import { loadModel } from '../../src/models/model.js'
import { packageRoot } from '../../src/package-root.js'
import type { ClassifierDescriptor } from '../../src/rewards/kinds/classifier.js'

/** Written by scripts/expected-adapter.py: float32, the scores after every position. */
const cases = JSON.parse(readFileSync(join(packageRoot, 'tests/fixtures/expected-reader.json'),
  'utf8')) as Array<{ text: string, tokens: number[], scores: number[] }>
const folder = join(packageRoot, 'models/rewards')
const { model: base, layers, adapter, template, sha256 } = JSON.parse(readFileSync(join(folder, 'positive_reader.json'),
  'utf8')) as ClassifierDescriptor
const config = loadConfig()

test('its scores after every position are those of transformers and peft', async () => {
  const model = await loadModel({
    model: base,
    variant: { layers: layers!, adapter: join(folder, adapter!) },
    template: template!,
    format: 'f32',
    threads: config.threads,
    cacheDir: config.cacheDir,
    contextLength: 256
  })
  const engine = new Engine(model, {
    contextLength: 256,
    maxSequences: 4,
    kvCacheBytes: 2 ** 26,
    prefixCacheBytes: 0,
    prefillTokensPerStep: 16
  })
  try {
    assert.equal(model.sha256, sha256)
    for (const { text, tokens, scores } of cases) {
      assert.deepEqual(encodeChat(model.chatTemplate, model.tokenizer, [{ role: 'assistant', content: text }],
        { addGenerationPrompt: false }).tokens, tokens)
      const given: number[] = []
      const sequence =
        engine.open(tokens.slice(0, -3), { onPosition: (position, { logits }) => { given[position] = logits[0]! } })
      await sequence.output()
      for (const token of tokens.slice(-3)) {
        sequence.append(token)
        given.push((await sequence.output()).distribution.logits[0]!)
      }
      sequence.close()
      for (const [position, value] of scores.entries()) {
        assert.ok(Math.abs(given[position]! - value) <= 2e-3,
          `${text}, position ${position}: ${given[position]}, expected ${value}`)
      }
    }
  } finally {
    await engine.close()
    model.dispose()
  }
})

let served: Awaited<ReturnType<typeof loadServedModel>>
before(async () => { served = await loadServedModel(config, () => {}) })
after(() => served.close())

test('it is loaded when it is first used, has one version before and after, and tells praise from blame', async () => {
  const version = (): string => served.rewards.find(({ name }) => name === 'positive_reader')!.version
  const early = version()
  const messages = [{ role: 'user', content: 'Write a short review of a film.' }]
  const items = cases.map(({ text }) => ({ messages, answer: text }))
  const { items: scored, rewardsUsed } = await score(served, {
    model: served.model.id,
    rewards: [{ name: 'positive_reader', weight: 1 }],
    scale: 'raw',
    member: 'outcome',
    every: null,
    items,
    cacheSalt: '',
    fields: { rewards: 'rewards', items: 'items' }
  }, new AbortController().signal)
  const [praise, blame] = scored.map(({ score: { value } }) => value) as [number, number]
  assert.ok(praise > 1 && blame < -1, `praise ${praise}, blame ${blame}`)
  for (const [index, { scores }] of cases.entries()) {
    assert.ok(Math.abs(scored[index]!.score.value - scores.at(-1)!) <= 0.5, 'q8 is near float32')
  }
  assert.deepEqual([version(), rewardsUsed[0]!.version], [early, early])
})
